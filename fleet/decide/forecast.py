"""How long a rollout takes if nothing fails, nobody goes away, and gates and whoever approves answer at once.

A lean double of the decider: it counts nodes instead of naming them, and each batch takes the same time, so that what ends
next is what began first. tests/property/decide/test_forecast.py compares the two.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from zoneinfo import ZoneInfo

from fleet.decide.layout import MAX_JOINING
from fleet.decide.windows import Span, span
from fleet.model.plan import Forecast
from fleet.model.rollout import RolloutNode, RolloutOrder, WaveOrder
from fleet.model.window import SITE_ZONE

LONGEST = 2 * 366 * 86400.0
"""Seconds. What is not over by then is not worth a number."""
_EVENING, _MORNING = 18, 6
"""A window that opens between these hours opens at night."""


def forecast(order: RolloutOrder, batch_seconds: float, now: float) -> Forecast:
    """`batch_seconds` is what a batch takes, `now` is in seconds since 1970."""
    course = _Course(order, batch_seconds, now)
    course.run()
    return Forecast(
        seconds=round(course.now - now, 1),
        ends=round(course.now),
        windows=len(course.days),
        at_night=bool(course.days) and course.at_night,
        approvals=sum(bool(wave.needs_approval and wave.nodes) for wave in order.waves),
        left=len(order.nodes) - sum(course.done),
        batch_seconds=batch_seconds,
        forks=order.forks,
    )


class _Group:
    """Nodes that share a budget: `most` may be away at once, `room` more than now. It is `within` others, which bind it as
    well.
    """

    def __init__(self, most: int, *within: _Group) -> None:
        self.most = self._room = most
        self._within = within

    @property
    def room(self) -> int:
        return min((self._room, *(group.room for group in self._within))) if self._within else self._room

    def take(self, number: int) -> None:
        self._room -= number
        for group in self._within:
            group.take(number)


class _Cluster:
    """Nodes of one wave that go in stages: each server, then the agents. A host is a cluster of one stage.

    `cut` is the rank of the first server that cannot come through: what is behind it does not begin.
    """

    def __init__(self, wave: int, zone: str) -> None:
        self.wave, self.zone = wave, zone
        self.servers: dict[int, _Group] = {}
        self.agents: dict[_Group, int] = {}
        self.cut = math.inf
        self.joins = False
        self.joining = self.running = 0
        self.stages: Iterator[dict[_Group, int]] = iter(())

    def begin(self) -> int:
        """How many of its nodes come through."""
        ranks = sorted(rank for rank in self.servers if rank < self.cut)
        stages = [{self.servers[rank]: 1} for rank in ranks]
        if self.agents and math.isinf(self.cut):
            stages.append(self.agents)
        self.stages = iter(stages)
        return sum(number for stage in stages for number in stage.values())

    @property
    def most(self) -> int:
        """How many more may begin at once."""
        return MAX_JOINING - self.joining if self.joins else MAX_JOINING**4


_Ready = dict[_Group, deque[tuple[_Cluster, int]]]
"""Who may begin, by budget: how many nodes of which cluster."""


class _Course:
    """Goes through an order. `done` counts by wave; `days` are those on which a window let nodes begin."""

    def __init__(self, order: RolloutOrder, batch_seconds: float, now: float) -> None:
        self.now, self.done = now, [0] * len(order.waves)
        self.days: set[str] = set()
        self.at_night = True
        self._order, self._timing, self._seconds = order, order.timing, batch_seconds
        self._ends, self._paced_until = now + LONGEST, now
        self._room, self._rate = order.forks, 0.0
        self._seen: set[tuple[str, float]] = set()
        self._begun: dict[str, _Ready] = {}
        self._fresh: dict[str, _Ready] = {}
        self._flights: deque[tuple[float, list[tuple[_Cluster, _Group, int]]]] = deque()
        self._tightest: dict[tuple[str, ...], _Group] = {}
        self._anyhow = _Group(len(order.nodes))
        self._lines: dict[str, _Group] = {}
        self._downloads: dict[tuple[_Group, str], _Group] = {}
        self._mirror = _Group(order.downloads.per_mirror or len(order.nodes))
        away = {group.name: len(group.away) for group in order.budgets}
        for node in order.nodes:
            for name in node.groups if node.is_away else ():
                away[name] += 1
        self._groups = {group.name: _Group(group.allowed - away[group.name]) for group in order.budgets}
        self._quorums = {group.name for group in order.budgets if group.is_quorum}

    def run(self) -> None:
        for at, wave in enumerate(self._order.waves):
            self._rate = self._timing.rate * self._timing.rate_factor**at
            going = self._begin(at, wave)
            needed = min(going, _needed(wave))
            is_last = at + 1 == len(self._order.waves)
            while (is_last or self.done[at] < needed) and self._step(math.inf):
                pass
            if self.done[at]:
                self._soak(self.now + self._timing.soak)

    def _soak(self, until: float) -> None:
        """What the wave did not wait for goes on meanwhile."""
        while self.now < until and self._step(until):
            pass
        self.now = max(self.now, until)

    def _begin(self, at: int, wave: WaveOrder) -> int:
        clusters: dict[str, _Cluster] = {}
        for node in wave.nodes:
            name = node.cluster or f"/{node.name}"
            cluster = clusters.get(name)
            if cluster is None:
                cluster = clusters[name] = _Cluster(at, self._zone(node))
            self._join(cluster, node)
        going = 0
        for cluster in clusters.values():
            going += cluster.begin()
            self._advance(cluster, self._fresh)
        return going

    def _zone(self, node: RolloutNode) -> str:
        schedule = self._timing.schedule
        if schedule is None:
            return ""
        return schedule.zone if schedule.zone != SITE_ZONE else self._timing.zones[node.site]

    def _join(self, cluster: _Cluster, node: RolloutNode) -> None:
        group = self._tightest.get(node.groups)
        if group is None:
            group = self._tightest[node.groups] = self._bound_by(node.groups)
        if node.is_away or group.most < 1:
            cluster.cut = min(cluster.cut, node.rank) if node.role == "server" else cluster.cut
            return
        if node.downloads:
            group = self._downloading(group, node.site)
        if node.role == "server":
            cluster.servers[node.rank] = group
        else:
            cluster.joins = cluster.joins or node.joins
            cluster.agents[group] = cluster.agents.get(group, 0) + 1

    def _downloading(self, group: _Group, site: str) -> _Group:
        """Those of a group that download at a site: bound by their mirrors and by its line, too."""
        if (known := self._downloads.get((group, site))) is not None:
            return known
        most = len(self._order.nodes)
        line = self._lines.setdefault(site, _Group(self._order.downloads.per_site or most))
        made = self._downloads[group, site] = _Group(most, group, line, self._mirror)
        return made

    def _bound_by(self, names: tuple[str, ...]) -> _Group:
        """The budget that binds first: a quorum's one only where it lets nobody begin, for servers go one by one anyway."""
        groups = [self._groups[name] for name in names]
        if full := [group for group in groups if group.most < 1]:
            return full[0]
        policed = [group for name, group in zip(names, groups, strict=True) if name not in self._quorums]
        return min(policed, key=lambda each: each.most, default=self._anyhow)

    def _advance(self, cluster: _Cluster, to: dict[str, _Ready]) -> None:
        """The next stage of a cluster may begin. One that was begun comes before those that were not."""
        for group, number in next(cluster.stages, {}).items():
            cluster.running += number
            fresh = self._fresh.get(cluster.zone, {}).get(group)
            if fresh and to is self._begun:
                fresh.appendleft((cluster, number))
            else:
                to.setdefault(cluster.zone, {}).setdefault(group, deque()).append((cluster, number))

    def _step(self, until: float) -> bool:
        """On to the next moment at which something happens, `until` at the latest. False where nothing ever does."""
        moments = [*self._start(), until]
        if self._flights:
            moments.append(self._flights[0][0])
        soonest = min(moments)
        if math.isinf(soonest) or soonest > self._ends:
            return False
        self.now = soonest
        while self._flights and self._flights[0][0] <= self.now:
            self._land(self._flights.popleft()[1])
        return True

    def _start(self) -> Iterator[float]:
        """Begins what may begin now; tells when more may, but for what waits for what is under way."""
        size = self._room
        if self._rate:
            size = min(size, self._order.batch_size, max(1, int(self._rate))) if self.now >= self._paced_until else 0
        taken: list[tuple[_Cluster, _Group, int]] = []
        for zone in dict.fromkeys(chain(self._begun, self._fresh)):
            window = self._window(zone)
            if not window.is_open:
                yield window.end
                continue
            before = len(taken)
            size = self._take(self._begun.get(zone, {}), size, taken)
            size = self._take(self._fresh.get(zone, {}), size, taken)
            if len(taken) > before:
                self._note(zone, window)
            for ready in (self._begun, self._fresh):
                if not ready.get(zone, True):
                    del ready[zone]
        if taken:
            number = sum(each for _, _, each in taken)
            self._room -= number
            self._flights.append((self.now + self._seconds, taken))
            if self._rate:
                self._paced_until = self.now + 60 * number / self._rate
        if self._paced_until > self.now and (self._begun or self._fresh):
            yield self._paced_until

    def _take(self, ready: _Ready, size: int, taken: list[tuple[_Cluster, _Group, int]]) -> int:
        """How many more may begin after those that this begins."""
        over = []
        for group, queue in ready.items():
            kept = []
            while queue and group.room > 0 and size > 0:
                cluster, left = queue.popleft()
                number = min(left, group.room, size, cluster.most)
                if number:
                    taken.append((cluster, group, number))
                    size, cluster.joining = size - number, cluster.joining + number
                    group.take(number)
                if left > number:
                    kept.append((cluster, left - number))
            queue.extendleft(reversed(kept))
            if not queue:
                over.append(group)
            if size < 1:
                break
        for group in over:
            del ready[group]
        return size

    def _land(self, flight: Iterable[tuple[_Cluster, _Group, int]]) -> None:
        for cluster, group, number in flight:
            group.take(-number)
            self._room += number
            self.done[cluster.wave] += number
            cluster.joining -= number
            cluster.running -= number
            if not cluster.running:
                self._advance(cluster, self._begun)

    def _window(self, zone: str) -> Span:
        schedule = self._timing.schedule
        return span(schedule, zone, self.now) if schedule else Span(self.now, math.inf, is_open=True)

    def _note(self, zone: str, window: Span) -> None:
        """That nodes began in this window: its day is the one on which it closes."""
        schedule = self._timing.schedule
        if schedule is None or not schedule.at or (zone, window.end) in self._seen:
            return
        self._seen.add((zone, window.end))
        closes = window.end + schedule.needed
        opens = datetime.fromtimestamp(closes - schedule.seconds, ZoneInfo(zone))
        self.days.add(datetime.fromtimestamp(closes, ZoneInfo(zone)).date().isoformat())
        self.at_night = self.at_night and not _MORNING <= opens.hour < _EVENING


def _needed(wave: WaveOrder) -> int:
    """With how many nodes a wave has passed."""
    total = len(wave.nodes)
    shares = (wave.success_threshold, wave.min_finished)
    if wave.success_threshold is None or wave.min_finished is None:
        return total
    return max(math.ceil(share * total / 100) for share in shares if share is not None)
