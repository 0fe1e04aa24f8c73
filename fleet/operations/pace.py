"""How fast rollouts of this folder go, as far as its journal knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from fleet.model.event import BatchEnded, BatchStarted
from fleet.ports.journal import Entry, Journal

BATCH_SECONDS = 120.0
"""What a batch is taken to last where none is known: as long as one of 20 nodes of `fleet simulate`."""
_ROLLOUTS, _BATCHES = 3, 50
"""How far back it is looked, at most."""


class Pace(msgspec.Struct, frozen=True):
    """When a rollout would begin (seconds since 1970), and the rest as in `Forecast`."""

    now: float
    forks: int = 20
    batch_seconds: float = BATCH_SECONDS
    measured: int = 0


def pace_of(journal: Journal, forks: int, now: float) -> Pace:
    """From the newest batches that ended, of the newest rollouts that had any."""
    found: list[float] = []
    rollouts = (summary for summary in journal.rollouts() if summary.status != "new")
    for _, summary in zip(range(_ROLLOUTS), rollouts, strict=False):
        found += reversed([*_seconds(journal.batches(summary.id))])
        if len(found) >= _BATCHES:
            break
    newest = found[:_BATCHES]
    return Pace(now, forks, max(1.0, round(median(newest), 1)), len(newest)) if newest else Pace(now, forks)


def _seconds(entries: Sequence[Entry]) -> Iterator[float]:
    began: dict[str, float] = {}
    for entry in entries:
        if isinstance(entry.event, BatchStarted):
            began[entry.event.batch_id] = entry.at
        elif isinstance(entry.event, BatchEnded) and entry.event.batch_id in began:
            yield max(0.0, entry.at - began[entry.event.batch_id])  # a clock may have been set back
