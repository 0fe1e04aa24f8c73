"""node retire: a host that left the spec is given back. node replace: its name is freed for new hardware."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import msgspec

from fleet.errors import FleetError, RefusedError, UnavailableError, UsageError
from fleet.formats import known_hosts as pins
from fleet.load import KNOWN_HOSTS_FILE
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.drain import DrainRule
from fleet.model.host import HostEvent, NodeReplaced, NodeRetired, NodeUntouched
from fleet.model.learned import LearnedCluster
from fleet.model.node import Node
from fleet.model.record import Record
from fleet.operations.asking import ClusterOf
from fleet.operations.intent import Intent
from fleet.operations.leaving import Leaving, delete, drain_out, leaving, rounds
from fleet.ports.applier import Hand
from fleet.ports.records import Records
from fleet.ports.source import Source

_STILL_LISTED = "Kubernetes still lists it: kubectl delete node {}"


class RetireOptions(msgspec.Struct, frozen=True):
    """`is_gone`: the hardware is not there any more, so nobody asks it. `drain` is how its pods are moved off it."""

    is_gone: bool = False
    commit: bool = True
    drain: DrainRule = DrainRule()


class _Change(msgspec.Struct, frozen=True):
    path: str = ""
    action: str = ""


class _Result(msgspec.Struct, frozen=True):
    changes: tuple[_Change, ...] = ()


class RetireHands(msgspec.Struct, frozen=True, eq=False):
    """What a node is given back with: what git said at a commit, a hand for that, and where things are kept.

    `cluster_of` None: nobody talks to Kubernetes.
    """

    at: Callable[[str], Intent]
    hand_for: Callable[[Intent], Hand]
    records: Records
    source: Source
    cluster_of: ClusterOf | None = None


def retire(names: Sequence[str], intent: Intent, hands: RetireHands, options: RetireOptions) -> Iterator[HostEvent]:
    """Gives back orphans, each by the spec of the commit that it was last applied from. Raises UsageError, before any of
    them is touched, for a node that the spec still has, that nobody knows, or that cannot be reached by any commit.
    """
    names = list(dict.fromkeys(names))
    _refuse_unknown(intent, names)
    by_commit: dict[str, list[str]] = {}
    for name in names:
        by_commit.setdefault(intent.records[name].commit, []).append(name)
    before = {commit: _before(commit, those, hands.at, is_gone=options.is_gone) for commit, those in by_commit.items()}
    gone: dict[str, str] = {}
    try:
        for commit, those in by_commit.items():
            for event in _Giving(intent, before[commit], names, hands, options).back(those):
                if isinstance(event, NodeRetired):
                    gone |= dict.fromkeys(event.unpinned, event.node)
                yield event
    finally:  # whoever stops listening, or an error on the way: what is forgotten is pinned no more
        _unpin(intent, gone, hands.source, commit=options.commit)


class _Giving:
    """Back of those of one commit; `all_names` are those of all commits. What leaves known_hosts is still in it."""

    def __init__(
        self,
        intent: Intent,
        before: Intent | None,
        all_names: Sequence[str],
        hands: RetireHands,
        options: RetireOptions,
    ) -> None:
        self._intent, self._before, self._hands, self._options = intent, before, hands, options
        self._nodes = {} if before is None else {node.name: node for node in before.fleet.nodes}
        self._leaving: Mapping[str, Leaving] = {}
        if before is not None and hands.cluster_of is not None:
            self._leaving = leaving(intent, before, set(all_names))

    def back(self, names: Sequence[str]) -> Iterator[HostEvent]:
        clusters = {name: node.cluster for name, node in self._nodes.items()}
        for part in rounds(names, self._leaving, clusters):
            ready = []
            for name in part:
                untouched = yield from self._drain_out(name)
                if untouched is not None:
                    yield untouched
                else:
                    ready.append(name)
            yield from self._give_back(ready)

    def _drain_out(self, name: str) -> Generator[HostEvent, None, NodeUntouched | None]:
        one = self._leaving.get(name)
        if one is None or self._hands.cluster_of is None or self._options.is_gone:
            return None
        return (yield from drain_out(one, self._hands.cluster_of, self._options.drain))

    def _give_back(self, names: Sequence[str]) -> Iterator[HostEvent]:
        is_asked = bool(names) and self._before is not None and not self._options.is_gone
        hand = self._hands.hand_for(self._before) if is_asked and self._before is not None else None
        for answer in _answers(names, hand, {name: self._intent.expected(name) for name in names}):
            if isinstance(answer, NodeUntouched):
                yield answer
                continue
            node = self._nodes.get(answer.node)
            unpinned = _pinned_for(self._intent, node)
            left = self._leave_cluster(answer.node)
            self._hands.records.forget([answer.node])
            if self._before is not None and node is not None:
                _forget_cluster(self._before, node, self._hands.records)
            is_out = answer.node in self._leaving and not left
            yield msgspec.structs.replace(answer, unpinned=unpinned, left=left, left_cluster=is_out)

    def _leave_cluster(self, name: str) -> tuple[str, ...]:
        """Once the host has given itself back. What only a person can do, where it did not come through."""
        if self._hands.cluster_of is None:
            return _left(self._nodes.get(name))
        if (one := self._leaving.get(name)) is None:
            return ()
        try:
            delete(one, self._hands.cluster_of, is_gone=self._options.is_gone)
        except (UnavailableError, RefusedError) as error:
            return (f"{_STILL_LISTED.format(name)} ({error.message})",)
        return ()


def _refuse_unknown(intent: Intent, names: Sequence[str]) -> None:
    living = {node.name for node in intent.fleet.nodes}
    here = [name for name in names if name in living]
    unknown = [name for name in names if name not in living and name not in intent.records]
    told = [f"{', '.join(here)} {'is a node' if len(here) == 1 else 'are nodes'} of the fleet"] if here else []
    if unknown:
        told.append(f"no node {' or '.join(unknown)} was ever applied from here")
    if told:
        hint = "Take it out of the spec and commit that first, then retire it."
        raise UsageError("; ".join(told), hint if here else "fleet plan names the nodes that left the spec.")


def _before(commit: str, names: Sequence[str], at: Callable[[str], Intent], *, is_gone: bool) -> Intent | None:
    """The spec that still had them. None where it is not to be had, and not needed."""
    try:
        if not commit:
            raise UsageError(f"{names[0]} was applied from no commit")
        before = at(commit)
        missing = set(names) - {node.name for node in before.fleet.nodes}
        if missing:
            raise UsageError(f"commit {commit[:7]} does not have {min(missing)}")
    except FleetError as error:
        if is_gone:
            return None
        raise UsageError(
            f"how to reach {names[0]} is not to be found out: {error.message}",
            "Put it back into the spec and apply it once; or, if the hardware is gone, say --gone.",
        ) from None
    return before


def _answers(names: Sequence[str], hand: Hand | None, expect: dict[str, str]) -> Iterator[NodeRetired | NodeUntouched]:
    if hand is None:
        yield from (NodeRetired(name, was_asked=False) for name in names)
    else:
        yield from map(_answered, hand.run(NodeTask("retire", expect=expect), names))


def _answered(answer: NodeAnswer) -> NodeRetired | NodeUntouched:
    if answer.outcome != "done":
        return NodeUntouched(answer.node, answer.outcome, answer.reason)
    try:
        changes = msgspec.convert(answer.result, _Result, strict=False).changes
    except msgspec.ValidationError as error:
        return NodeUntouched(answer.node, "failed", f"what it tells of itself cannot be read: {error}")
    return NodeRetired(
        answer.node,
        restored=tuple(change.path for change in changes if change.action == "restore"),
        removed=tuple(change.path for change in changes if change.action == "remove"),
    )


def _forget_cluster(before: Intent, node: Node, records: Records) -> None:
    """A cluster of which no member is left has never been: one of the same name founds itself anew."""
    if node.cluster:
        cluster = before.fleet.clusters[node.cluster]
        if not {*cluster.servers, *cluster.agents} & records.all().keys():
            records.learn_clusters({node.cluster: LearnedCluster()})


def _pinned_for(intent: Intent, node: Node | None) -> tuple[str, ...]:
    """The place in known_hosts that only this node had. A node of the spec may be reached there now."""
    if node is None or node.connection.type != "ssh":
        return ()
    way = node.connection
    target = pins.target(way.address, way.port)
    others = {pins.target(each.connection.address, each.connection.port) for each in intent.fleet.nodes}
    text = intent.spec.known_hosts.decode("utf-8", errors="surrogateescape")
    return () if target in others or pins.removed(text, [target]) == text else (target,)


def _unpin(intent: Intent, gone: dict[str, str], source: Source, *, commit: bool) -> None:
    if gone:
        text = pins.removed(intent.spec.known_hosts.decode("utf-8", errors="surrogateescape"), gone)
        message = f"Forget the host keys of {', '.join(gone.values())}" if commit else ""
        source.write(KNOWN_HOSTS_FILE, text.encode("utf-8", errors="surrogateescape"), message)


def _left(node: Node | None) -> tuple[str, ...]:
    if node is None or not node.is_k3s:
        return ()
    return (_STILL_LISTED.format(node.name),)


def enrolled(intent: Intent, name: str) -> Record:
    """The record of a node of the spec. Raises UsageError for one that is not in the spec, or was never applied."""
    if name not in {node.name for node in intent.fleet.nodes}:
        raise UsageError(f"the fleet has no node called {name}", "fleet node list")
    record = intent.records.get(name)
    if record is None:
        raise UsageError(f"{name} was never enrolled: there is nothing to replace", f"fleet apply --node {name}")
    return record


def replace(intent: Intent, name: str, records: Records, cluster_of: ClusterOf | None = None) -> NodeReplaced:
    """Frees the name of a node of the spec for new hardware, in its cluster first. `cluster_of` None: nobody talks to
    Kubernetes. Raises UsageError as `enrolled` does, and what `leaving.delete` does: then nothing is forgotten.
    """
    record = enrolled(intent, name)
    one = leaving(intent, intent, {name}).get(name)
    if one is not None and cluster_of is not None:
        try:
            delete(one, cluster_of, is_gone=True)
        except (UnavailableError, RefusedError) as error:
            raise type(error)(error.message, error.hint or _FREES_NAME.format(name)) from None
    left = () if one is None or cluster_of is not None else (_STILL_LISTED.format(name),)
    records.forget([name])
    return NodeReplaced(
        name, record.machine_id, record.last_digest, left, left_cluster=one is not None and cluster_of is not None
    )


_FREES_NAME = "--no-cluster frees the name alone; kubectl delete node {} before the new machine joins"
