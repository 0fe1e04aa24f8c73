"""Hosts for tests that speak SSH: servers on 127.0.0.1, each with a key of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fleet.formats.known_hosts import fingerprint


class Host(msgspec.Struct, frozen=True):
    """An SSH server on 127.0.0.1: its port, its public host key, and a client's key that it lets in."""

    port: int
    host_key: str
    client_key: Path

    @property
    def pinned(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.host_key.split()[1])


def make_key(path: Path, kind: str = "ed25519") -> str:
    """`ALGORITHM KEY` of a new pair of keys."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def serving(folder: Path, *more_keys: Path) -> Iterator[Host]:
    """A server whose keys lie in the folder, made where they are not there yet; `more_keys` are host keys besides."""
    folder.mkdir(exist_ok=True)
    for name in ("host-key", "client-key"):
        if not (folder / name).exists():
            make_key(folder / name)
    shown = " ".join((folder / "host-key.pub").read_text().split()[:2])
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py"), folder / "client-key.pub", folder / "host-key", *more_keys],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield Host(int(server.stdout.readline()), shown, folder / "client-key")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
