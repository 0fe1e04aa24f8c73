"""Nodes that are off: told as unreachable before Ansible is started, and the others come through without them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import BIN, Ran, execute

SPEC = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {{name: shops}}
spec:
  os: {{files: [{{path: /etc/motd, content: "welcome\\n"}}]}}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {{name: lyon}}
spec:
  nodes:
    - {{name: folder, role: none, address: 10.0.0.1, connection: {{type: sandbox}}}}
    - {{name: closed, role: none, address: 10.0.0.2, connection: {{address: 127.0.0.1, port: {closed}}}}}
    - {{name: mute, role: none, address: 10.0.0.3, connection: {{address: 127.0.0.1, port: {mute}}}}}
"""


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """One where nobody listens, and one that takes connections and says nothing."""
    with socket.socket() as taken, socket.create_server(("127.0.0.1", 0)) as server:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1], server.getsockname()[1]


def apply(folder: Path, *words: str) -> Ran:
    return execute([str(BIN / "fleet"), "apply", "--yes", "--allow-dirty", *words], folder)


def test_who_is_off_is_told_before_ansible_is_started(tmp_path: Path, ports: tuple[int, int]) -> None:
    closed, mute = ports
    (tmp_path / "fleet.yaml").write_text(SPEC.format(closed=closed, mute=mute))

    ran = apply(tmp_path, "--json")

    assert ran.code == 4, ran.text
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert {event["node"]: event["reason"] for event in events if event["event"] == "NodeUnreachable"} == {
        "closed": f"no answer on 127.0.0.1:{closed}: Connection refused",
        "mute": f"127.0.0.1:{mute} takes connections, and no SSH server spoke there within 5 s",
    }
    assert [event["node"] for event in events if event["event"] == "NodeApplied"] == ["folder"]
    (printed,) = (tmp_path / ".fleet/output").rglob("*.txt")
    assert "folder" in printed.read_text()
    assert "closed" not in printed.read_text()
