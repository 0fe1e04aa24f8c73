"""Which nodes the next batch takes: the first ones that may start now, within forks, joins and budgets."""

from __future__ import annotations

from fleet.decide.budget import Room
from fleet.decide.checked import returning, under_way
from fleet.decide.layout import MAX_JOINING, members
from fleet.model.rollout import RolloutState

_WIDTH = 1024
"""Nodes that are looked at in one go. Each operation on a bit set of all nodes copies it."""


def pick(state: RolloutState, size: int, closed: int) -> tuple[str, ...]:
    """The first nodes of the waves that were begun: clusters that were begun come before those that were not. `closed` are
    nodes whose window is shut.
    """
    room = min(size, state.order.forks - under_way(state))
    ready = state.ready & state.layout.begun[state.wave] & ~closed
    crowded, joining, budgets = state.layout.crowded, _Joining(state), Room(state)
    going_back = {
        state.layout.nodes[i].cluster for i in members(returning(state)) if state.layout.nodes[i].role == "server"
    }
    names: list[str] = []
    while ready and len(names) < room:
        start = (ready & -ready).bit_length() - 1
        some, end = ready >> start & ((1 << _WIDTH) - 1), start + _WIDTH
        ready = ready >> end << end
        while some and len(names) < room:
            lowest = some & -some
            some ^= lowest
            index = start + lowest.bit_length() - 1
            node = state.layout.nodes[index]
            if crowded and node.joins and joining.is_full(node.cluster):
                ready = joining.without(ready, node.cluster)
            elif budgets.waits_its_turn(index) or (node.role == "server" and node.cluster in going_back):
                continue
            elif (full := budgets.full(index)) is not None:
                some, ready = budgets.near(some, start, full), budgets.without(ready, full)
            else:
                if crowded:
                    joining.take(node.cluster, joins=node.joins)
                budgets.take(index)
                names.append(node.name)
    return tuple(names)


class _Joining:
    """How many agents join now, of each cluster that has too many to join at once."""

    def __init__(self, state: RolloutState) -> None:
        self._crowded = state.layout.crowded
        self._now = {cluster: (state.in_flight & those).bit_count() for cluster, those in self._crowded.items()}
        self._left_out: set[str] = set()

    def is_full(self, cluster: str) -> bool:
        return self._now.get(cluster, 0) >= MAX_JOINING

    def take(self, cluster: str, *, joins: bool) -> None:
        if joins and cluster in self._now:
            self._now[cluster] += 1

    def without(self, ready: int, cluster: str) -> int:
        if cluster in self._left_out:
            return ready
        self._left_out.add(cluster)
        return ready & ~self._crowded[cluster]
