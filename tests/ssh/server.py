"""A small SSH server for tests: `server.py AUTHORIZED_KEYS HOST_KEY...`. Prints its port, runs what it is asked to.

It stands in for sshd where none is installed; the client in these tests is the real ssh.
"""

from __future__ import annotations

import asyncio
import sys

import asyncssh


async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command or "",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert shell.stdout is not None
    assert shell.stderr is not None
    await process.redirect(stdin=shell.stdin)
    await asyncio.gather(pump(shell.stdout, process.stdout), pump(shell.stderr, process.stderr))
    process.exit(await shell.wait())


async def pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


class JumpHost(asyncssh.SSHServer):
    def connection_requested(self, *ends: object) -> bool:  # noqa: ARG002 - wherever it leads
        return True


async def main(authorized: str, *host_keys: str) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=JumpHost,
        server_host_keys=list(host_keys),
        authorized_client_keys=authorized,
        process_factory=run,
        encoding=None,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


asyncio.run(main(*sys.argv[1:]))
