"""supersede: what another controller rolls out is asked to end, and waited for, as a generator of how far that is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fleet.errors import BusyError, UsageError
from fleet.model.event import SupersedeRequested
from fleet.model.rollout import ENDED, RolloutSummary
from fleet.model.signal import Supersede
from fleet.operations.progress import Progress
from fleet.ports.clock import Clock
from fleet.ports.engine import Rollouts

POLL_SECONDS = 0.5


class Standing(msgspec.Struct, frozen=True):
    """What is waited for: `driver` to let go. It drives `rollout_id`, of which `under_way` nodes have not ended; empty where
    it drives none.
    """

    driver: str
    rollout_id: str = ""
    under_way: int = 0


def supersede(rollouts: Rollouts, by: str, clock: Clock, every: float = POLL_SECONDS) -> Iterator[Standing]:
    """Asks for the rollout `by`, which has not begun, until nobody drives one; tells what it waits for when that changes.

    The last one that asks takes over: raises BusyError where another one did so later.
    """
    asked: dict[str, _Watched] = {}
    told: Standing | None = None
    while holder := rollouts.holder():
        live = _driven(rollouts)
        if live is not None and live.id not in asked:
            asked[live.id] = _Watched(rollouts, live, by)
            _ask(rollouts, live.id, by)
        for each in asked.values():
            each.look()
        standing = Standing(holder, live.id, asked[live.id].progress.under_way) if live else Standing(holder)
        if standing != told:
            told = standing
            yield standing
        clock.sleep(every)
    for each in asked.values():  # what was said last, before the controller let go
        each.look()


def _driven(rollouts: Rollouts) -> RolloutSummary | None:
    return next((each for each in rollouts.list() if each.status not in ENDED and rollouts.driver(each.id)), None)


def _ask(rollouts: Rollouts, rollout_id: str, by: str) -> None:
    try:
        rollouts.signal(rollout_id, Supersede(by))
    except UsageError:
        return  # it has just ended, or is being cancelled: it lets go all the same


class _Watched:
    """A rollout that was asked, as far as its journal was read."""

    def __init__(self, rollouts: Rollouts, summary: RolloutSummary, by: str) -> None:
        self.progress = Progress(summary.nodes)
        self._rollouts, self._id, self._by = rollouts, summary.id, by
        self._seq = 0
        self._is_heard = False

    def look(self) -> None:
        for entry in self._rollouts.events_after(self._id, self._seq):
            self._seq = entry.seq
            self.progress.take(entry.event)
            if isinstance(entry.event, SupersedeRequested):
                self._hear(entry.event.by)

    def _hear(self, by: str) -> None:
        if by != self._by and self._is_heard:
            raise BusyError(
                f"rollout {by} was asked for later, and takes over from rollout {self._id} instead of this one",
                f"fleet rollout watch {by} follows it once it has begun, fleet apply --supersede takes over from it.",
            )
        self._is_heard = self._is_heard or by == self._by
