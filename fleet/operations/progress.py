"""How far rollouts are and what they wait for, from what the journal says alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.formats.words import count, moment
from fleet.model import event as ev
from fleet.model.event import STATUS_AFTER, Event
from fleet.model.rollout import ENDED, RolloutCounts, RolloutSummary
from fleet.model.status import RolloutRow
from fleet.ports.engine import Rollouts


class Story(msgspec.Struct, frozen=True):
    """A rollout: how far it is, and all that happened. `undone_by` is the rollout that rolled it back, empty for none, and
    `undone` how many nodes that was for.
    """

    row: RolloutRow
    events: tuple[Event, ...]
    undone_by: str = ""
    undone: int = 0


class Progress:
    """Events of one rollout, from its first one, added up."""

    def __init__(self, nodes: int) -> None:
        self.wave = ""
        self.reason = ""
        self.wait = ""
        self.under_way = 0
        self._total = nodes
        self._numbers: dict[type[Event], int] = {}

    def take(self, event: Event) -> None:
        self._numbers[type(event)] = self._numbers.get(type(event), 0) + 1
        self.wait = self._wait(event)
        match event:
            case ev.WaveStarted():
                self.wave = event.wave
            case ev.BatchStarted() | ev.NodesRollingBack():
                self.under_way += len(event.nodes)
            case ev.BatchRequeued():
                self.under_way -= len(event.nodes)
            case (
                ev.NodeApplied() | ev.NodeFailed() | ev.NodeUnreachable() | ev.NodeRolledBack() | ev.NodeNotRolledBack()
            ):
                self.under_way -= 1
            case ev.PauseRequested() | ev.CancelRequested() | ev.RollbackRequested():
                self.reason = event.reason
            case ev.SupersedeRequested():
                self.reason = f"by rollout {event.by}"
            case _:
                return

    def _wait(self, event: Event) -> str:
        """What nothing goes on without, from this event on."""
        match event:
            case ev.WaveSoaking():
                return f"wave {event.wave} to soak until {moment(event.until)}"
            case ev.ApprovalAwaited():
                return f"an approval of wave {event.wave}"
            case ev.WaitStarted():
                return f"{moment(event.until)}: {event.reason}"
            case ev.GatesAsked():
                return f"the gates {event.phase} wave {event.wave}"
            case ev.WaveStarted() | ev.WaveApproved() | ev.BatchStarted() | ev.GatesPassed() | ev.GatesFailed():
                return ""
            case _:
                return self.wait

    @property
    def counts(self) -> RolloutCounts:
        kinds = (ev.NodeApplied, ev.NodeFailed, ev.NodeUnreachable, ev.NodeBlocked)
        applied, failed, unreachable, blocked = (self._numbers.get(kind, 0) for kind in kinds)
        waiting = self._total - applied - failed - unreachable - blocked
        unhealthy = self._numbers.get(ev.NodeUnhealthy, 0)
        return RolloutCounts(applied - unhealthy, failed + unhealthy, unreachable, blocked, waiting)


def rows(rollouts: Rollouts, latest: int = 0) -> Sequence[RolloutRow]:
    """Newest first; the `latest` ones only, 0 for all."""
    return [_row(rollouts, each) for each in rollouts.list()[: latest or None]]


def story(rollouts: Rollouts, rollout_id: str) -> Story:
    """Raises UsageError for a rollout that is not known."""
    events = [entry.event for entry in rollouts.events_after(rollout_id)]
    summary = next(each for each in rollouts.list() if each.id == rollout_id)
    return Story(_row(rollouts, summary, events), tuple(events))


def waiting_wave(rollouts: Rollouts, rollout_id: str) -> str:
    """The wave that somebody is asked to approve; empty for none. Raises UsageError for a rollout that is not known."""
    wave = ""
    for entry in rollouts.events_after(rollout_id):
        if isinstance(entry.event, ev.ApprovalAwaited):
            wave = entry.event.wave
        elif isinstance(entry.event, ev.WaveApproved) or STATUS_AFTER.get(type(entry.event)) in ENDED:
            wave = ""
    return wave


def _row(rollouts: Rollouts, summary: RolloutSummary, events: Sequence[Event] = ()) -> RolloutRow:
    """One that rests has its counts in its last event; of others all `events` are added up, which are read where none are
    given.
    """
    last, told = rollouts.last(summary.id), msgspec.structs.asdict(summary)
    match last.event if last else None:
        case (
            ev.RolloutFinished() | ev.RolloutHalted() | ev.RolloutCancelled() | ev.RolloutSuperseded()
            | ev.RolloutWithdrawn() as end
        ):  # fmt: skip
            return RolloutRow(**told, counts=end.counts)
        case ev.RolloutPaused() as pause:
            return RolloutRow(**told, counts=pause.counts, waits_for=f"somebody to go on (paused: {pause.reason})")
    found = Progress(summary.nodes)
    for event in events or [entry.event for entry in rollouts.events_after(summary.id)]:
        found.take(event)
    driver = rollouts.driver(summary.id)
    return RolloutRow(
        **told,
        counts=found.counts,
        under_way=found.under_way,
        wave=found.wave,
        driver=driver,
        waits_for=_waits_for(summary, found, driver),
    )


def _waits_for(summary: RolloutSummary, found: Progress, driver: str) -> str:
    """Nothing, where it simply runs."""
    if not driver:
        return "somebody to go on (nobody drives it)"
    if summary.status in ("pausing", "cancelling", "superseding", "withdrawing"):
        why = f": {found.reason}" if found.reason else ""
        return f"{count(found.under_way, 'node')} under way ({summary.status}{why})"
    return found.wait
