"""Asks services whether they are there: `python prober.py SECONDS NAME=ADDRESS:PORT...`, each every SECONDS until its input ends.

A JSON line for each answer: whom it asked, when and until when (seconds of one clock that nobody sets), and what was said;
empty where nobody answered. It knows nothing of `fleet`, and of others nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

PATIENCE = 5.0


async def ask(name: str, place: str, every: float) -> None:
    address, _, port = place.rpartition(":")
    while True:
        asked = time.monotonic()
        text = await answer_of(address, int(port))
        line = {"name": name, "asked": asked, "answered": time.monotonic(), "text": text}
        print(json.dumps(line), flush=True)
        await asyncio.sleep(max(0.0, asked + every - time.monotonic()))


async def answer_of(address: str, port: int) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""
    return body.decode().strip() if b" 200 " in head.partition(b"\r\n")[0] else ""


async def main(every: float, targets: list[str]) -> None:
    """A probe that breaks breaks them all: one that is silent would see nothing."""
    asks = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asks), sys.stdin)
    over = asyncio.create_task(asks.read())
    probes = [asyncio.create_task(ask(*target.split("=", 1), every)) for target in targets]
    done, _ = await asyncio.wait([over, *probes], return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        each.result()
    for probe in probes:
        probe.cancel()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
