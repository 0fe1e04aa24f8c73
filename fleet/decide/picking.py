"""Which nodes the next batch takes: the first ones that may start now, within forks, crowds and budgets."""

from __future__ import annotations

from fleet.decide.budget import Room
from fleet.decide.checked import returning, under_way
from fleet.decide.layout import members
from fleet.model.rollout import RolloutState

_WIDTH = 1024
"""Nodes that are looked at in one go. Each operation on a bit set of all nodes copies it."""


def pick(state: RolloutState, size: int, closed: int) -> tuple[str, ...]:
    """The first nodes of the waves that were begun: clusters that were begun come before those that were not. `closed` are
    nodes whose window is shut.
    """
    room = min(size, state.order.forks - under_way(state))
    ready = state.ready & state.layout.begun[state.wave] & ~closed
    turns, budgets = _Turns(state), Room(state)
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
            if (crowd := turns.full(index)) is not None:
                some, ready = turns.without(some, ready, start, crowd)
            elif budgets.waits_its_turn(index) or (node.role == "server" and node.cluster in going_back):
                continue
            elif (full := budgets.full(index)) is not None:
                some, ready = budgets.near(some, start, full), budgets.without(ready, full)
            else:
                turns.take(index)
                budgets.take(index)
                names.append(node.name)
    return tuple(names)


class _Turns:
    """How many of each crowd are in flight, with the nodes that were taken since."""

    def __init__(self, state: RolloutState) -> None:
        self._in_flight = state.in_flight
        self._crowds, self._crowd_of = state.layout.crowds, state.layout.crowd_of
        self._now: dict[int, int] = {}
        self._left_out: set[int] = set()

    def full(self, index: int) -> int | None:
        """The crowd of a node of which as many as may be are in flight, by its number."""
        for number in self._crowd_of.get(index, ()):
            if self._count(number) >= self._crowds[number].most:
                return number
        return None

    def take(self, index: int) -> None:
        for number in self._crowd_of.get(index, ()):
            self._now[number] = self._count(number) + 1

    def without(self, some: int, ready: int, start: int, number: int) -> tuple[int, int]:
        """`some`, whose first bit is node `start`, and `ready`, which is what comes after it, less the nodes of a crowd."""
        for shift, those in self._crowds[number].pieces:
            away = shift - start
            if away < _WIDTH:
                some &= ~(those >> -away if away < 0 else those << away)
            if away + those.bit_length() > _WIDTH and number not in self._left_out:
                ready &= ~(those << shift)
        self._left_out.add(number)
        return some, ready

    def _count(self, number: int) -> int:
        if number not in self._now:
            found = (self._in_flight >> shift & those for shift, those in self._crowds[number].pieces)
            self._now[number] = sum(each.bit_count() for each in found)
        return self._now[number]
