"""What is asked of a rehearsal afterwards, counted from its events alone."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.model.simulation import Moment, SimulatedWave
from fleet.simulator.absence import Away
from fleet.simulator.stillness import Stillness

MOMENTS = 240
"""Of a timeline, at most: more than a picture has room for."""

_OUTCOMES: dict[type[Event], str] = {
    ev.NodeApplied: "applied",
    ev.NodeFailed: "failed",
    ev.NodeUnreachable: "unreachable",
    ev.NodeBlocked: "blocked",
}


class Tally:
    """`hear` takes what one decision led to. `offline` are nodes that never answer, whether that is known or not;
    `began` is seconds since 1970.
    """

    def __init__(self, order: RolloutOrder, offline: Iterable[str], began: float) -> None:
        self.away = Away(order, offline)
        self.stillness = Stillness(began)
        self.batches = self.approvals = 0
        self._wave_of = {node.name: at for at, wave in enumerate(order.waves) for node in wave.nodes}
        self._waves = [SimulatedWave(wave.name, len(wave.nodes)) for wave in order.waves]
        self._outcomes: list[Counter[str]] = [Counter() for _ in order.waves]
        self._count: Counter[str] = Counter()
        self._moments = [Moment(0.0, 0, 0, 0, 0, 0)]

    def hear(self, at: float, events: Sequence[Event]) -> None:
        """`at`: seconds since the rollout began."""
        for event in events:
            self._hear(at, event)
            self.away.hear(event)
            self.stillness.hear(at, event)
        self._mark(at)

    def end(self, at: float) -> None:
        """Nothing more is heard."""
        self.stillness.end(at)
        if self._moments[-1].at < at:
            self._moments.append(replace(self._moments[-1], at=at))

    @property
    def counts(self) -> RolloutCounts:
        return _counts(self._count, len(self._wave_of))

    @property
    def settled(self) -> int:
        """Nodes with an outcome."""
        return len(self._wave_of) - self.counts.waiting

    def waves(self) -> tuple[SimulatedWave, ...]:
        return tuple(
            replace(wave, counts=_counts(count, wave.nodes))
            for wave, count in zip(self._waves, self._outcomes, strict=True)
        )

    def timeline(self) -> tuple[Moment, ...]:
        """Every moment, or where there are too many, some of them: half by their number, so that much is seen where much
        happens; half by the clock, so that what was true for long is right.
        """
        times = [moment.at for moment in self._moments]
        steps, last = MOMENTS // 2 - 1, len(times) - 1
        if last < MOMENTS:
            return tuple(self._moments)
        by_number = {last * step // steps for step in range(steps + 1)}
        by_clock = {bisect_right(times, times[-1] * step / steps) - 1 for step in range(steps)}
        return tuple(self._moments[at] for at in sorted(by_number | by_clock))

    def _hear(self, at: float, event: Event) -> None:
        match event:
            case ev.NodeApplied() | ev.NodeFailed() | ev.NodeUnreachable() | ev.NodeBlocked():
                self._settle(event)
            case ev.NodeUnhealthy():
                for each in (self._count, self._outcomes[self._wave_of[event.node]]):
                    each["applied"] -= 1
                    each["failed"] += 1
            case ev.BatchStarted() | ev.NodesRollingBack():
                self.batches += 1
                self._count["in_flight"] += len(event.nodes)
            case ev.NodeRolledBack() | ev.NodeNotRolledBack():
                self._count["in_flight"] -= 1
            case ev.WaveApproved():
                self.approvals += 1
            case ev.WaveStarted():
                self._change(event.index, outcome="unfinished", begins=at)
            case ev.WaveFailed():
                self._change(event.index, outcome="failed", ends=at, reason=event.reason)
            case ev.WaveFinished():
                has_failed = self._waves[event.index].outcome == "failed"
                self._change(event.index, outcome="failed" if has_failed else "passed", ends=at)

    def _settle(self, event: ev.NodeEvent) -> None:
        outcome = _OUTCOMES[type(event)]
        self._count[outcome] += 1
        self._outcomes[self._wave_of[event.node]][outcome] += 1
        if not isinstance(event, ev.NodeBlocked):
            self._count["in_flight"] -= 1

    def _change(self, index: int, **what: object) -> None:
        self._waves[index] = replace(self._waves[index], **what)

    def _mark(self, at: float) -> None:
        count = self._count
        now = Moment(at, count["in_flight"], count["applied"], count["failed"], count["unreachable"], count["blocked"])
        if self._moments[-1].at == at:
            self._moments[-1] = now
        else:
            self._moments.append(now)
        self.stillness.mark(at, count["in_flight"])


def _counts(count: Counter[str], nodes: int) -> RolloutCounts:
    ended = {outcome: count[outcome] for outcome in _OUTCOMES.values()}
    return RolloutCounts(**ended, waiting=nodes - sum(ended.values()))
