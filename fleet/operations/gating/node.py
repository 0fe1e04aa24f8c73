"""Node gates: the units of each node are up, and its Kubernetes Node is Ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from fleet.formats.words import count
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.cluster_node import ClusterNode
from fleet.model.diagnosis import Probe, UnitState
from fleet.model.gate import GateAnswer, NodeGate
from fleet.model.node import Node
from fleet.operations.asking import ClusterOf
from fleet.operations.gating.answers import of_each
from fleet.operations.gating.kubernetes import AT_ONCE, LEFT_OUT, Clusters, Told
from fleet.operations.gating.scene import STOPPED, Scene, each_at_once
from fleet.ports.applier import Hand
from fleet.ports.records import Records

WATCH_SECONDS = 3
"""So long a unit is watched on its node: one that crashes and is started again is active most of the time."""
_PAUSE = 3.0
_WRITTEN = frozenset({"/etc", "/var/lib/fleet", "/var/lib/rancher"})


class Ill(msgspec.Struct, frozen=True):
    """Why a node does not pass. `is_unknown`: it could not be asked; `is_final`: no time mends that."""

    why: str
    is_unknown: bool = False
    is_final: bool = False


class NodeAsker:
    """`cluster_of` None: nobody talks to Kubernetes, and only units count."""

    def __init__(self, hand: Hand, records: Records, cluster_of: ClusterOf | None) -> None:
        self._hand, self._records, self._cluster_of = hand, records, cluster_of

    def ask(self, gate: NodeGate, scene: Scene) -> GateAnswer:
        """All in one run of Ansible, then again those that did not pass, until `timeout` after all were asked once."""
        clusters = Clusters(scene, self._records, self._cluster_of)
        ill: dict[str, Ill] = {}
        ends = None
        asked: Sequence[Node] = scene.nodes
        while asked:
            ill = self._once(asked, clusters, gate.timeout)
            ends = scene.clock.now() + gate.timeout if ends is None else ends
            if all(each.is_final for each in ill.values()) or scene.clock.now() + _PAUSE >= ends:
                break
            scene.stop.sleep(_PAUSE)
            if scene.stop.is_wished:
                break
            asked = [node for node in asked if node.name in ill]
        if scene.stop.is_wished:
            ill = {name: Ill(STOPPED, is_unknown=True) for name in ill}
        whys = {name: each.why for name, each in ill.items()}
        unknown = {name for name, each in ill.items() if each.is_unknown}
        return of_each("node", whys, unknown, len(scene.nodes), self._measured(scene, whys, clusters))

    def _once(self, nodes: Sequence[Node], clusters: Clusters, timeout: float) -> dict[str, Ill]:
        units = {node.name: _units(node) for node in nodes}
        task = NodeTask(
            "probe",
            {
                "fleet_run_units": units,
                "fleet_run_watch": WATCH_SECONDS,
                "fleet_run_timeout": ceil(timeout) + WATCH_SECONDS,
            },
        )
        by_name = {node.name: node for node in nodes}
        ill: dict[str, Ill] = {}
        answered: set[str] = set()
        for answer in self._hand.run(task, list(by_name)):
            answered.add(answer.node)
            if found := _of_host(by_name[answer.node], answer):
                ill[answer.node] = found
        ill |= {name: Ill("it did not answer", is_unknown=True) for name in by_name if name not in answered}
        return ill | self._of_kubernetes([node for node in nodes if node.name not in ill], clusters)

    def _of_kubernetes(self, nodes: Sequence[Node], clusters: Clusters) -> dict[str, Ill]:
        if self._cluster_of is None:
            return {}
        told: dict[str, Told] = {}
        names = clusters.names(nodes)
        each_at_once(names, AT_ONCE, lambda name: told.update({name: clusters.told(name)}))
        found = ((node.name, _of_node(node, told[node.cluster])) for node in nodes if node.cluster in told)
        return {name: ill for name, ill in found if ill}

    def _measured(self, scene: Scene, ill: Mapping[str, str], clusters: Clusters) -> str:
        nodes, parts = scene.nodes, []
        if nodes:
            units = sum(len(_units(node)) for node in nodes)
            parts = [f"{len(nodes) - len(ill):,} of {count(len(nodes), 'node')} well, {count(units, 'unit')} looked at"]
        if pretended := sum(node.connection.type == "sandbox" for node in nodes):
            parts.append(f"{count(pretended, 'sandbox', 'sandboxes')}, in which units are only written down")
        if self._cluster_of is None and clusters.names(nodes):
            parts.append(LEFT_OUT)
        parts += [scene.left] if scene.left else []
        return ", ".join(parts) or "no node to ask"


def _units(node: Node) -> list[str]:
    """K3s's, and those that the spec wants started."""
    started = [unit.name for unit in node.settings.os.units if unit.state == "started"]
    return list(dict.fromkeys([node.k3s_unit, *started] if node.k3s_unit else started))


def _of_host(node: Node, answer: NodeAnswer) -> Ill | None:
    if answer.outcome == "unreachable":
        return Ill(answer.reason, is_unknown=True)
    if answer.outcome == "failed":
        return Ill(answer.reason)
    try:
        probe = msgspec.convert(answer.result.get("probe"), Probe)
    except msgspec.ValidationError as error:
        return Ill(f"what it tells of itself cannot be read: {error}", is_unknown=True)
    whys = [why for name in _units(node) if (why := _of_unit(name, probe.units.get(name)))]
    if node.connection.type == "ssh":
        whys += [f"{room.path} is read-only" for room in probe.rooms if room.readonly and room.path in _WRITTEN]
    return Ill("; ".join(whys)) if whys else None


def _of_unit(name: str, unit: UnitState | None) -> str:
    if unit is None:
        return f"{name} was not looked at"
    if unit.load != "loaded":
        return f"{name} is not there" if unit.load == "not-found" else f"{name} is {unit.load}"
    times = f", {count(unit.restarts, 'time')} so far" if unit.restarts else ""
    if unit.sub == "auto-restart" or unit.is_restarting:
        return f"{name} crashes and is restarted{times}"
    if unit.active in {"active", "reloading", "refreshing"} or unit.is_over:
        return ""
    return f"{name} is {unit.active}{unit.result and f' ({unit.result})'}"


def _of_node(node: Node, told: Told) -> Ill | None:
    if told.trouble:
        return Ill(told.trouble, is_unknown=True, is_final=told.is_final)
    found: ClusterNode | None = next((each for each in told.nodes if each.name == node.name), None)
    if found is None:
        return Ill("Kubernetes has no Node of its name")
    return None if found.is_ready else Ill(f"its Node is not Ready: {found.reason or 'it does not say why'}")
