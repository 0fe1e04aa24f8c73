"""A batch of 50 of which 10 are off: asked who is there before it, or left to Ansible. Seconds of a clock, for both wait.

A node that is there is a folder; one that is off is a port whose queue is full, so that first packets are dropped.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import measuring as cpu
from table import Row

PROGRAM = Path(__file__).with_name("applied.py")
THERE, OFF = 40, 10
SPEC = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: shops}
spec:
  os: {files: [{path: /etc/motd, content: "this is {{ node.name }}\\n"}]}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  nodes:
"""
NODE = "    - {{name: {name}, role: none, address: 10.0.0.{at}, connection: {way}}}\n"


@contextmanager
def black_holes(count: int) -> Iterator[list[int]]:
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)) for _ in range(count)]
        for server in servers:
            for _ in range(4):
                filling = held.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(server.getsockname())
        yield [server.getsockname()[1] for server in servers]


def compare(folder: Path, runs: int, scale: int) -> list[Row]:
    there, off = max(2, THERE // scale), max(1, OFF // scale)
    took: dict[str, list[float]] = {"asked": [], "unasked": []}
    with black_holes(off) as ports:
        write(folder, there, ports)
        for _ in range(runs):
            for how, seconds in took.items():
                seconds.append(once(folder, how, there, off))
    asked, unasked = (min(took[how]) for how in ("asked", "unasked"))
    return [
        Row(f"a batch of {there + off}, {off} of them off", f"{asked:.1f} s"),
        Row("  the same, left to Ansible", f"{unasked:.1f} s"),
        Row("  asked against that", f"{asked / unasked:.2f} times as long", "< 1 times", asked < unasked),
    ]


def write(folder: Path, there: int, ports: list[int]) -> None:
    ways = ["{type: sandbox}"] * there + [f"{{address: 127.0.0.1, port: {port}}}" for port in ports]
    nodes = (NODE.format(name=f"till-{at:03}", at=at, way=way) for at, way in enumerate(ways, 1))
    (folder / "fleet.yaml").write_text(SPEC + "".join(nodes))
    (folder / ".gitignore").write_text(".fleet/\n")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@acme.example"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "A shop"]):
        cpu.once(cpu.Command(["git", *words], folder))


def once(folder: Path, how: str, there: int, off: int) -> float:
    shutil.rmtree(folder / ".fleet", ignore_errors=True)
    env = {**cpu.environment(), "PYTHONPATH": str(PROGRAM.parents[1])}
    began = time.monotonic()
    subprocess.run(
        [sys.executable, str(PROGRAM), how, str(there + off)],
        cwd=folder,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - began
    records = len(list((folder / ".fleet/sandbox").glob("*/var/lib/fleet/record.json")))
    if records != there:
        raise SystemExit(f"{records} nodes are done, not {there}")
    return seconds
