"""How many nodes of each group are away at once, and the most that ever were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


class Absence:
    """`groups_of` maps each node to its groups; `others` counts nodes of a group that are away all the time."""

    def __init__(
        self, groups_of: Mapping[str, Sequence[str]], others: Mapping[str, int], away: Iterable[str] = ()
    ) -> None:
        self._groups_of = groups_of
        self._now = Counter(others)
        self.most = Counter(others)
        self._away: set[str] = set()
        for name in away:
            self.leave(name)

    def leave(self, name: str) -> None:
        if name in self._away:
            return
        self._away.add(name)
        for group in self._groups_of[name]:
            now = self._now[group] = self._now[group] + 1
            self.most[group] = max(self.most[group], now)

    def come_back(self, name: str) -> None:
        if name in self._away:
            self._away.remove(name)
            for group in self._groups_of[name]:
                self._now[group] -= 1
