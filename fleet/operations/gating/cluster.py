"""Cluster gates: the Nodes of the wave's clusters are there, and as Ready as before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleet.formats.words import count, some
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
            fallen = () if scene.phase == "before" else _fallen(name, found, scene.order.unready)
            return Try("; ".join(fallen))

        tried = Crowd(scene, gate.timeout, tries).ask(asked, AT_ONCE)
        found = [(name, told[name]) for name in asked if name in told]
        unready = _named((name, node.name) for name, each in found for node in each.nodes if not node.is_ready)
        missing = _named((name, node) for name, each in found for node in each.missing)
        whys = [each.why for each in tried if each.why]
        outcome: Outcome = "passed"
        if whys:
            outcome = "unknown" if all(each.is_unknown for each in tried if each.why) else "failed"
        measured = _measured(told, unready, missing, new=len(names) - len(asked))
        return GateAnswer(
            "cluster",
            outcome,
            measured,
            some(list(dict.fromkeys(whys))),
            unready=(*unready, *missing) if scene.phase == "before" else (),
        )


def _named(nodes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{cluster}/{node}" for cluster, node in nodes)


def _fallen(cluster: str, found: Told, unready: Sequence[str]) -> Iterator[str]:
    """Why the Nodes are not as they were, `unready` being those that were not Ready or not there before."""
    before = set(unready)
    for node in found.nodes:
        if not node.is_ready and (name := f"{cluster}/{node.name}") not in before:
            yield f"{name} is not Ready: {node.reason or 'it does not say why'}"
    for missing in found.missing:
        if (name := f"{cluster}/{missing}") not in before:
            yield f"{name} is gone: Kubernetes has no Node of its name"


def _measured(told: Mapping[str, Told], unready: Sequence[str], missing: Sequence[str], new: int) -> str:
    answered = [each for each in told.values() if not each.trouble]
    parts = []
    if answered:
        nodes = sum(len(each.nodes) for each in answered)
        parts.append(f"{count(nodes, 'Node')} of {count(len(answered), 'cluster')}")
        parts.append(f"not Ready: {some(unready)}" if unready else "all Ready")
    if missing:
        parts.append(f"no Node: {some(missing)}")
    if new:
        parts.append(f"{count(new, 'cluster')} not founded yet")
    return ", ".join(parts) or ("" if told else "no cluster to ask")
