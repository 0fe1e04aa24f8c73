"""What budgets leave: how many more nodes of each group may be away now.

A node is away while it is in flight, when it failed (unless it went back since) or could not be reached, and when it did
not answer even before and has not come through since; one that has not answered for too long counts no more. One that is
away is tried whatever its budget says; but it may be back by now, so no more of them are tried at once than may be away. A
server's place in its cluster's quorum is such a budget too, in which every node that is away counts.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from fleet.decide.checked import returning
from fleet.decide.layout import members
from fleet.formats.words import some
from fleet.model.rollout import BudgetGroup, RolloutState

_WIDTH = 1024
"""Nodes of which is told in one go who is away."""


class Room:
    """What a state leaves, less the nodes that were taken since."""

    def __init__(self, state: RolloutState, *, in_time: bool = False) -> None:
        """`in_time`: as it will be when all that are away now have been so for too long."""
        self._layout = state.layout
        self._before = state.layout.away & ~(state.applied | state.undone)
        self._away = state.in_flight | (state.failed & ~state.undone) | state.unreachable | self._before
        lapsed = reduce(or_, (those for _, those in state.lost), state.lapsed) if in_time else state.lapsed
        self._lapsed = lapsed & ~(state.failed | state.in_flight)
        self._briefly_before = self._before & ~self._lapsed
        self._in_flight = state.in_flight | returning(state)
        self._briefly = self._away & ~self._lapsed if self._lapsed else self._away
        self._used: dict[int, int] = {}
        self._parts: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._left_out: set[int] = set()

    def full(self, index: int) -> int | None:
        """The group that keeps a node from starting, by its number. One that counts as away already takes nothing more."""
        for number in self._layout.member_of[index]:
            group = self._layout.groups[number]
            counted = self._counted(group)
            if not (counted and counted >> index & 1) and self._used_of(number) >= group.allowed:
                return number
        return None

    def _counted(self, group: BudgetGroup) -> int:
        """Nodes that were away before and that the group counts. Who was so for too long counts again once it is tried."""
        return self._before if group.is_quorum else self._briefly_before

    def _used_of(self, number: int) -> int:
        used = self._used.get(number)
        if used is None:
            group = self._layout.groups[number]
            used = self._used[number] = len(self._outside(group)) + self._members_away(group)
        return used

    def waits_its_turn(self, index: int) -> bool:
        """Whether a node that was away is not tried yet, because as many of a group of it as may be away are under way."""
        if not (self._before and self._before >> index & 1):
            return False
        groups = (self._layout.groups[number] for number in self._layout.member_of[index])
        return any(self._members_among(self._in_flight, group) >= max(1, group.allowed) for group in groups)

    def take(self, index: int) -> None:
        if self._before:
            self._in_flight |= 1 << index
        for number in self._layout.member_of[index]:
            counted = self._counted(self._layout.groups[number])
            if not (counted and counted >> index & 1):
                self._used[number] = self._used_of(number) + 1

    def without(self, ready: int, number: int) -> int:
        """`ready` less the nodes that a full group keeps from starting. Those of a group that is not wide stay: to look at
        them one by one is cheaper.
        """
        group = self._layout.groups[number]
        if not group.is_wide or number in self._left_out:
            return ready
        self._left_out.add(number)
        for shift, those in group.pieces:
            ready &= ~(those << shift) | self._counted(group)
        return ready

    def near(self, some: int, start: int, number: int) -> int:
        """`some`, whose first bit is node `start`, less the nodes that a full group keeps from starting."""
        kept, counted = 0, self._counted(self._layout.groups[number])
        for shift, those in self._layout.groups[number].pieces:
            away = shift - start
            kept |= those >> -away if away < 0 else those << away if away < some.bit_length() else 0
        return some & ~(kept & ~(counted >> start)) if counted else some & ~kept

    def users(self, number: int) -> tuple[str, ...]:
        """The nodes that use a group's budget up."""
        group = self._layout.groups[number]
        nodes, away = self._layout.nodes, self._away_of(group)
        outside = (self._layout.outside[index - len(nodes)] for index in self._outside(group))
        inside = (members(away >> shift & those, shift) for shift, those in group.pieces)
        return (*outside, *(nodes[index].name for some in inside for index in some))

    def told(self, number: int) -> str:
        """Why nothing of a full group starts."""
        group, users = self._layout.groups[number], self.users(number)
        if not users:
            return f"the budget of {group.name} lets no node change"
        return f"the budget of {group.name} is used up: {some(users)} away, and at most {group.allowed:,} may be"

    def _members_away(self, group: BudgetGroup) -> int:
        found = 0
        for shift, those in group.pieces:
            if those >> _WIDTH:
                found += (self._away_of(group) >> shift & those).bit_count()
            else:
                found += (self._part(shift // _WIDTH, group) >> shift % _WIDTH & those).bit_count()
        return found

    def _members_among(self, some: int, group: BudgetGroup) -> int:
        return sum((some >> shift & those).bit_count() for shift, those in group.pieces)

    def _part(self, number: int, group: BudgetGroup) -> int:
        """Those that are away around a place of the order: to shift a bit set of all nodes for each group copies it."""
        parts = self._parts[group.is_quorum]
        found = parts.get(number)
        if found is None:
            found = parts[number] = self._away_of(group) >> number * _WIDTH & ((1 << 2 * _WIDTH) - 1)
        return found

    def _away_of(self, group: BudgetGroup) -> int:
        return self._away if group.is_quorum else self._briefly

    def _outside(self, group: BudgetGroup) -> tuple[int, ...]:
        if group.is_quorum or not (self._lapsed and group.outside):
            return group.outside
        return tuple(index for index in group.outside if not self._lapsed >> index & 1)
