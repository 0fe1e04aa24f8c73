"""watch: what happens in a rollout that another process drives, from the journal."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.model.event import STATUS_AFTER, Event
from fleet.model.rollout import ENDED, RolloutStatus
from fleet.ports.clock import Clock
from fleet.ports.engine import Rollouts

POLL_SECONDS = 0.5


def watch(rollouts: Rollouts, rollout_id: str, clock: Clock, every: float = POLL_SECONDS) -> Iterator[Event]:
    """All that happened, then what happens: until the rollout ends, is paused, or nobody drives it any more.

    Raises UsageError for a rollout that is not known.
    """
    seq = 0
    status: RolloutStatus = "new"
    while True:
        # Asked first: who drives it writes its last word before it goes.
        is_driven = bool(rollouts.driver(rollout_id))
        for entry in rollouts.events_after(rollout_id, seq):
            seq = entry.seq
            status = STATUS_AFTER.get(type(entry.event), status)
            yield entry.event
        if _rests(status) or not is_driven:
            return
        clock.sleep(every)


def _rests(status: RolloutStatus) -> bool:
    return status == "paused" or status in ENDED
