"""Which changing nodes come in which wave. Units are never split, and no agent comes before its servers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from fleet.model.fleet import ResolvedFleet
from fleet.model.node import Node
from fleet.model.policy import PolicyWave, RolloutPolicy, Wave
from fleet.resolve.scope import seen_labels
from fleet.resolve.selector import matches

EVERYONE = "everyone"


class _Unit(msgspec.Struct, frozen=True, eq=False):
    """Nodes that go together. `after` names the node that must be in this wave or an earlier one, empty for none."""

    nodes: tuple[Node, ...]
    after: str = ""


def waves(fleet: ResolvedFleet, changing: Collection[str]) -> tuple[Wave, ...]:
    """The waves of the fleet's policy, in their order; without a policy, all nodes in one. A wave may be empty.

    A wave that names one changing node of a unit takes the unit. What no wave names comes in a last one.
    """
    nodes = [node for node in fleet.nodes if node.name in changing]
    places = {node.name: at for at, node in enumerate(nodes)}
    policy = fleet.policy
    if policy is None:
        return (Wave(EVERYONE, tuple(places), len(_clusters(nodes))),)
    left = _clusters(nodes) if policy.unit == "cluster" else _single(fleet, nodes)
    found = []
    gone: set[str] = set()
    for wave in policy.waves:
        taken = _taken(wave, left, gone)
        left = [unit for unit in left if unit.nodes[0].name not in gone]
        found.append(_made(wave.name, taken, places, wave))
    if left:
        name = EVERYONE
        while any(wave.name == name for wave in policy.waves):
            name += "-else"
        found.append(_made(name, left, places, policy))
    return tuple(found)


def matches_nothing(fleet: ResolvedFleet) -> frozenset[str]:
    """The waves whose selector asks for what no node of the fleet is."""
    policy = fleet.policy
    asked = {wave.name: wave.selector for wave in policy.waves if wave.selector} if policy else {}
    for node in fleet.nodes:
        if not asked:
            break
        labels = seen_labels(node)
        for name in [name for name, selector in asked.items() if matches(selector, labels)]:
            del asked[name]
    return frozenset(asked)


def _clusters(nodes: Sequence[Node]) -> list[_Unit]:
    """A host without a cluster is a unit of its own."""
    units: dict[tuple[str, str], list[Node]] = {}
    for node in nodes:
        units.setdefault((node.cluster, "" if node.cluster else node.name), []).append(node)
    return [_Unit(tuple(those)) for those in units.values()]


def _single(fleet: ResolvedFleet, nodes: Sequence[Node]) -> list[_Unit]:
    """Each node by itself: a cluster's servers in the order of updating, then its agents."""
    ranks = {name: rank for cluster in fleet.clusters.values() for rank, name in enumerate(cluster.servers)}
    units = []
    for cluster in _clusters(nodes):
        servers = sorted((node for node in cluster.nodes if node.role == "server"), key=lambda node: ranks[node.name])
        after = ""
        for server in servers:
            units.append(_Unit((server,), after))
            after = server.name
        units += [_Unit((node,), after) for node in cluster.nodes if node.role != "server"]
    return units


def _taken(wave: PolicyWave, left: Sequence[_Unit], gone: set[str]) -> list[_Unit]:
    """The units that a wave takes of those that no earlier one took; their nodes come into `gone`."""
    most = len(left) if wave.limit is None else wave.limit.of(len(left))
    taken: list[_Unit] = []
    for unit in left:
        if len(taken) >= most:
            break
        if _is_named(wave, unit) and (not unit.after or unit.after in gone):
            taken.append(unit)
            gone.update(node.name for node in unit.nodes)
    return taken


def _is_named(wave: PolicyWave, unit: _Unit) -> bool:
    return wave.selector is None or any(matches(wave.selector, seen_labels(node)) for node in unit.nodes)


def _made(name: str, units: Sequence[_Unit], places: dict[str, int], asked: PolicyWave | RolloutPolicy) -> Wave:
    names = sorted((node.name for unit in units for node in unit.nodes), key=places.__getitem__)
    needs_approval = isinstance(asked, PolicyWave) and asked.needs_approval
    return Wave(name, tuple(names), len(units), asked.success_threshold, asked.min_finished, needs_approval)
