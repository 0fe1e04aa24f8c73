"""How many nodes of each group are away at once, and the most that ever were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import RolloutOrder
from fleet.model.simulation import SimulatedGroup


class Absence:
    """`groups_of` maps each node to its groups, none for a node that is not in it; `away` are those that are so already."""

    def __init__(self, groups_of: Mapping[str, Sequence[str]], away: Iterable[str] = ()) -> None:
        self._groups_of = groups_of
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._away: set[str] = set()
        self._excused: set[str] = set()
        for name in away:
            self.leave(name)

    def leave(self, name: str) -> None:
        if name in self._away or name in self._excused:
            return
        self._away.add(name)
        for group in self._groups_of.get(name, ()):
            now = self._now[group] = self._now[group] + 1
            self.most[group] = max(self.most[group], now)

    def come_back(self, name: str) -> None:
        self._excused.discard(name)
        if name in self._away:
            self._away.remove(name)
            for group in self._groups_of.get(name, ()):
                self._now[group] -= 1

    def excuse(self, name: str) -> None:
        """It is away, and counts no more, until it comes back."""
        self.come_back(name)
        self._excused.add(name)


class Away:
    """Who is away, by a rollout's events. `offline` are nodes that never answer, whether that is known or not."""

    def __init__(self, order: RolloutOrder, offline: Iterable[str]) -> None:
        self._order = order
        quorums = {group.name for group in order.budgets if group.is_quorum}
        groups_of, site_of = _groups_of(order), {node.name: (node.site,) for node in order.nodes}
        silent = {node.name for node in order.nodes if node.is_away} | (groups_of.keys() - site_of.keys())
        self._groups, self._sites = (Absence(each, {*silent, *offline}) for each in (groups_of, site_of))
        # Who is away for long is in no budget any more, but for that of a quorum.
        self._budgets = Absence(_only(groups_of, quorums, wanted=False), silent)
        self._quorums = Absence(_only(groups_of, quorums, wanted=True), silent)
        self._known_sites = Absence(site_of, silent)
        self._all = (self._groups, self._sites, self._budgets, self._quorums, self._known_sites)

    def hear(self, event: Event) -> None:
        match event:
            case ev.BatchStarted() | ev.NodesRollingBack():
                for absence in self._all:
                    for name in event.nodes:
                        absence.leave(name)
            case ev.NodeApplied() | ev.NodeRolledBack() | ev.NodeNotRolledBack():
                for absence in self._all:
                    absence.come_back(event.node)
            case ev.NodesLongOffline():
                for name in event.nodes:
                    self._budgets.excuse(name)

    def groups(self) -> tuple[SimulatedGroup, ...]:
        sizes = Counter(group for node in self._order.nodes for group in node.groups)
        return tuple(
            SimulatedGroup(
                name=group.name,
                nodes=sizes[group.name] + len(group.away),
                known=max(self._budgets.most[group.name], self._quorums.most[group.name]),
                away=self._groups.most[group.name],
                allowed=group.allowed,
            )
            for group in self._order.budgets
        )

    def sites(self) -> tuple[SimulatedGroup, ...]:
        sizes = Counter(node.site for node in self._order.nodes)
        return tuple(
            SimulatedGroup(site, size, self._known_sites.most[site], self._sites.most[site])
            for site, size in sizes.items()
        )


def _groups_of(order: RolloutOrder) -> dict[str, tuple[str, ...]]:
    """Also of nodes that are away and that the order does not bring forward."""
    found = {node.name: node.groups for node in order.nodes}
    for group in order.budgets:
        for gone in group.away:
            found[gone.name] = (*found.get(gone.name, ()), group.name)
    return found


def _only(
    groups_of: Mapping[str, Sequence[str]], quorums: Collection[str], *, wanted: bool
) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(group for group in groups if (group in quorums) == wanted) for name, groups in groups_of.items()
    }
