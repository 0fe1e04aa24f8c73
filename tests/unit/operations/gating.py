"""What gates are asked about in these tests: two sites, one of them a cluster of three."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.model.batch import NodeAnswer
from fleet.model.cluster_node import ClusterNode
from fleet.model.gate import Gate, GateAnswer, GateOrder, Phase
from fleet.model.node import Node
from fleet.operations.gating.gates import FleetGates, GateHands
from fleet.operations.intent import Intent
from fleet.ports.cluster import Cluster
from fleet.testing import (
    MemoryClock,
    MemoryCluster,
    MemoryCommands,
    MemoryHand,
    MemoryMetrics,
    MemoryRecords,
    MemoryWeb,
)
from tests.specs import document
from tests.unit.operations.hosts import held
from tests.unit.render.ground import intent

LYON = """\
nodes:
  - {name: lyon-s, role: server, arch: amd64, address: 10.0.0.1}
  - {name: lyon-a, role: agent, arch: amd64, address: 10.0.0.2}
  - {name: lyon-b, role: agent, arch: amd64, address: 10.0.0.3}
"""
NICE = """\
nodes:
  - {name: nice-s, role: server, arch: amd64, address: 10.0.1.1}
  - {name: nice-x, role: none, address: "fd00::7"}
"""
BASE = document(
    "Profile", "base", "os: {units: [{name: chrony.service, state: started}, {name: cups.service, state: stopped}]}"
)
NODES = ("lyon-s", "lyon-a", "lyon-b", "nice-s", "nice-x")
UP = {"load": "loaded", "active": "active", "sub": "running"}


class Ground:
    """Everything is up until a test says otherwise. `founded` are the clusters that exist."""

    def __init__(self, *, sandbox: bool = False, cluster: bool = True, enrolled: Sequence[str] = NODES) -> None:
        more = "connection: {type: sandbox}" if sandbox else ""
        fleet = document("Fleet", "acme", f"k3s: {{version: v1.36.3+k3s1}}\nprofiles: [base]\n{more}")
        self.records = MemoryRecords([held(name) for name in enrolled])
        self.intent: Intent = intent(
            fleet, BASE, document("Site", "lyon", LYON), document("Site", "nice", NICE), records=self.records
        )
        self.clock = MemoryClock(1000.0)
        self.clusters = {name: MemoryCluster(self.clock) for name in ("lyon", "nice")}
        for name in NODES[:4]:
            self.clusters[name[:4]].add_node(ClusterNode(name, f"machine of {name}", is_ready=True))
        self.asked: list[str] = []
        self.hand = MemoryHand({name: self.probed(name) for name in NODES})
        self.web, self.metrics, self.commands = MemoryWeb({}, self.clock), MemoryMetrics({}), MemoryCommands()
        self.with_cluster = cluster

    def node(self, name: str) -> Node:
        (found,) = (node for node in self.intent.fleet.nodes if node.name == name)
        return found

    def probed(self, name: str, readonly: str = "", **units: dict[str, object]) -> NodeAnswer:
        """A host whose units are up but for those of `units`, by the name before the dot."""
        known = {
            "chrony": UP,
            **({self.node(name).k3s_unit.removesuffix(".service"): UP} if self.node(name).k3s_unit else {}),
        }
        rooms = [
            {"path": path, "free": 1, "total": 2, "readonly": path == readonly}
            for path in ("/", "/etc", "/var/lib/fleet")
        ]
        told = {f"{unit.replace('_', '-')}.service": state for unit, state in {**known, **units}.items()}
        return NodeAnswer(name, "done", result={"probe": {"now": 1.0, "units": told, "rooms": rooms}})

    def set_ready(self, name: str, reason: str = "") -> None:
        staged = self.clusters[name[:4]].staged[name]
        staged.node = msgspec.structs.replace(staged.node, is_ready=not reason, reason=reason)

    def gates(self) -> FleetGates:
        hands = GateHands(
            self.web,
            self.metrics,
            self.commands,
            self.hand,
            self.records,
            self.clock,
            self._cluster_of if self.with_cluster else None,
        )
        return FleetGates(self.intent, hands)

    def ask(
        self, *gates: Gate, phase: Phase = "after", nodes: Sequence[str] = NODES, unready: Sequence[str] = ()
    ) -> list[GateAnswer]:
        return list(self.gates().ask(order(*gates, phase=phase, nodes=nodes, unready=unready)))

    def _cluster_of(self, server: Node) -> Cluster:
        self.asked.append(server.name)
        return self.clusters[server.cluster]


def order(*gates: Gate, phase: Phase = "after", nodes: Sequence[str] = NODES, unready: Sequence[str] = ()) -> GateOrder:
    return GateOrder("7f3c-pilot-after", "7f3c", 1, phase, "pilot", tuple(nodes), gates, tuple(unready))
