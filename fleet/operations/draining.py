"""Servers whose K3s becomes another version give their pods away first, and take pods again once they are Ready.

Whose cordon it is stands on the Node itself: what a controller that died has left is taken back by whoever goes on.
Agents are not drained: K3s leaves their containers running while it restarts, and moving all of a site's pods at once would
be the outage that this is to avoid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from fleet.errors import FleetError, UnavailableError
from fleet.k3s.version import parsed
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.cluster_node import ClusterNode, NodeIdentity
from fleet.model.drain import DrainRule, NodeNotDrained
from fleet.model.node import Node
from fleet.operations.around import ApplierAround
from fleet.operations.asking import LEFT_OUT, ClusterOf, asked, quorum
from fleet.operations.intent import Intent
from fleet.ports.applier import Applier, Silent, answering
from fleet.ports.clock import Clock
from fleet.ports.cluster import Cluster

AT_ONCE = 8
READY_SECONDS = 300.0
_PAUSE = 1.0
T = TypeVar("T")


class Move(msgspec.Struct, frozen=True):
    """A server, and those of its cluster that can be asked: the others first, itself last. `drains`: its K3s becomes another
    version; else a run that was cut off may have left a cordon. `version` is the one that it is brought to, empty for any;
    `held` the one that it has told last.
    """

    node: NodeIdentity
    servers: tuple[Node, ...]
    version: str
    drains: bool
    held: str = ""


def moves(intent: Intent, *, is_resumed: bool = False, only_adopts: bool = False) -> dict[str, Move]:
    """The servers that a rollout drains, or may have drained before. A cluster of one machine has nowhere to move pods to; a
    sandbox has no Kubernetes. `only_adopts`: none is drained any more, and git may want another K3s than they were sent.
    """
    found = {}
    nodes = {node.name: node for node in intent.fleet.nodes}
    for cluster in intent.fleet.clusters.values():
        enrolled = [name for name in (*cluster.servers, *cluster.agents) if name in intent.records]
        servers = [nodes[name] for name in cluster.servers if name in intent.records]
        if len(enrolled) < 2 or any(server.connection.type != "ssh" for server in servers):
            continue
        for server in servers:
            told = intent.learned.nodes.get(server.name)
            held = "" if told is None else told.k3s_version
            record = intent.records[server.name]
            version = "" if only_adopts else server.settings.k3s.version
            drains = bool(version) and parsed(held) not in {None, parsed(version)}
            if drains or is_resumed or only_adopts or not record.digest:
                others = tuple(each for each in servers if each is not server)
                identity = NodeIdentity(server.name, record.machine_id)
                found[server.name] = Move(identity, (*others, server), version, drains, held)
    return found


class DrainingApplier(ApplierAround):
    """Fills `Applier` around another one. A server that cannot be drained is not touched, and fails; so does one whose Node
    is not Ready READY_SECONDS after it came through. That stops what comes after it in its cluster.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the drain, and what it is done with
        self, applier: Applier, found: Mapping[str, Move], cluster_of: ClusterOf, rule: DrainRule, clock: Clock,
        silent: Silent = answering,
    ) -> None:  # fmt: skip
        """A server that is `silent` is not drained: the applier finds it so as well, and nothing is done to it."""
        super().__init__(applier)
        self._silent = silent
        self._moves, self._cluster_of, self._rule, self._clock = found, cluster_of, rule, clock

    def run_batch(self, order: BatchOrder) -> BatchResult:
        """Raises StoppedError after `stop_now`."""
        # What was begun was drained before it was, and what goes back never changes K3s.
        drained = () if order.only_adopt or order.undo else self._to_drain(order.nodes)
        kept = {name: why for name, why in _of_each(drained, partial(self._drain, order.rollout_id)).items() if why}
        going = tuple(name for name in order.nodes if name not in kept)
        found: dict[str, NodeResult] = {}
        self._go_on(order.batch_id)
        result = BatchResult(order.batch_id, ())
        if going:
            result = self._applier.run_batch(msgspec.structs.replace(order, nodes=going))
            those = {each.node: each for each in result.results}
            found = _of_each(those, lambda name: self._back(those[name], order))
        found |= {name: NodeResult(name, "failed", reason=why) for name, why in kept.items()}
        return msgspec.structs.replace(result, results=tuple(found[name] for name in order.nodes if name in found))

    def _to_drain(self, names: Sequence[str]) -> list[str]:
        drained = [name for name in names if name in self._moves and self._moves[name].drains]
        silent = self._silent(drained) if drained else {}
        return [name for name in drained if name not in silent]

    def _drain(self, rollout: str, name: str) -> str:
        """Why it is not touched, empty where it may be."""
        move = self._moves[name]
        try:
            with asked(move.servers, self._cluster_of) as (cluster, nodes):
                return self._moved(cluster, nodes, move.node, rollout)
        except FleetError as error:
            return f"it could not be drained: {error.message} ({error.hint or LEFT_OUT})"

    def _moved(self, cluster: Cluster, nodes: Sequence[ClusterNode], server: NodeIdentity, rollout: str) -> str:
        if server.name not in {node.name for node in nodes}:
            return ""
        if refused := quorum(cluster, nodes, server.name).lost_for_a_while():
            return refused
        if not any(node.is_ready and not node.is_cordoned for node in nodes if node.name != server.name):
            return ""  # nowhere to go: its pods stay, and run on while K3s restarts
        for event in cluster.drain(server, self._rule, f"rollout {rollout}"):
            if isinstance(event, NodeNotDrained):
                cluster.uncordon(server)
                return f"it could not be drained: {event.reason} ({LEFT_OUT})"
        return ""

    def _back(self, result: NodeResult, order: BatchOrder) -> NodeResult:
        """The Node takes pods again; of one that failed, the next rollout that brings it through does it."""
        move = self._moves.get(result.node)
        if move is None:
            return result
        if result.outcome != "applied":
            return self._given_up(result, move) if order.only_adopt else result
        ends = self._clock.now() + (READY_SECONDS if move.drains else 0.0)
        while True:
            self._go_on(order.batch_id)
            try:
                why = self._uncordoned(move, move.version)
            except UnavailableError as error:  # its API server has just been restarted, or it is the only one
                why = error.message
            except FleetError as error:
                return msgspec.structs.replace(result, outcome="failed", reason=error.message)
            if not why:
                return result
            if self._clock.now() >= ends:
                return _late(result, move, why)
            self._clock.sleep(_PAUSE)

    def _given_up(self, result: NodeResult, move: Move) -> NodeResult:
        """Nobody goes on with it, and perhaps no rollout comes to it any more. Where its K3s is as it was, it takes pods."""
        if not move.held:
            return result
        try:
            self._uncordoned(move, move.held)
        except FleetError as error:
            warning = f"whether its Node was left cordoned is not known: {error.message}"
            return msgspec.structs.replace(result, warnings=(*result.warnings, warning))
        return result

    def _uncordoned(self, move: Move, version: str) -> str:
        """Empty once the Node is Ready with this K3s, and ours no more; else what it waits for."""
        with asked(move.servers, self._cluster_of) as (cluster, nodes):
            node = next((node for node in nodes if node.name == move.node.name), None)
            if node is None:
                return ""
            if waits := _waits(node, version):
                return waits
            if node.is_cordoned_by_fleet:
                cluster.uncordon(move.node)
        return ""


def _of_each(names: Iterable[str], does: Callable[[str], T]) -> dict[str, T]:
    """Side by side, as one batch may hold servers of many clusters. Raises what one raised, when all have ended."""
    listed = list(names)
    if not listed:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(listed)), thread_name_prefix="draining") as pool:
        return dict(zip(listed, pool.map(does, listed), strict=True))


def _late(result: NodeResult, move: Move, why: str) -> NodeResult:
    if move.drains:
        reason = f"its Node is not Ready {READY_SECONDS:.0f} s after it: {why}"
        return msgspec.structs.replace(result, outcome="failed", reason=reason)
    warning = f"whether an earlier run left its Node cordoned is not known: {why}"
    return msgspec.structs.replace(result, warnings=(*result.warnings, warning))


def _waits(node: ClusterNode, version: str) -> str:
    if not node.is_ready:
        return node.reason or "it does not say why"
    return (
        ""
        if not version or parsed(node.version) == parsed(version)
        else f"its kubelet is {node.version}, not {version}"
    )
