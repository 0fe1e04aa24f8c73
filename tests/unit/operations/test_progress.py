"""How far rollouts are, and how one is watched, from what the journal says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from fleet.engine.local import LocalEngine
from fleet.engine.rollouts import LocalRollouts
from fleet.errors import UsageError
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.event import Event
from fleet.model.rollout import RolloutCounts
from fleet.model.status import RolloutRow
from fleet.operations.progress import Progress, Story, rows, story
from fleet.operations.watch import watch
from fleet.ports.journal import Lease, Step
from fleet.testing import MemoryApplier, MemoryClock, MemoryJournal, MemoryRecords
from fleet.testing.orders import plain, rollout, wanted

ORDER = rollout(plain("a", "b", "c", "d"), forks=2, batch_size=1)
STARTED: list[Event] = [
    ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 4, 1),
    ev.WaveStarted("w0", 0, 4),
    ev.BatchStarted("7f3c-0001", ("a",)),
    ev.BatchStarted("7f3c-0002", ("b",)),
    ev.NodeApplied("a", "yard", "7f3c-0001", "b1:a"),
    ev.BatchEnded("7f3c-0001"),
    ev.BatchStarted("7f3c-0003", ("c",)),
]


class Ground:
    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.journal = MemoryJournal(self.clock)
        self.rollouts = LocalRollouts(self.journal)

    def driven(self, events: Sequence[Event]) -> Lease:
        lease = self.journal.acquire("ops@desk")
        self.journal.begin(lease, ORDER)
        self.journal.append(lease, "7f3c", Step(tuple(events)))
        return lease

    @property
    def row(self) -> RolloutRow:
        (found,) = rows(self.rollouts)
        events = tuple(entry.event for entry in self.journal.read("7f3c"))
        assert story(LocalRollouts(self.journal), "7f3c") == Story(found, events)
        return found


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_one_that_runs_waits_for_nothing(ground: Ground) -> None:
    ground.driven(STARTED)
    assert ground.row.counts == RolloutCounts(applied=1, waiting=3)
    assert (ground.row.under_way, ground.row.wave, ground.row.driver) == (2, "w0", "ops@desk")
    assert ground.row.waits_for == ""


def test_one_whose_controller_is_gone_waits_for_somebody(ground: Ground) -> None:
    ground.journal.release(ground.driven(STARTED))
    assert (ground.row.driver, ground.row.waits_for) == ("", "somebody to go on (nobody drives it)")
    assert ground.row.under_way == 2


def test_one_that_pauses_waits_for_what_runs(ground: Ground) -> None:
    ground.driven([*STARTED, ev.PauseRequested("lunch", 2)])
    assert ground.row.waits_for == "2 nodes under way (pausing: lunch)"


@pytest.mark.parametrize(
    ("waits", "told"),
    [
        (ev.ApprovalAwaited("7f3c", "ramp", 1), "an approval of wave ramp"),
        (ev.WaveSoaking("w0", 0, 1_750_000_600.0), "wave w0 to soak until 2025-06-15 15:16 UTC"),
        (
            ev.WaitStarted("window", "2 nodes wait for their window", 1_750_000_600.0),
            "2025-06-15 15:16 UTC: 2 nodes wait for their window",
        ),
    ],
)
@pytest.mark.parametrize(
    "over", [ev.WaveStarted("w1", 1, 2), ev.WaveApproved("ramp", 1, "ops", 1.0), ev.BatchStarted("7f3c-0009", ("d",))]
)
def test_what_a_policy_waits_for_is_told_until_it_is_over(ground: Ground, waits: Event, told: str, over: Event) -> None:
    lease = ground.driven([*STARTED, waits])
    assert ground.row.waits_for == told
    ground.journal.append(lease, "7f3c", Step((over,)))
    assert ground.row.waits_for == ""


def test_one_that_is_superseded_waits_for_what_runs(ground: Ground) -> None:
    ground.driven([*STARTED, ev.SupersedeRequested("beef", 2)])
    assert ground.row.waits_for == "2 nodes under way (superseding: by rollout beef)"


def test_one_that_is_paused_waits_for_somebody_and_tells_why(ground: Ground) -> None:
    paused = ev.RolloutPaused("7f3c", "wave pilot failed", RolloutCounts(applied=3, failed=1))
    ground.journal.release(ground.driven([*STARTED, paused]))
    assert ground.row.waits_for == "somebody to go on (paused: wave pilot failed)"
    assert ground.row.counts == RolloutCounts(applied=3, failed=1)
    assert ground.row.under_way == 0


@pytest.mark.parametrize(
    "end",
    [
        ev.RolloutFinished("7f3c", RolloutCounts(applied=4)),
        ev.RolloutHalted("7f3c", RolloutCounts(applied=4)),
        ev.RolloutCancelled("7f3c", "x", RolloutCounts(applied=4)),
        ev.RolloutSuperseded("7f3c", "beef", RolloutCounts(applied=4)),
    ],
    ids=lambda end: type(end).__name__,
)
def test_one_that_has_ended_waits_for_nothing(ground: Ground, end: Event) -> None:
    ground.journal.release(ground.driven([*STARTED, end]))
    assert (ground.row.counts, ground.row.waits_for, ground.row.driver) == (RolloutCounts(applied=4), "", "")


def test_one_that_never_began(ground: Ground) -> None:
    ground.journal.release(ground.driven([]))
    assert (ground.row.status, ground.row.counts) == ("new", RolloutCounts(waiting=4))
    assert ground.row.waits_for == "somebody to go on (nobody drives it)"


def test_outcomes_of_all_kinds_are_added_up_as_the_decider_does() -> None:
    """Against the counts that the rollout itself tells at its end."""
    results = {
        "a": NodeResult("a", "failed", reason="x"),
        "b": NodeResult("b", "unreachable", reason="y"),
    }
    journal = MemoryJournal(MemoryClock())
    events = list(LocalEngine(journal, MemoryApplier(wanted(ORDER), results), MemoryRecords()).roll(ORDER))
    found = Progress(4)
    seen = []
    for event in events:
        found.take(event)
        seen.append(found.under_way)
    assert found.counts == events[-1].counts == RolloutCounts(applied=2, failed=1, unreachable=1)
    assert (max(seen), seen[-1]) == (2, 0)


def test_nodes_whose_batch_was_lost_are_not_under_way() -> None:
    found = Progress(4)
    for event in [*STARTED, ev.BatchRequeued("7f3c-0002", ("b",), "the controller died")]:
        found.take(event)
    assert found.under_way == 1


def test_the_latest_ones_alone(ground: Ground) -> None:
    lease = ground.journal.acquire("ops@desk")
    for at in range(9):
        ground.journal.begin(lease, rollout(plain("a"), id=f"r{at}"))
    assert [each.id for each in rows(ground.rollouts, 5)] == ["r8", "r7", "r6", "r5", "r4"]
    assert len(rows(ground.rollouts)) == 9


def test_one_that_is_not_known(ground: Ground) -> None:
    with pytest.raises(UsageError, match="there is no rollout dead"):
        story(ground.rollouts, "dead")
    with pytest.raises(UsageError, match="there is no rollout dead"):
        list(watch(ground.rollouts, "dead", ground.clock))


class Acting(MemoryClock):
    """Does the next thing whenever somebody sleeps."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        super().__init__()
        self.acts = list(acts)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.acts.pop(0)()


def test_a_watcher_sees_what_happens_once_and_in_order_until_the_end(ground: Ground) -> None:
    lease = ground.driven(STARTED[:3])
    rest = [ev.NodeFailed("a", "yard", "7f3c-0001", "x"), ev.RolloutHalted("7f3c", RolloutCounts(failed=4))]
    clock = Acting(
        lambda: None,
        lambda: ground.journal.append(lease, "7f3c", Step((rest[0],))),
        lambda: ground.journal.append(lease, "7f3c", Step((rest[1],))),
    )
    assert list(watch(ground.rollouts, "7f3c", clock)) == [*STARTED[:3], *rest]
    assert clock.acts == []


def test_a_watcher_ends_at_a_pause_and_not_at_one_that_is_over(ground: Ground) -> None:
    paused, resumed = ev.RolloutPaused("7f3c", "x", RolloutCounts()), ev.RolloutResumed("7f3c", RolloutCounts())
    lease = ground.driven([*STARTED, paused, resumed])
    clock = Acting(lambda: ground.journal.append(lease, "7f3c", Step((paused,))))
    assert list(watch(ground.rollouts, "7f3c", clock)) == [*STARTED, paused, resumed, paused]


def test_a_watcher_does_not_wait_for_a_controller_that_is_gone(ground: Ground) -> None:
    lease = ground.driven(STARTED)
    last = ev.PauseRequested("x", 2)

    def dies() -> None:
        ground.journal.append(lease, "7f3c", Step((last,)))
        ground.journal.release(lease)

    assert list(watch(ground.rollouts, "7f3c", Acting(dies))) == [*STARTED, last]


def test_a_rollout_of_another_lease_is_not_taken_for_driven(ground: Ground) -> None:
    ground.journal.release(ground.driven(STARTED))
    ground.journal.acquire("ops@other")
    assert list(watch(ground.rollouts, "7f3c", Acting())) == STARTED
