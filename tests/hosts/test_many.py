"""Many connections at once from a controller that may open few files: 30 here, 500 with FLEET_CONNECTIONS=500 (soak)."""

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.hosts.checkout import BIN, Checkout
from tests.hosts.ground import Ground
from tests.lab.host import Host

COUNT = int(os.environ.get("FLEET_CONNECTIONS", "30"))
OPEN_FILES = 1024 if COUNT == 500 else 96
PIPE = "/run/crowd"
HOLD = "/usr/lib/python3/dist-packages/crowd.pth"
HOLDS = f'import os; os.environ.get("SUDO_USER") and os.path.exists("{PIPE}") and open("{PIPE}").read()\n'
"""Behind sudo: before that, Ansible gives a host twelve seconds."""
PATIENCE = 120
CROWDS = re.compile(r"\b10\.77\.4[01]\.\d+:22\b")
FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: crowd}
spec:
  connection: {user: fleet, privateKey: KEY}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: shop}
spec:
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodeSets:
    - {name: till, count: COUNT, role: none, addresses: 10.77.40.1-10.77.41.255}
"""


def address_of(number: int) -> str:
    return f"10.77.{40 + number // 256}.{number % 256}"


class Gate(threading.Thread):
    """Hosts hold each Python of the crowd until all of it is connected; so all of it must be open at one moment.

    Opens when COUNT are, or when no more came for PATIENCE seconds; `most` says how many. Connections of earlier tests
    stay open for a minute, too: only what came to an address of the crowd's counts.
    """

    def __init__(self, hosts: list[Host]) -> None:
        super().__init__(daemon=True)
        self.hosts = hosts
        self.most = 0
        self.is_over = threading.Event()

    def __enter__(self) -> Self:
        for host in self.hosts:
            host.run(["mkfifo", PIPE])
            host.run(["tee", HOLD], stdin=HOLDS)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()
        for host in self.hosts:
            host.run(["rm", "-f", HOLD, PIPE, f"{PIPE}.open"])

    def run(self) -> None:
        came = time.monotonic()
        while not self.is_over.wait(0.5):
            shown = [host.run(["ss", "-Htn", "state", "established", "sport = :22"]) for host in self.hosts]
            now = sum(len(CROWDS.findall(text)) for text in shown)
            if now > self.most:
                self.most, came = now, time.monotonic()
            if self.most >= COUNT or time.monotonic() - came > PATIENCE:
                break
        for host in self.hosts:  # who waits has the pipe open already, and reads its end; nobody else finds it
            host.run(["sh", "-c", f"mv {PIPE} {PIPE}.open && : 1<>{PIPE}.open"])


@pytest.fixture
def crowd(ground: Ground, tmp_path: Path) -> Iterator[Checkout]:
    """As many nodes, each with an address of its own; the six hosts share them out among themselves."""
    hosts = list(ground.hosts.values())
    checkout = Checkout(ground.lab, tmp_path / "crowd", ground.checkout.home)
    checkout.folder.mkdir()
    pins = []
    for number in range(1, COUNT + 1):
        host = hosts[number % len(hosts)]
        host.run(["ip", "address", "add", f"{address_of(number)}/16", "dev", "eth0"])
        pins.append(f"{address_of(number)} {host.known_host.split(' ', 1)[1]}\n")
    checkout.write("known_hosts", "".join(pins))
    checkout.write("fleet.yaml", FLEET.replace("KEY", str(ground.lab.ssh_key)).replace("COUNT", str(COUNT)))
    checkout.write(".gitignore", ".fleet/\n")
    checkout.git("init", "--quiet")
    checkout.commit("A crowd")
    yield checkout
    for number in range(1, COUNT + 1):
        hosts[number % len(hosts)].run(["ip", "address", "del", f"{address_of(number)}/16", "dev", "eth0"])


def test_that_many_are_reached_at_once_with_few_open_files(ground: Ground, crowd: Checkout) -> None:
    command = [str(BIN / "fleet"), "plan", "--refresh", "--json", "--forks", str(COUNT)]
    began = time.monotonic()
    with Gate(list(ground.hosts.values())) as gate:
        said = crowd.run(["prlimit", f"--nofile={OPEN_FILES}", *command], code=3, seconds=2400)
    print(f"{COUNT} connections: {time.monotonic() - began:.0f} s, {gate.most} open at one moment")
    assert "did not answer" not in said.err
    assert gate.most == COUNT
