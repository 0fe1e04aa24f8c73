"""How long batches took, as the journal tells."""

from __future__ import annotations

from fleet.model.event import BatchEnded, BatchStarted, RolloutStarted
from fleet.operations.pace import BATCH_SECONDS, Pace, pace_of
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal
from fleet.testing.orders import plain, rollout

NOW = 1_750_000_000.0


def journal_of(*rollouts: list[float]) -> MemoryJournal:
    """Rollouts whose batches took so many seconds, the oldest one first."""
    clock = MemoryClock()
    journal = MemoryJournal(clock)
    lease = journal.acquire("ops@desk")
    for number, seconds in enumerate(rollouts):
        order = rollout(plain("a"), id=f"r{number}")
        journal.begin(lease, order)
        journal.append(lease, order.id, Step((RolloutStarted(order.id, "acme", "", "ops@desk", 1, 1, 1),)))
        for at, took in enumerate(seconds):
            journal.append(lease, order.id, Step((BatchStarted(f"{order.id}-{at}", ("a",)),)))
            clock.advance(took)
            journal.append(lease, order.id, Step((BatchEnded(f"{order.id}-{at}"),)))
    return journal


def test_what_nobody_knows_is_assumed() -> None:
    assert pace_of(journal_of(), 7, NOW) == Pace(NOW, 7, BATCH_SECONDS, 0)
    assert pace_of(journal_of([]), 7, NOW) == Pace(NOW, 7, BATCH_SECONDS, 0)


def test_one_slow_batch_changes_little() -> None:
    assert pace_of(journal_of([40.0, 41.0, 3000.0]), 20, NOW) == Pace(NOW, 20, 41.0, 3)


def test_the_newest_ones_count_and_old_rollouts_do_not() -> None:
    assert pace_of(journal_of([500.0] * 60, [40.0] * 60), 20, NOW) == Pace(NOW, 20, 40.0, 50)
    assert pace_of(journal_of([500.0] * 30 + [40.0] * 40), 20, NOW) == Pace(NOW, 20, 40.0, 50)
    assert pace_of(journal_of([500.0] * 9, [40.0], [], []), 20, NOW) == Pace(NOW, 20, 40.0, 1)


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    assert pace_of(journal_of([-50.0]), 20, NOW).batch_seconds == 1.0


def test_a_batch_that_has_not_ended_does_not_count() -> None:
    journal = journal_of([30.0])
    journal.append(journal._lease, "r0", Step((BatchStarted("r0-9", ("a",)),)))
    assert pace_of(journal, 20, NOW).measured == 1
