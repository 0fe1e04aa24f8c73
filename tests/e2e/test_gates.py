"""Gates of a fleet whose nodes are folders: asked as a rollout asks them, by the real Ansible."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.model.gate import ClusterGate, CommandGate, Gate, GateAnswer, GateOrder, HttpGate, NodeGate
from fleet.operations.intent import Intent, read_intent
from fleet.wiring import Wiring
from fleet.workspace.gates import gates_of
from tests.e2e.command import Repository
from tests.e2e.pages import served

NODES = ("turin-1-a", "turin-1-till-001")
SMOKE = """\
#!/bin/sh
# Every node of the wave has its file.
for node in $(python3 -c 'import json, sys; print(*(node["name"] for node in json.load(sys.stdin)["nodes"]))'); do
  test -s "$1/$node/etc/rancher/k3s/config.yaml" || { echo "$node has no config.yaml"; exit 1; }
done
"""


class Ground:
    """The applied site turin-1 of two-sites."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        script = repository.folder / "smoke.sh"
        script.write_text(SMOKE)
        script.chmod(0o755)
        repository.commit("A smoke test")
        repository.apply("--site", "turin-1")
        self.wiring = Wiring(repository.folder, str(repository.nodes), repository.password.read_bytes)
        tree = self.wiring.source.read("")
        texts = self.wiring.shipped.texts
        self.intent: Intent = read_intent(tree, self.wiring.records, texts, "/nowhere", self.wiring.sandbox)

    def ask(self, *asked: Gate) -> list[GateAnswer]:
        order = GateOrder("7f3c-pilot-after", "7f3c", 1, "after", "pilot", NODES, asked)
        return list(gates_of(self.wiring, self.intent, 5, cluster=True).ask(order))

    def edit_units(self, node: str, unit: str, state: str) -> None:
        path = self.repository.nodes / node / "var/lib/fleet/units.json"
        units = json.loads(path.read_text())
        units[unit]["state"] = state
        path.write_text(json.dumps(units))


@pytest.fixture
def ground(repository: Repository) -> Ground:
    return Ground(repository)


@pytest.fixture
def health() -> Iterator[str]:
    with served(lambda path: (200 if path == "/turin-1-a" else 503, b"")) as url:
        yield url


def test_what_a_sandbox_can_say(ground: Ground, health: str) -> None:
    node, cluster, http, command = ground.ask(
        NodeGate(timeout=1),
        ClusterGate(timeout=1),
        HttpGate(timeout=2, url=f"{health}/{{node.name}}"),
        CommandGate(timeout=20, command=("./smoke.sh", str(ground.repository.nodes))),
    )
    assert (node.outcome, node.reason) == ("passed", "")
    assert node.measured.startswith("2 of 2 nodes well, ")
    assert node.measured.endswith(" looked at, 2 sandboxes, in which units are only written down")
    assert cluster == GateAnswer("cluster", "passed", "no cluster to ask")
    assert (http.outcome, http.ill) == ("failed", {"turin-1-till-001": "503, not 200"})
    assert (command.outcome, command.measured[:7]) == ("passed", "exit 0 ")


def test_a_unit_that_is_down_and_a_smoke_test_that_fails(ground: Ground) -> None:
    ground.edit_units("turin-1-till-001", "k3s-agent.service", "stopped")
    (ground.repository.nodes / "turin-1-a/etc/rancher/k3s/config.yaml").unlink()
    node, command = ground.ask(
        NodeGate(timeout=1), CommandGate(timeout=20, command=("./smoke.sh", str(ground.repository.nodes)))
    )
    assert (node.outcome, node.ill) == ("failed", {"turin-1-till-001": "k3s-agent.service is inactive"})
    log = f"{ground.repository.nodes}/.fleet/gates/7f3c-pilot-after-2.log"
    assert (command.outcome, command.reason) == ("failed", f"exit 1: turin-1-a has no config.yaml (its output: {log})")
    assert Path(log).read_text() == "turin-1-a has no config.yaml\n"


def test_an_ansible_that_hangs_is_ended(ground: Ground) -> None:
    """The second ^C."""
    gates = gates_of(ground.wiring, ground.intent, 5, cluster=True)
    threading.Timer(1.0, gates.stop_now).start()
    began = time.monotonic()
    (answer,) = gates.ask(GateOrder("c", "7f3c", 1, "after", "pilot", NODES, (NodeGate(timeout=600),)))
    assert time.monotonic() - began < 15
    assert answer == GateAnswer("node", "unknown", reason="it was stopped")
    assert not list((ground.wiring.state / "runs").glob("ask-*"))
