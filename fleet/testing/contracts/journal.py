# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

import pytest

from fleet.decide import initial, snapshot
from fleet.errors import BusyError, UsageError
from fleet.model.batch import BatchOrder
from fleet.model.effect import RunBatch
from fleet.model.event import (
    BatchEnded,
    BatchRequeued,
    BatchStarted,
    NodeApplied,
    PauseRequested,
    RolloutFinished,
    RolloutPaused,
    RolloutStarted,
    WaveStarted,
)
from fleet.model.rollout import RolloutCounts, RolloutOrder, RolloutSummary
from fleet.model.signal import Cancel, Pause, Resume
from fleet.ports.journal import LEASE_SECONDS, Entry, Journal, Kept, Lease, Posted, Step
from fleet.testing.clock import START, MemoryClock
from fleet.testing.orders import cluster, rollout

ORDER = rollout(cluster("lyon", 2, 1))
STARTED = RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 3, 1)


def run(batch_id: str, epoch: int = 1) -> RunBatch:
    return RunBatch(BatchOrder(batch_id, "7f3c", epoch, ("lyon-s0",), {"lyon-s0": ""}))


class JournalContract:
    """Wants a fixture `journal`, empty, that takes its time from the fixture `clock`, a `MemoryClock`."""

    @pytest.fixture
    def clock(self) -> MemoryClock:
        return MemoryClock()

    @pytest.fixture
    def lease(self, journal: Journal) -> Lease:
        """With rollout 7f3c begun."""
        lease = journal.acquire("ops@desk")
        journal.begin(lease, ORDER)
        return lease

    def test_a_living_holder_is_named_to_whoever_comes_second(self, journal: Journal, clock: MemoryClock) -> None:
        assert journal.acquire("ops@desk") == Lease(1, "ops@desk")
        clock.advance(LEASE_SECONDS - 1)
        with pytest.raises(BusyError, match="ops@desk"):
            journal.acquire("ops@spare")

    def test_a_lease_that_is_not_renewed_can_be_taken(self, journal: Journal, clock: MemoryClock) -> None:
        journal.acquire("ops@desk")
        clock.advance(LEASE_SECONDS)
        assert journal.acquire("ops@spare") == Lease(2, "ops@spare")

    def test_a_renewed_lease_lives_on(self, journal: Journal, clock: MemoryClock) -> None:
        lease = journal.acquire("ops@desk")
        clock.advance(LEASE_SECONDS - 1)
        journal.renew(lease)
        clock.advance(LEASE_SECONDS - 1)
        with pytest.raises(BusyError, match="ops@desk"):
            journal.acquire("ops@spare")

    def test_the_holder_is_who_has_a_lease_that_lives(self, journal: Journal, clock: MemoryClock) -> None:
        assert journal.holder() is None
        lease = journal.acquire("ops@desk")
        assert journal.holder() == lease == Lease(1, "ops@desk")
        clock.advance(LEASE_SECONDS - 1)
        assert journal.holder() == lease
        clock.advance(1)
        assert journal.holder() is None
        newer = journal.acquire("ops@spare")
        assert journal.holder() == newer == Lease(2, "ops@spare")
        journal.release(lease)
        assert journal.holder() == newer
        journal.release(newer)
        assert journal.holder() is None

    def test_epochs_never_come_back(self, journal: Journal) -> None:
        for epoch in (1, 2, 3):
            lease = journal.acquire("ops@desk")
            assert lease.epoch == epoch
            journal.release(lease)

    def test_what_an_old_epoch_writes_is_refused(self, journal: Journal, clock: MemoryClock, lease: Lease) -> None:
        clock.advance(LEASE_SECONDS)
        newer = journal.acquire("ops@spare")
        with pytest.raises(BusyError, match="ops@spare"):
            journal.append(lease, "7f3c", Step((STARTED,), (run("7f3c-0001"),)))
        with pytest.raises(BusyError, match="ops@spare"):
            journal.begin(lease, rollout(cluster("nice", 1), id="aaaa"))
        with pytest.raises(BusyError, match="ops@spare"):
            journal.renew(lease)
        assert list(journal.read("7f3c")) == []
        assert list(journal.open_effects("7f3c")) == []
        assert [found.id for found in journal.rollouts()] == ["7f3c"]
        journal.append(newer, "7f3c", Step((STARTED,)))

    def test_the_release_of_an_old_lease_changes_nothing(self, journal: Journal, clock: MemoryClock) -> None:
        lease = journal.acquire("ops@desk")
        clock.advance(LEASE_SECONDS)
        journal.acquire("ops@spare")
        journal.release(lease)
        with pytest.raises(BusyError, match="ops@spare"):
            journal.acquire("ops@desk")

    def test_a_clock_that_is_set_back_keeps_a_dead_holder_no_longer_than_a_lease(
        self, journal: Journal, clock: MemoryClock
    ) -> None:
        journal.acquire("ops@dead")
        clock.advance(-86_400)
        with pytest.raises(BusyError, match="ops@dead"):
            journal.acquire("ops@desk")
        clock.advance(LEASE_SECONDS - 1)
        with pytest.raises(BusyError, match="ops@dead"):
            journal.acquire("ops@desk")
        clock.advance(1)
        assert journal.acquire("ops@desk") == Lease(2, "ops@desk")

    def test_a_holder_that_lives_keeps_its_lease_over_a_clock_that_is_set_back(
        self, journal: Journal, clock: MemoryClock, lease: Lease
    ) -> None:
        clock.advance(-86_400)
        for _ in range(3):
            with pytest.raises(BusyError, match="ops@desk"):
                journal.acquire("ops@spare")
            clock.advance(LEASE_SECONDS - 1)
            journal.renew(lease)
        journal.append(lease, "7f3c", Step((STARTED,)))

    def test_a_clock_that_is_set_forward_ends_a_lease_early_and_fences_its_holder(
        self, journal: Journal, clock: MemoryClock, lease: Lease
    ) -> None:
        clock.advance(86_400)
        journal.renew(lease)  # nobody was quicker: it lives on
        clock.advance(86_400)
        newer = journal.acquire("ops@spare")
        for write in (lambda: journal.renew(lease), lambda: journal.append(lease, "7f3c", Step((STARTED,)))):
            with pytest.raises(BusyError, match="ops@spare"):
                write()
        clock.advance(-2 * 86_400)  # and set right again
        journal.append(newer, "7f3c", Step((STARTED,)))
        assert [entry.event for entry in journal.read("7f3c")] == [STARTED]

    def test_what_is_kept_together_is_kept(self, journal: Journal, lease: Lease) -> None:
        with journal.together():
            journal.append(lease, "7f3c", Step((STARTED,)))
            journal.append(lease, "7f3c", Step((WaveStarted("w0", 0, 3),)))
        assert [entry.seq for entry in journal.read("7f3c")] == [1, 2]

    def test_nothing_is_written_with_a_released_lease(self, journal: Journal, lease: Lease) -> None:
        journal.release(lease)
        with pytest.raises(BusyError):
            journal.append(lease, "7f3c", Step((STARTED,)))

    def test_an_order_is_kept(self, journal: Journal, lease: Lease) -> None:
        assert journal.order("7f3c") == ORDER
        with pytest.raises(UsageError, match="there is a rollout 7f3c already"):
            journal.begin(lease, ORDER)
        with pytest.raises(UsageError, match="there is no rollout beef"):
            journal.order("beef")

    def test_events_are_numbered_stamped_and_read_in_order(
        self, journal: Journal, clock: MemoryClock, lease: Lease
    ) -> None:
        wave, applied = WaveStarted("w0", 0, 3), NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:x", 2, ("k3s",))
        clock.advance(5)
        first = journal.append(lease, "7f3c", Step((STARTED, wave)))
        clock.advance(5)
        second = journal.append(lease, "7f3c", Step((applied,)))
        assert first == (Entry(1, START + 5, STARTED), Entry(2, START + 5, wave))
        assert second == (Entry(3, START + 10, applied),)
        assert tuple(journal.read("7f3c")) == first + second
        assert tuple(journal.read("7f3c", after=2)) == second
        assert tuple(journal.read("7f3c", after=3)) == ()

    def test_the_last_entry(self, journal: Journal, clock: MemoryClock, lease: Lease) -> None:
        assert journal.last("7f3c") is None
        journal.append(lease, "7f3c", Step((STARTED, WaveStarted("w0", 0, 3))))
        journal.begin(lease, rollout(cluster("nice", 1), id="beef"))
        journal.append(lease, "beef", Step((WaveStarted("w1", 0, 1), BatchEnded("x"), BatchEnded("y"))))
        assert journal.last("7f3c") == Entry(2, START, WaveStarted("w0", 0, 3))
        clock.advance(5)
        journal.append(lease, "7f3c", Step((BatchEnded("7f3c-0001"),)))
        assert journal.last("7f3c") == Entry(3, START + 5, BatchEnded("7f3c-0001"))

    def test_rollouts_keep_apart(self, journal: Journal, lease: Lease) -> None:
        journal.begin(lease, rollout(cluster("nice", 1), id="beef"))
        journal.append(lease, "7f3c", Step((STARTED,), (run("7f3c-0001"),)))
        journal.append(lease, "beef", Step((WaveStarted("w0", 0, 1),)))
        journal.post("beef", Pause("x"))
        assert [(entry.seq, entry.event) for entry in journal.read("beef")] == [(1, WaveStarted("w0", 0, 1))]
        assert list(journal.open_effects("beef")) == []
        assert list(journal.posted("7f3c")) == []

    def test_an_effect_is_open_until_its_batch_ends(self, journal: Journal, lease: Lease) -> None:
        effects = (run("7f3c-0001"), run("7f3c-0002"), run("7f3c-0003"))
        journal.append(lease, "7f3c", Step((BatchStarted("7f3c-0001", ("lyon-s0",)),), effects))
        assert tuple(journal.open_effects("7f3c")) == effects
        journal.append(lease, "7f3c", Step((NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:x"),)))
        assert tuple(journal.open_effects("7f3c")) == effects
        journal.append(lease, "7f3c", Step((BatchEnded("7f3c-0001"), BatchRequeued("7f3c-0003", ("lyon-s0",), "x"))))
        assert tuple(journal.open_effects("7f3c")) == (run("7f3c-0002"),)

    def test_an_effect_that_is_asked_for_again_takes_the_new_epoch(self, journal: Journal, lease: Lease) -> None:
        journal.append(lease, "7f3c", Step((), (run("7f3c-0001"),)))
        journal.append(lease, "7f3c", Step((), (run("7f3c-0001", epoch=2),)))
        assert tuple(journal.open_effects("7f3c")) == (run("7f3c-0001", epoch=2),)

    def test_the_newest_snapshot_is_kept_with_its_place(self, journal: Journal, lease: Lease) -> None:
        assert journal.kept("7f3c") is None
        first = snapshot(initial(ORDER))
        second = snapshot(initial(rollout(cluster("nice", 1), id="7f3c")))
        journal.append(lease, "7f3c", Step((STARTED,), snapshot=first))
        assert journal.kept("7f3c") == Kept(1, first)
        journal.append(lease, "7f3c", Step((WaveStarted("w0", 0, 3), BatchEnded("x")), snapshot=second))
        assert journal.kept("7f3c") == Kept(3, second)

    def test_the_list_of_rollouts(self, journal: Journal, clock: MemoryClock, lease: Lease) -> None:
        def line(order: RolloutOrder, nodes: int, status: str, started: float, updated: float) -> RolloutSummary:
            return RolloutSummary(order.id, "acme", "4be1f02", "ops@desk", nodes, status, started, updated)  # type: ignore[arg-type] # a status of the test's

        other = rollout(cluster("nice", 1), id="beef")
        clock.advance(10)
        journal.begin(lease, other)
        clock.advance(10)
        journal.append(lease, "7f3c", Step((STARTED, WaveStarted("w0", 0, 3))))
        assert list(journal.rollouts()) == [
            line(other, 1, "new", START + 10, START + 10),
            line(ORDER, 3, "running", START, START + 20),
        ]
        counts = RolloutCounts(waiting=3)
        journal.append(lease, "7f3c", Step((PauseRequested("x", 0), RolloutPaused("7f3c", "x", counts))))
        journal.append(lease, "beef", Step((RolloutFinished("beef", RolloutCounts(applied=1)), BatchEnded("y"))))
        assert [(found.id, found.status) for found in journal.rollouts()] == [("beef", "finished"), ("7f3c", "paused")]

    def test_what_begins_and_ends_batches_is_told_with_its_time(
        self, journal: Journal, clock: MemoryClock, lease: Lease
    ) -> None:
        assert list(journal.batches("7f3c")) == []
        began, ended = BatchStarted("7f3c-0001", ("lyon-s0",)), BatchEnded("7f3c-0001")
        journal.append(lease, "7f3c", Step((STARTED, WaveStarted("w0", 0, 3), began), (run("7f3c-0001"),)))
        clock.advance(41)
        journal.append(lease, "7f3c", Step((NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:x"), ended)))
        journal.append(lease, "7f3c", Step((BatchRequeued("7f3c-0002", ("lyon-s1",), "x"),)))
        assert list(journal.batches("7f3c")) == [Entry(3, START, began), Entry(5, START + 41, ended)]

    def test_events_are_picked_by_kind_by_node_and_by_place(
        self, journal: Journal, clock: MemoryClock, lease: Lease
    ) -> None:
        began, ended = BatchStarted("7f3c-0001", ("lyon-s0", "lyon-s1")), BatchEnded("7f3c-0001")
        first, other = (NodeApplied(name, "lyon", "7f3c-0001", "b1:x") for name in ("lyon-s0", "lyon-s01"))
        journal.append(lease, "7f3c", Step((STARTED, began), (run("7f3c-0001"),)))
        clock.advance(41)
        journal.append(lease, "7f3c", Step((first, other, ended)))
        assert list(journal.picked("7f3c", node="lyon-s0")) == [Entry(2, START, began), Entry(3, START + 41, first)]
        assert list(journal.picked("7f3c", [NodeApplied])) == [
            Entry(3, START + 41, first), Entry(4, START + 41, other),
        ]  # fmt: skip
        assert list(journal.picked("7f3c", [NodeApplied, RolloutStarted], until=3)) == [
            Entry(1, START, STARTED), Entry(3, START + 41, first),
        ]  # fmt: skip
        assert list(journal.picked("7f3c", [BatchStarted], "lyon-s1")) == [Entry(2, START, began)]
        assert list(journal.picked("7f3c", [BatchStarted], "lyon-s")) == []
        assert list(journal.picked("beef")) == []

    def test_a_request_stays_until_the_step_that_handles_it(self, journal: Journal, lease: Lease) -> None:
        for request in (Pause("lunch"), Resume(), Cancel("no")):
            journal.post("7f3c", request)
        first, second, third = journal.posted("7f3c")
        assert (first.request, second.request, third.request) == (Pause("lunch"), Resume(), Cancel("no"))
        assert list(journal.posted("7f3c")) == [first, second, third]
        journal.append(lease, "7f3c", Step((), handled=(first.id, third.id)))
        assert list(journal.posted("7f3c")) == [Posted(second.id, Resume())]
        with pytest.raises(UsageError, match="there is no rollout beef"):
            journal.post("beef", Resume())
