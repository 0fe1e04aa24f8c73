"""Labels and taints of Nodes that are registered come through the API, before the bundle that names them.

K3s gives its Node taints when it registers it and labels whenever it starts, and takes neither away (pkg/agent/run.go). A node
that is done is so by its own record; so its Node comes first, and a run that is cut off in between leaves the node to do.
A node that did not take the bundle keeps the labels and taints that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from fleet.errors import FleetError, RefusedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.bundle import BundleFacts
from fleet.model.cluster_node import ClusterNode, Given, NodeIdentity
from fleet.model.manifest import read_manifest
from fleet.model.node import Node
from fleet.operations.around import ApplierAround
from fleet.operations.asking import LEFT_OUT, ClusterOf, asked
from fleet.operations.intent import Intent
from fleet.ports.applier import Applier
from fleet.ports.cluster import Cluster
from fleet.ports.records import Records

_KUBERNETES_OWN = ("kubernetes.io", "k8s.io")


class Mark(msgspec.Struct, frozen=True):
    """A node whose Node is to get other labels or taints than the node's own configuration has said until now.

    `servers` are those of its cluster that can be asked, itself last. `given` is all that its configuration may have given the
    Node. `was_whole`: it has held a whole bundle, so that its K3s has been started.
    """

    node: NodeIdentity
    cluster: str
    servers: tuple[Node, ...]
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    given: Given
    was_whole: bool


class Before(msgspec.Struct, frozen=True):
    """What of a Node's labels and taints was ours, or became so, before it was changed."""

    labels: Mapping[str, str]
    taints: tuple[str, ...]


@dataclass
class _Step:
    """What Nodes had before, by node; what is to be said of nodes; why some are not touched."""

    before: dict[str, Before] = field(default_factory=dict)
    said: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


def marks(intent: Intent, records: Records, names: Iterable[str]) -> dict[str, Mark]:
    """Those of the nodes whose Node has to be changed. A sandbox has no Kubernetes; a node that never was sent a bundle gets
    everything from K3s when it registers.
    """
    nodes = {node.name: node for node in intent.fleet.nodes}
    those = [node for name in names if (node := nodes[name]).is_k3s and node.connection.type == "ssh"]
    held = {node.name: _digests(intent, node.name) for node in those}
    facts = _facts(records, {digest for digests in held.values() for digest in digests})
    found = {}
    for node in those:
        known = [facts.get(digest) for digest in held[node.name]]
        if any(each is None or not _is_wanted(each, node) for each in known):
            found[node.name] = _mark(intent, nodes, node, [each for each in known if each is not None])
    return found


def _digests(intent: Intent, name: str) -> list[str]:
    """Every bundle that the node may have: whole, in half, or sent without an answer."""
    record = intent.records.get(name)
    told = () if record is None else (record.last_digest, record.wanted)
    return [digest for digest in dict.fromkeys((*told, *intent.unanswered.get(name, ()))) if digest]


def _facts(records: Records, digests: set[str]) -> dict[str, BundleFacts]:
    found = {}
    for digest, text in records.manifests(digests).items() if digests else ():
        try:
            found[digest] = read_manifest(text).facts
        except (msgspec.MsgspecError, ValueError):
            continue
    return found


def _is_wanted(facts: BundleFacts, node: Node) -> bool:
    return (facts.labels, {*facts.taints}) == (node.settings.k3s.labels, {*node.settings.k3s.taints})


def _mark(intent: Intent, nodes: Mapping[str, Node], node: Node, facts: Sequence[BundleFacts]) -> Mark:
    records, k3s = intent.records, node.settings.k3s
    servers = [nodes[name] for name in intent.fleet.clusters[node.cluster].servers if name in records]
    record = records.get(node.name)
    return Mark(
        node=NodeIdentity(node.name, "" if record is None else record.machine_id),
        cluster=node.cluster,
        servers=tuple(sorted(servers, key=lambda each: (each is node, not records[each.name].last_digest))),
        labels=k3s.labels,
        taints=k3s.taints,
        given=Given(
            frozenset(key for each in facts for key in each.labels),
            frozenset(taint for each in facts for taint in each.taints),
        ),
        was_whole=bool(record and record.last_digest),
    )


class MarkingApplier(ApplierAround):
    """Fills `Applier` around another one. A node whose Node does not get its labels and taints is not touched, and fails."""

    def __init__(
        self,
        applier: Applier,
        marks_of: Callable[[Iterable[str]], Mapping[str, Mark]],
        cluster_of: ClusterOf,
        records: Records,
    ) -> None:
        super().__init__(applier)
        self._marks_of, self._cluster_of, self._records = marks_of, cluster_of, records

    def run_batch(self, order: BatchOrder) -> BatchResult:
        """Raises StoppedError after `stop_now`."""
        # What was begun was marked before it was; what goes back keeps the labels and taints that it has by now.
        due = {} if order.only_adopt or order.undo else self._marks_of(order.nodes)
        step = _Step()
        for name in dict.fromkeys(mark.cluster for mark in due.values()):
            self._go_on(order.batch_id)
            self._set_all([mark for mark in due.values() if mark.cluster == name], order, step)
        self._go_on(order.batch_id)
        found = {name: NodeResult(name, "failed", reason=why) for name, why in step.kept.items()}
        batch = BatchResult(order.batch_id, ())
        if going := tuple(name for name in order.nodes if name not in step.kept):
            batch = self._applier.run_batch(msgspec.structs.replace(order, nodes=going))
            for result in batch.results:
                name = result.node
                told = msgspec.structs.replace(result, warnings=(*result.warnings, *step.said.get(name, ())))
                is_behind = name in step.before and _is_as_before(result, order)
                found[name] = self._set_back(told, due[name], step.before[name]) if is_behind else told
        return msgspec.structs.replace(batch, results=tuple(found[name] for name in order.nodes if name in found))

    def _set_all(self, those: Sequence[Mark], order: BatchOrder, step: _Step) -> None:
        """Of one cluster, by one connection. Where it is lost, all that were still to come stay as they are."""
        if not those[0].servers:
            step.said |= {mark.node.name: _unregistered(mark) for mark in those}
            return
        try:
            with asked(those[0].servers, self._cluster_of) as (cluster, nodes):
                there = {node.name: node for node in nodes}
                for mark in those:
                    name = mark.node.name
                    if name not in there:
                        step.said[name] = _unregistered(mark)
                        continue
                    try:
                        step.before[name] = self._set(cluster, there[name], mark, order)
                    except RefusedError as error:
                        step.kept[name] = _reason(error)
        except FleetError as error:
            had = step.before.keys() | step.said.keys() | step.kept.keys()
            step.kept |= {mark.node.name: _reason(error) for mark in those if mark.node.name not in had}

    def _set(self, cluster: Cluster, node: ClusterNode, mark: Mark, order: BatchOrder) -> Before:
        if not mark.node.machine_id:
            raise RefusedError(
                f"which machine the Node {mark.node.name} is was never told",
                f"fleet plan --refresh --node {mark.node.name} asks it",
            )
        if wanted := order.wanted.get(mark.node.name):
            # Before the Node is changed: a plan that is made after a crash, of whatever commit, has this node to do.
            self._records.note_unanswered({mark.node.name: wanted})
        after = cluster.reconcile(mark.node, mark.labels, mark.taints, mark.given)
        return _before(node, after, mark)

    def _set_back(self, result: NodeResult, mark: Mark, before: Before) -> NodeResult:
        """Its bundle did not come: its own configuration still says what was there before."""
        try:
            with asked(mark.servers, self._cluster_of) as (cluster, _):
                cluster.reconcile(mark.node, before.labels, before.taints)
        except FleetError as error:
            warning = f"its Node has labels and taints of the bundle that did not come: {error.message}"
            return msgspec.structs.replace(result, warnings=(*result.warnings, warning))
        return result


def _unregistered(mark: Mark) -> tuple[str, ...]:
    told = "its cluster has no Node of it: K3s gives it its labels and taints when it registers"
    return (told,) if mark.was_whole else ()


def _reason(error: FleetError) -> str:
    hint = f"{error.hint}; {LEFT_OUT}" if error.hint else LEFT_OUT
    return f"its labels and taints could not be set: {error.message} ({hint})"


def _is_as_before(result: NodeResult, order: BatchOrder) -> bool:
    """Whether the node refused the bundle, or failed before anything of it was in place."""
    if result.outcome != "failed":
        return False
    return result.record is None or bool(result.record.digest and result.record.digest != order.wanted.get(result.node))


def _before(node: ClusterNode, after: ClusterNode, mark: Mark) -> Before:
    """Ours is what was changed and what is wanted. What Kubernetes changes by itself meanwhile is not."""
    named = mark.labels.keys() | mark.given.labels
    labels = {
        key: value
        for key, value in node.labels.items()
        if (key in mark.labels if after.labels.get(key) == value else key in named or not _is_kubernetes_own(key))
    }
    stayed, given = {str(taint) for taint in after.taints}, mark.given.taints
    taints = tuple(
        text
        for text, key in ((str(taint), taint.key) for taint in node.taints)
        if (text in mark.taints if text in stayed else text in given or not _is_kubernetes_own(key))
    )
    return Before(labels, taints)


def _is_kubernetes_own(key: str) -> bool:
    prefix = key.rpartition("/")[0]
    return any(prefix == own or prefix.endswith(f".{own}") for own in _KUBERNETES_OWN)
