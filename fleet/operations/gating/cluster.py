"""Cluster gates: the Nodes of the wave's clusters are as Ready as before it."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.formats.words import count, some
from fleet.model.cluster_node import ClusterNode
from fleet.model.gate import ClusterGate, GateAnswer
from fleet.operations.asking import ClusterOf
from fleet.operations.gating.answers import Outcome, Try
from fleet.operations.gating.crowd import Crowd
from fleet.operations.gating.kubernetes import AT_ONCE, LEFT_OUT, Clusters, Told
from fleet.operations.gating.scene import Scene
from fleet.ports.records import Records


class ClusterAsker:
    """`cluster_of` None: nobody talks to Kubernetes."""

    def __init__(self, records: Records, cluster_of: ClusterOf | None) -> None:
        self._records, self._cluster_of = records, cluster_of

    def ask(self, gate: ClusterGate, scene: Scene) -> GateAnswer:
        """Before a wave it only measures. A cluster that has never existed is looked at afterwards alone: all of its Nodes are
        to be Ready then.
        """
        clusters = Clusters(scene, self._records, self._cluster_of)
        names = clusters.names(scene.nodes)
        if names and self._cluster_of is None:
            return GateAnswer("cluster", "unknown", reason=LEFT_OUT)
        asked = [name for name in names if scene.phase == "after" or clusters.exists(name)]
        told: dict[str, Told] = {}

        def tries(name: str, _: float) -> Try:
            found = told[name] = clusters.told(name)
            if found.trouble:
                return Try(found.trouble, found.is_final, is_unknown=True)
            fallen = [] if scene.phase == "before" else _fallen(name, found.nodes, scene.order.unready)
            return Try("; ".join(fallen))

        tried = Crowd(scene, gate.timeout, tries).ask(asked, AT_ONCE)
        unready = tuple(
            f"{name}/{node.name}" for name in asked if name in told for node in told[name].nodes if not node.is_ready
        )
        whys = [each.why for each in tried if each.why]
        outcome: Outcome = "passed"
        if whys:
            outcome = "unknown" if all(each.is_unknown for each in tried if each.why) else "failed"
        measured = _measured(told, unready, new=len(names) - len(asked))
        return GateAnswer(
            "cluster",
            outcome,
            measured,
            some(list(dict.fromkeys(whys))),
            unready=unready if scene.phase == "before" else (),
        )


def _fallen(cluster: str, nodes: Sequence[ClusterNode], unready: Sequence[str]) -> list[str]:
    before = set(unready)
    names = ((f"{cluster}/{node.name}", node) for node in nodes if not node.is_ready)
    return [
        f"{name} is not Ready: {node.reason or 'it does not say why'}" for name, node in names if name not in before
    ]


def _measured(told: dict[str, Told], unready: Sequence[str], new: int) -> str:
    answered = [each for each in told.values() if not each.trouble]
    parts = []
    if answered:
        nodes = sum(len(each.nodes) for each in answered)
        parts.append(f"{count(nodes, 'Node')} of {count(len(answered), 'cluster')}")
        parts.append(f"not Ready: {some(unready)}" if unready else "all Ready")
    if new:
        parts.append(f"{count(new, 'cluster')} not founded yet")
    return ", ".join(parts) or ("" if told else "no cluster to ask")
