from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec

from fleet.errors import RefusedError, UnavailableError
from fleet.model.cluster_node import (
    CORDON_MANAGER,
    FIELD_MANAGER,
    NOTHING_GIVEN,
    ClusterNode,
    DatastoreHealth,
    EtcdMember,
    Given,
    NodeIdentity,
    Taint,
)
from fleet.model.drain import (
    DrainEvent,
    DrainRule,
    NodeDrained,
    NodeNotDrained,
    Pod,
    PodEvicted,
    PodGone,
    PodHeld,
    PodLeft,
    fate,
)
from fleet.ports.clock import Clock
from fleet.testing.clock import MemoryClock
from fleet.testing.cluster_stage import REGISTRATION, MemoryPod, Owned, StagedNode


class MemoryCluster:
    """Stands in for a cluster. What happens there without fleet is done by its `add_...` and `others_...`; a pod ends when
    it is evicted, unless it was added as one that does not.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or MemoryClock()
        self.staged: dict[str, StagedNode] = {}
        self.pods: dict[str, MemoryPod] = {}
        self.allowed: dict[tuple[str, str], int] = {}
        """What a PodDisruptionBudget, by name and the app that it is for, still grants."""
        self.passwords: set[str] = set()
        self.is_serving = True
        self.unreachable = ""
        """Why every call raises UnavailableError now, empty while none does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def nodes(self) -> Sequence[ClusterNode]:
        self._reach("list the Nodes")
        return [self.staged[name].plain() for name in sorted(self.staged)]

    def reconcile(
        self, node: NodeIdentity, labels: Mapping[str, str], taints: Sequence[str], given: Given = NOTHING_GIVEN
    ) -> ClusterNode:
        found = self._find(node)
        _check(found, labels)
        wanted = {(taint.key, taint.effect): taint for taint in map(Taint.parse, taints)}
        ours = found.our_taints.union(map(Taint.parse, given.taints))
        for taint in found.taints:
            place = (taint.key, taint.effect)
            if place in wanted and wanted[place] != taint and taint not in ours:
                raise RefusedError(f"the Node {node.name} has the taint {taint}, which fleet did not set")
        before = found.state()
        _label(found, labels, given)
        kept = [taint for taint in found.taints if taint not in ours or taint in wanted.values()]
        found.taints = [*kept, *(taint for taint in wanted.values() if taint not in kept)]
        found.our_taints = set(wanted.values())
        found.writes += found.state() != before
        return found.plain()

    def cordon(self, node: NodeIdentity, reason: str) -> ClusterNode:  # noqa: ARG002
        found = self._find(node)
        found.cordons.add(CORDON_MANAGER)
        return found.plain()

    def uncordon(self, node: NodeIdentity) -> ClusterNode:
        found = self._find(node)
        found.cordons.discard(CORDON_MANAGER)
        return found.plain()

    def drain(self, node: NodeIdentity, rule: DrainRule, reason: str) -> Iterator[DrainEvent]:
        self.cordon(node, reason)
        pods = sorted((pod for pod in self.pods.values() if pod.node == node.name), key=lambda pod: pod.name)
        fates = {pod.name: fate(pod.plain, rule) for pod in pods}
        if refused := [pod.name for pod in pods if fates[pod.name].what == "refuse"]:
            why = ", ".join(f"{name} ({fates[name].reason})" for name in refused)
            yield NodeNotDrained(node.name, f"nothing was evicted: {why}", tuple(refused))
            return
        yield from (PodLeft(node.name, pod.name, fates[pod.name].reason) for pod in pods if fates[pod.name].reason)
        yield from self._empty(node.name, [pod for pod in pods if fates[pod.name].what == "evict"], rule)

    def delete(self, node: NodeIdentity) -> None:
        self._reach(f"delete the Node {node.name}")
        if node.name in self.staged:
            self._find(node)
            del self.staged[node.name]
        self.passwords.discard(node.name)

    def datastore(self) -> DatastoreHealth:
        self._reach("ask for the datastore's health")
        if not self.is_serving:
            return DatastoreHealth(is_serving=False, reason="etcd failed: reason withheld")
        said = ((name, node.etcd) for name, node in sorted(self.staged.items()) if node.etcd)
        return DatastoreHealth(
            True, members=tuple(EtcdMember(name, why == "MemberNotLearner", why) for name, why in said)
        )

    def _empty(self, node: str, going: list[MemoryPod], rule: DrainRule) -> Iterator[DrainEvent]:
        ends = self.clock.now() + rule.timeout
        held: dict[str, PodHeld] = {}
        asked: set[str] = set()
        gone = 0
        while True:
            self._reach(f"list the pods of the Node {node}")
            for pod in [pod for pod in going if pod.name not in self.pods]:
                going.remove(pod)
                gone += 1
                yield PodGone(node, pod.name)
            if not going:
                yield NodeDrained(node, gone)
                return
            if self.clock.now() >= ends:
                why = ", ".join(f"{pod.name} ({_what_holds(pod, held)})" for pod in going)
                yield NodeNotDrained(
                    node, f"not within {rule.timeout:g} s: {why}", tuple(sorted(pod.name for pod in going))
                )
                return
            for pod in going:
                if pod.name not in asked:
                    yield from self._evict(node, pod, held, asked)
            self.clock.sleep(1.0)

    def _evict(self, node: str, pod: MemoryPod, held: dict[str, PodHeld], asked: set[str]) -> Iterator[DrainEvent]:
        budget = next(
            (each for each in self.allowed if pod.app and each[1] == pod.app and not pod.plain.is_finished), None
        )
        if budget and self.allowed[budget] <= 0:
            said = PodHeld(node, pod.name, budget[0].partition("/")[2], "the budget grants none now")
            if held.get(pod.name) != said:
                held[pod.name] = said
                yield said
            return
        if budget:
            self.allowed[budget] -= 1
        held.pop(pod.name, None)
        asked.add(pod.name)
        if not pod.never_ends:
            del self.pods[pod.name]
        yield PodEvicted(node, pod.name)

    def _reach(self, step: str) -> None:
        if self.unreachable:
            raise UnavailableError(f"the API server could not {step}: {self.unreachable}")

    def _find(self, node: NodeIdentity) -> StagedNode:
        self._reach(f"find the Node {node.name}")
        found = self.staged.get(node.name)
        if found is None:
            raise RefusedError(f"the cluster has no Node {node.name}")
        if not node.machine_id or found.node.machine_id != node.machine_id:
            machine = found.node.machine_id
            raise RefusedError(f"the Node {node.name} is another machine, with machine-id {machine}")
        return found

    # What happens without fleet.

    def add_node(self, node: ClusterNode, labels: Mapping[str, str] | None = None, etcd: str = "") -> None:
        """Registers; `labels` are its registration's. `etcd` is what K3s says of the member there (MemberNotLearner)."""
        owned = {key: Owned(value, {REGISTRATION}) for key, value in (labels or {}).items()}
        self.staged[node.name] = StagedNode(
            msgspec.structs.replace(node, labels={}), owned, list(node.taints), etcd=etcd
        )
        self.passwords.add(node.name)

    def add_pod(self, node: str, pod: Pod, app: str = "", *, never_ends: bool = False) -> None:
        self.pods[pod.name] = MemoryPod(pod.name, node, pod, app, never_ends)

    def end_pod(self, name: str) -> None:
        del self.pods[name]

    def set_budget(self, name: str, app: str, allowed: int) -> None:
        """`name` is NAMESPACE/NAME."""
        self.allowed[(name, app)] = allowed

    def others_label(self, manager: str, node: str, labels: Mapping[str, str]) -> None:
        for key, value in labels.items():
            self.staged[node].labels[key] = Owned(value, {manager})

    def others_taint(self, node: str, taint: str) -> None:
        self.staged[node].taints.append(Taint.parse(taint))

    def others_cordon(self, manager: str, node: str) -> None:
        """Does nothing where there is a cordon, as kubectl."""
        self.staged[node].cordons = self.staged[node].cordons or {manager}

    def others_uncordon(self, node: str) -> None:
        self.staged[node].cordons.clear()

    def pods_on(self, node: str) -> set[str]:
        return {name for name, pod in self.pods.items() if pod.node == node}

    def has_password(self, node: str) -> bool:
        return node in self.passwords

    def revision(self, node: str) -> str:
        """Changes when the Node's labels or taints do."""
        return str(self.staged[node].writes)


def _check(found: StagedNode, labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        there = found.labels.get(key)
        if there is None or there.value == value:
            continue
        if strangers := sorted(there.owners - {FIELD_MANAGER, REGISTRATION}):
            raise RefusedError(f"the label {key} of the Node {found.node.name} is {there.value!r} by {strangers[0]}")


def _label(found: StagedNode, labels: Mapping[str, str], given: Given) -> None:
    for key, there in list(found.labels.items()):
        if key not in labels and (FIELD_MANAGER in there.owners or key in given.labels):
            there.owners -= (
                {FIELD_MANAGER, REGISTRATION} if there.owners <= {FIELD_MANAGER, REGISTRATION} else {FIELD_MANAGER}
            )
            if not there.owners:
                del found.labels[key]
    for key, value in labels.items():
        if key in found.labels and found.labels[key].value == value:
            found.labels[key].owners.add(FIELD_MANAGER)
        else:
            found.labels[key] = Owned(value, {FIELD_MANAGER})


def _what_holds(pod: MemoryPod, held: Mapping[str, PodHeld]) -> str:
    if pod.name not in held:
        return "it was told to end and is still there"
    return f"PodDisruptionBudget {held[pod.name].budget}: {held[pod.name].reason}"
