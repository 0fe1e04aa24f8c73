"""SshHostKeys: what a host shows before anybody logs in, read by the very ssh that will connect later.

ssh-keyscan knows no jump host and no ProxyCommand; and a key that was read over another way says nothing about this one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from fleet.adapters.limits import hosts_per_process
from fleet.adapters.ssh.config import client_config
from fleet.adapters.ssh.way import way
from fleet.errors import UnavailableError
from fleet.formats.known_hosts import keys_of, lines
from fleet.model.host_key import ShownKey
from fleet.model.node import Connection, Node

CONNECT_SECONDS = 15
_ENDED_BY_HAND = 120
"""A ProxyCommand that hangs has no time limit of its own."""


class SshHostKeys:
    """Fills `ports.HostKeys`. `forks` hosts are asked at once; each is a process of ssh that logs in nowhere."""

    def __init__(self, forks: int = 20) -> None:
        self._forks = forks

    def read(self, nodes: Sequence[Node], known_hosts: bytes) -> Iterator[ShownKey]:
        """Raises UnavailableError where there is no ssh."""
        if not nodes:
            return
        with (
            tempfile.TemporaryDirectory(prefix="fleet-keys-") as folder,
            ThreadPoolExecutor(min(self._forks, hosts_per_process())) as pool,
        ):
            config = Path(folder, "config")
            pinned = Path(folder, "known_hosts")
            pinned.write_bytes(known_hosts)
            config.write_text(client_config(pinned))
            text = known_hosts.decode("utf-8", errors="replace")
            asked = [
                pool.submit(_shown, node, _first(text, node.connection), config, Path(folder, f"key-{at}"))
                for at, node in enumerate(nodes)
            ]
            try:
                for done in as_completed(asked):
                    yield done.result()
            finally:
                for each in asked:
                    each.cancel()


def _first(text: str, connection: Connection) -> list[str]:
    """Options that ask for a key of the pinned kind first: of several keys, a host shows the one that is asked for."""
    kinds = dict.fromkeys(line.algorithm for line in keys_of(text, connection.address, connection.port))
    names = ",".join("rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind for kind in kinds)
    return [f"HostKeyAlgorithms=^{names}"] if names else []


def _shown(node: Node, first: list[str], config: Path, into: Path) -> ShownKey:
    # On the command line, so that it holds for the host itself and not for the jump hosts on the way.
    options = [
        "StrictHostKeyChecking=accept-new", f'UserKnownHostsFile="{into}"', "HashKnownHosts=no", "ControlPath=none",
        "PreferredAuthentications=none", f"ConnectTimeout={CONNECT_SECONDS}", "ClearAllForwardings=yes", *first,
    ]  # fmt: skip
    said = (word for option in options for word in ("-o", option))
    connection = node.connection
    command = ["ssh", "-F", str(config), "-n", "-T", *said, *way(connection, config.with_name("known_hosts"))]
    command += ["--", connection.address, "true"]
    words = into.with_name(f"{into.name}.said")
    try:
        # Into a file: a ProxyCommand holds ssh's stderr, and under nohup it outlives the SIGHUP by which ssh ends it.
        with words.open("wb") as errors:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, check=False,
                timeout=_ENDED_BY_HAND, env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
    except FileNotFoundError:
        raise UnavailableError("ssh is not installed", "apt-get install openssh-client") from None
    except subprocess.TimeoutExpired:
        return ShownKey(node.name, unreachable=f"no host key came in {_ENDED_BY_HAND} s")
    if into.exists() and (found := list(lines(into.read_text()))):
        return ShownKey(node.name, found[0].algorithm, found[0].key)
    return ShownKey(node.name, unreachable=_reason(words.read_text(errors="replace")))


def _reason(text: str) -> str:
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("Warning:", "@"))]
    return said[-1][:300] if said else "it gave no host key, and ssh gave no reason"
