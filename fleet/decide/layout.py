"""What follows from an order alone: who waits for whom."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from operator import or_

from fleet.errors import FleetError, RefusedError
from fleet.model.crowd import Crowd
from fleet.model.rollout import BudgetGroup, RolloutLayout, RolloutNode, RolloutOrder, RolloutState
from fleet.model.window import SITE_ZONE

MAX_JOINING = 50
"""Agents of one cluster that join at once, at most (k3s-contract, rule 13)."""

SLOTS = 16
"""A time of being away ends at the next whole slot of so many: a state holds few such times, however many nodes are lost."""

_GAP = 256
"""Nodes of a group that are further apart come into different pieces."""


def initial(order: RolloutOrder) -> RolloutState:
    """The state before `Begin`. Raises `RefusedError` for waves that would bring an agent before its servers."""
    layout = _layout_of(order)
    lost = _lost(order, layout)
    return RolloutState(order=order, layout=layout, ready=ready_among(layout, applied=0, touched=0), lost=lost)


def ready_among(layout: RolloutLayout, applied: int, touched: int) -> int:
    """Nodes that may start: whoever they wait for is in `applied`, and they are not in `touched` themselves."""
    return bits(
        i
        for i, before in enumerate(layout.after)
        if (before < 0 or applied >> before & 1) and not touched >> i & 1
    )  # fmt: skip


def bits(indexes: Iterable[int]) -> int:
    """The bit set of some nodes. Goes by bytes: adding 100,000 bits to an int one by one copies it each time."""
    found = sorted(indexes)
    if not found:
        return 0
    octets = bytearray((found[-1] >> 3) + 1)
    for i in found:
        octets[i >> 3] |= 1 << (i & 7)
    return int.from_bytes(octets, "little")


def members(some: int, start: int = 0) -> Iterator[int]:
    """The nodes of a bit set whose first bit is node `start`."""
    while some:
        lowest = some & -some
        yield start + lowest.bit_length() - 1
        some ^= lowest


def waiting_behind(layout: RolloutLayout, index: int) -> Iterator[int]:
    """Everything that can only come after node `index`, in order."""
    behind = list(layout.followers.get(index, ()))
    for follower in behind:
        yield follower
        behind.extend(layout.followers.get(follower, ()))


def _layout_of(order: RolloutOrder) -> RolloutLayout:
    if min(order.forks, order.batch_size) < 1:
        raise FleetError(f"rollout {order.id} wants {order.forks} forks and batches of {order.batch_size}")
    nodes = order.nodes
    index = {node.name: i for i, node in enumerate(nodes)}
    if len(index) != len(nodes):
        raise FleetError(f"rollout {order.id} names a node twice")
    after, followers = _chains(order)
    waves = _wave_masks(order)
    begun = tuple(accumulate(waves, or_))
    _check_waves(order, nodes, after)
    outside = tuple(dict.fromkeys(gone.name for budget in order.budgets for gone in budget.away))
    index |= {name: i for i, name in enumerate(outside, len(nodes))}
    return RolloutLayout(
        nodes,
        index,
        after,
        followers,
        waves,
        begun,
        *_crowds(order, nodes),
        *_groups(order, nodes, index),
        away=bits(i for i, node in enumerate(nodes) if node.is_away),
        outside=outside,
        zones=_zones(order, nodes),
    )


def _chains(order: RolloutOrder) -> tuple[tuple[int, ...], dict[int, tuple[int, ...]]]:
    """Servers by rank; first, though, one that is away where nobody else may begin as long as it is: it may be back, and nobody
    would ever know.
    """
    nodes, full = order.nodes, _used_up(order)
    waves = [at for at, wave in enumerate(order.waves) for _ in wave.nodes]
    servers: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        if node.role == "server":
            servers.setdefault(node.cluster, []).append(i)
    after = [-1] * len(nodes)
    for chain in servers.values():
        chain.sort(key=lambda i: (nodes[i].rank, i))
        wave = min(waves[i] for i in chain)
        head = next((nodes[i] for i in chain if not nodes[i].is_away), None)
        if head and (stuck := full.intersection(head.groups)):
            chain.sort(
                key=lambda i: not (nodes[i].is_away and waves[i] == wave and stuck.intersection(nodes[i].groups))
            )
        for before, i in pairwise(chain):
            after[i] = before
    followers: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        if node.role == "agent" and node.cluster in servers:
            after[i] = servers[node.cluster][-1]
        if after[i] >= 0:
            followers.setdefault(after[i], []).append(i)
    return tuple(after), {i: tuple(those) for i, those in followers.items()}


def _used_up(order: RolloutOrder) -> frozenset[str]:
    """The budgets that are used up before anything begins, and that time does not free; a rollback waits for no time."""
    away = Counter(name for node in order.nodes if node.is_away for name in node.groups)
    waits = order.timing.offline_after and not order.undoes
    lasting = (group for group in order.budgets if group.is_quorum or not waits)
    return frozenset(group.name for group in lasting if away[group.name] + len(group.away) >= group.allowed)


def _wave_masks(order: RolloutOrder) -> tuple[int, ...]:
    masks = []
    start = 0
    for wave in order.waves:
        masks.append(((1 << len(wave.nodes)) - 1) << start)
        start += len(wave.nodes)
    return tuple(masks)


def _check_waves(order: RolloutOrder, nodes: Sequence[RolloutNode], after: Sequence[int]) -> None:
    end = 0
    for wave in order.waves:
        start, end = end, end + len(wave.nodes)
        for i in range(start, end):
            if after[i] >= end:
                raise RefusedError(
                    f"wave {wave.name} holds {nodes[i].name}, which must come after {nodes[after[i]].name} "
                    f"of cluster {nodes[i].cluster}, and that is in a later wave",
                    hint="Put the whole cluster into one wave (unit: cluster).",
                )


def _crowds(order: RolloutOrder, nodes: Sequence[RolloutNode]) -> tuple[tuple[Crowd, ...], dict[int, tuple[int, ...]]]:
    """Those that are larger than may be in flight at once, and which of them each node is in."""
    found: dict[tuple[str, ...], tuple[int, list[int]]] = {}
    for i, node in enumerate(nodes):
        if node.joins or node.downloads:
            for key, most in _crowds_of(order, node):
                found.setdefault(key, (most, []))[1].append(i)
    large = [(most, those) for most, those in found.values() if len(those) > most]
    crowd_of: dict[int, tuple[int, ...]] = {}
    for number, (_, those) in enumerate(large):
        for i in those:
            crowd_of[i] = (*crowd_of.get(i, ()), number)
    return tuple(Crowd(most, _pieces(those)) for most, those in large), crowd_of


def _crowds_of(order: RolloutOrder, node: RolloutNode) -> Iterator[tuple[tuple[str, ...], int]]:
    """A node tries its mirrors one after the other, and all nodes have the same ones: as many as download anywhere may be at
    one of them.
    """
    if node.joins:
        yield ("joins", node.cluster), MAX_JOINING
    if node.downloads and order.downloads.per_mirror:
        yield ("downloads",), order.downloads.per_mirror
    if node.downloads and order.downloads.per_site:
        yield ("downloads", node.site), order.downloads.per_site


def _zones(order: RolloutOrder, nodes: Sequence[RolloutNode]) -> tuple[tuple[str, int], ...]:
    schedule = order.timing.schedule
    if schedule is None:
        return ()
    found: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        zone = schedule.zone if schedule.zone != SITE_ZONE else order.timing.zones[node.site]
        found.setdefault(zone, []).append(i)
    return tuple((zone, bits(those)) for zone, those in found.items())


def _lost(order: RolloutOrder, layout: RolloutLayout) -> tuple[tuple[float, int], ...]:
    """Who is away before the rollout begins, by when they will have been so for too long."""
    if not order.timing.offline_after:
        return ()
    since = {gone.name: gone.since for budget in order.budgets for gone in budget.away}
    since |= {node.name: node.away_since for node in layout.nodes if node.is_away}
    found: dict[float, list[int]] = {}
    for name, moment in since.items():
        found.setdefault(lapses_at(moment, order.timing.offline_after), []).append(layout.index[name])
    return tuple((moment, bits(those)) for moment, those in sorted(found.items()))


def lapses_at(since: float, offline_after: float) -> float:
    """When a node that is away since then will have been so for too long."""
    slot = offline_after / SLOTS
    return math.ceil((since + offline_after) / slot) * slot


def _groups(
    order: RolloutOrder, nodes: Sequence[RolloutNode], index: Mapping[str, int]
) -> tuple[tuple[BudgetGroup, ...], tuple[tuple[int, ...], ...]]:
    numbers = {budget.name: number for number, budget in enumerate(order.budgets)}
    members: list[list[int]] = [[] for _ in order.budgets]
    member_of = tuple(tuple(numbers[name] for name in node.groups) for node in nodes)
    for i, those in enumerate(member_of):
        for number in those:
            members[number].append(i)
    groups = []
    for budget, inside in zip(order.budgets, members, strict=True):
        is_wide = bool(inside) and inside[-1] - inside[0] >= _GAP
        outside = tuple(index[gone.name] for gone in budget.away)
        groups.append(BudgetGroup(budget.name, budget.allowed, budget.is_quorum, outside, _pieces(inside), is_wide))
    return tuple(groups), member_of


def _pieces(indexes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    runs: list[list[int]] = []
    for i in indexes:
        if runs and i - runs[-1][-1] <= _GAP:
            runs[-1].append(i)
        else:
            runs.append([i])
    return tuple((run[0], bits(i - run[0] for i in run)) for run in runs)
