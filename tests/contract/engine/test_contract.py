"""What every engine promises, kept by the local one with both journals; and what it does when its controller is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fleet.decide import decide
from fleet.engine.local import LocalEngine, load
from fleet.engine.rollouts import LocalRollouts
from fleet.errors import BusyError, UsageError
from fleet.model import event as ev
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.rollout import AwayNode, GroupBudget, RolloutCounts, Timing, WaveOrder
from fleet.model.signal import Approve, Cancel, Pause, Supersede
from fleet.ports.engine import Answer
from fleet.ports.journal import LEASE_SECONDS, Journal, Step
from fleet.testing import MemoryApplier, MemoryClock, MemoryRecords
from fleet.testing.contracts.engine import ORDER, EngineContract, Running, eventually
from fleet.testing.orders import plain, rollout, wanted

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def applier() -> MemoryApplier:
    return MemoryApplier(wanted(ORDER))


@pytest.fixture
def engine(journal: Journal, applier: MemoryApplier) -> LocalEngine:
    return LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01)


@pytest.fixture
def outside(journal: Journal) -> LocalRollouts:
    return LocalRollouts(journal)


class TestLocalEngine(EngineContract):
    pass


def test_what_is_asked_before_a_pause_has_come_is_heard_however_seldom_the_inbox_is_read(
    journal: Journal, applier: MemoryApplier, outside: LocalRollouts
) -> None:
    engine = LocalEngine(journal, applier, MemoryRecords(), poll_seconds=3600)
    applier.hold()
    running = Running(engine.roll(ORDER))
    applier.await_running()
    engine.stop()
    eventually(lambda: outside.list()[0].status == "pausing")
    outside.signal("7f3c", Cancel("for good"))
    applier.let_go()
    assert running.join()[-1] == ev.RolloutCancelled("7f3c", "for good", RolloutCounts(applied=1, waiting=2))


@pytest.fixture
def died(journal: Journal, engine: LocalEngine, applier: MemoryApplier, clock: MemoryClock) -> Iterator[None]:
    """ORDER with its first node under way, and a controller that came not back: its lease ran out."""
    applier.hold()
    events = engine.roll(ORDER)
    for event in events:
        if isinstance(event, ev.BatchStarted):
            break
    clock.advance(LEASE_SECONDS)
    yield
    applier.let_go()
    with pytest.raises(BusyError):  # had it slept, it would write nothing more
        list(events)


def test_a_cancel_of_one_whose_controller_died_holds_whoever_comes_next(
    journal: Journal, outside: LocalRollouts, clock: MemoryClock, died: None
) -> None:
    answer = outside.signal("7f3c", Cancel("enough"))
    assert answer == Answer("7f3c", "", is_done=True, status="cancelling", under_way=1)
    assert journal.holder() is None
    state = load(journal, ORDER)
    assert (state.status, [batch.batch_id for batch in state.running]) == ("cancelling", ["7f3c-0001"])

    fresh = MemoryApplier(wanted(ORDER))
    events = list(LocalEngine(journal, fresh, MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    assert [order.nodes for order in fresh.orders] == [("a",)], "what was under way is found out, and nothing else"
    assert events[-1] == ev.RolloutCancelled("7f3c", "enough", RolloutCounts(applied=1, waiting=2))
    journal.acquire("ops@last")


def test_a_pause_of_one_whose_controller_died_waits_for_who_goes_on(
    journal: Journal, outside: LocalRollouts, died: None
) -> None:
    answer = outside.signal("7f3c", Pause("lunch"))
    assert answer == Answer("7f3c", "", is_done=False, status="running", under_way=1)
    assert [posted.request.reason for posted in journal.posted("7f3c")] == ["lunch"]
    fresh = MemoryApplier(wanted(ORDER))
    events = list(LocalEngine(journal, fresh, MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    assert [type(event) for event in events[:3]] == [ev.RolloutTakenOver, ev.PauseRequested, ev.RolloutResumed]
    assert isinstance(events[-1], ev.RolloutFinished)
    journal.acquire("ops@last")


def test_a_cancel_clears_what_else_waited(journal: Journal, outside: LocalRollouts, died: None) -> None:
    outside.signal("7f3c", Pause("lunch"))
    outside.signal("7f3c", Cancel("enough"))
    assert list(journal.posted("7f3c")) == []
    assert not any(isinstance(entry.event, ev.PauseRequested) for entry in journal.read("7f3c"))
    with pytest.raises(UsageError, match="it is being cancelled"):
        outside.signal("7f3c", Cancel("again"))


def leave_paused(engine: LocalEngine, applier: MemoryApplier) -> None:
    """ORDER, after its first node."""
    applier.hold()
    running = Running(engine.roll(ORDER))
    applier.await_running()
    engine.stop()
    applier.let_go()
    running.join()


def test_a_paused_one_is_cancelled_by_who_drives_another(
    journal: Journal, engine: LocalEngine, applier: MemoryApplier, outside: LocalRollouts
) -> None:
    """The other one is of the same commit and of one node alone: it leaves it as it is."""
    leave_paused(engine, applier)
    applier.hold()
    other = Running(engine.roll(rollout(plain("a"), id="beef")))
    applier.await_running()
    assert (outside.driver("7f3c"), outside.driver("beef")) == ("", "ops@desk")
    answer = outside.signal("7f3c", Cancel("no longer wanted"))
    assert answer == Answer("7f3c", "ops@desk", is_done=False, status="paused")
    eventually(lambda: load(journal, ORDER).status == "cancelled")
    assert list(journal.posted("7f3c")) == []
    assert [entry.event for entry in journal.read("7f3c")][-2:] == [
        ev.CancelRequested("no longer wanted", 0),
        ev.RolloutCancelled("7f3c", "no longer wanted", RolloutCounts(applied=1, waiting=2)),
    ]
    assert (outside.driver("7f3c"), outside.driver("beef"), outside.holder()) == ("", "ops@desk", "ops@desk")
    applier.let_go()
    assert isinstance(other.join()[-1], ev.RolloutFinished)
    assert (outside.list()[0].status, outside.holder()) == ("finished", "")


def test_a_cancel_is_heard_at_the_end_of_who_drives_another_at_the_latest(
    journal: Journal, applier: MemoryApplier, outside: LocalRollouts
) -> None:
    engine = LocalEngine(journal, applier, MemoryRecords(), poll_seconds=3600)
    leave_paused(engine, applier)
    applier.hold()
    other = Running(engine.roll(rollout(plain("a"), id="beef")))
    applier.await_running()
    engine.stop()
    eventually(lambda: outside.list()[0].status == "pausing")
    time.sleep(0.05)  # it has looked into the inboxes for the last time
    outside.signal("7f3c", Cancel())
    assert load(journal, ORDER).status == "paused"
    with pytest.raises(UsageError, match="cannot be cancelled"):
        outside.signal("7f3c", Cancel("again"))
    applier.let_go()
    other.join()
    assert load(journal, ORDER).status == "cancelled"


def test_a_cancel_of_one_whose_batch_is_open_is_carried_out_by_who_drives_another(
    journal: Journal, outside: LocalRollouts, clock: MemoryClock, died: None
) -> None:
    """Its batch stays open, and it is driven by nobody: resume finds out how far it came."""
    lease = journal.acquire("ops@spare")
    answer = outside.signal("7f3c", Cancel("enough"))
    assert answer == Answer("7f3c", "ops@spare", is_done=False, status="running", under_way=1)
    assert outside.is_ending("7f3c"), "though nobody has heard it yet"
    outside._cancel_others(lease, "beef")
    state = load(journal, ORDER)
    assert (state.status, [batch.batch_id for batch in state.running]) == ("cancelling", ["7f3c-0001"])
    assert (outside.driver("7f3c"), outside.is_ending("7f3c")) == ("", True)
    journal.release(lease)


class Recalled:
    """An applier that knows of no batch any more."""

    def __init__(self) -> None:
        self.orders: list[BatchOrder] = []

    def run_batch(self, order: BatchOrder) -> BatchResult:
        self.orders.append(order)
        return BatchResult(order.batch_id, tuple(NodeResult(name, "failed", reason="gone") for name in order.nodes))

    def stop_now(self) -> None:
        raise AssertionError("nobody stops it")


@pytest.mark.parametrize("request_", [Cancel("enough"), Supersede("beef")], ids=["cancelled", "superseded"])
def test_to_resume_what_is_ending_begins_no_batch(
    journal: Journal, outside: LocalRollouts, died: None, request_: Cancel | Supersede
) -> None:
    outside.signal("7f3c", request_)
    applier = Recalled()
    events = list(LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    assert [(order.batch_id, order.only_adopt) for order in applier.orders] == [("7f3c-0001", True)]
    assert type(events[-1]) in (ev.RolloutCancelled, ev.RolloutSuperseded)
    assert outside.is_ending("7f3c")
    journal.acquire("ops@last")


@pytest.mark.parametrize("request_", [Cancel("enough"), Supersede("beef")], ids=["cancelled", "superseded"])
def test_what_was_ordered_and_never_begun_did_not_fail(
    journal: Journal, outside: LocalRollouts, died: None, request_: Cancel | Supersede
) -> None:
    outside.signal("7f3c", request_)
    events = list(LocalEngine(journal, NeverBegan(), MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    (lost,) = (event for event in events if isinstance(event, ev.BatchRequeued))
    assert lost.reason == "it was not begun"
    assert not [event for event in events if isinstance(event, ev.NodeFailed)]
    assert isinstance(events[-1], ev.RolloutCancelled | ev.RolloutSuperseded)
    assert not journal.open_effects("7f3c")
    assert events[-1].counts.failed == 0


class NeverBegan(Recalled):
    """An applier whose batches were not begun."""

    def run_batch(self, order: BatchOrder) -> BatchResult:
        return replace(super().run_batch(order), is_begun=False)


def test_one_that_goes_on_is_not_ending(journal: Journal, outside: LocalRollouts, died: None) -> None:
    assert not outside.is_ending("7f3c")
    outside.signal("7f3c", Pause("lunch"))
    assert not outside.is_ending("7f3c")
    with pytest.raises(UsageError, match="there is no rollout dead"):
        outside.is_ending("dead")
    journal.acquire("ops@last")


def test_who_is_superseded_is_driven_by_nobody(
    journal: Journal, engine: LocalEngine, applier: MemoryApplier, outside: LocalRollouts
) -> None:
    """Though its last epoch is that of who drives the newer one."""
    leave_paused(engine, applier)
    applier.hold()
    newer = replace(rollout(plain("a"), id="beef"), commit="5cf2a13")
    other = Running(engine.roll(newer))
    applier.await_running()
    assert (outside.driver("7f3c"), outside.driver("beef")) == ("", "ops@desk")
    with pytest.raises(UsageError, match=r"it has ended \(superseded\)"):
        outside.signal("7f3c", Cancel())
    assert load(journal, ORDER).status == "superseded"
    applier.let_go()
    assert isinstance(other.join()[-1], ev.RolloutFinished)
    assert outside.driver("beef") == ""


def test_one_that_was_kept_and_never_begun_waits_for_resume(journal: Journal, outside: LocalRollouts) -> None:
    lease = journal.acquire("ops@desk")
    journal.begin(lease, ORDER)
    journal.release(lease)
    assert outside.last("7f3c") is None
    assert outside.driver("7f3c") == ""
    with pytest.raises(UsageError, match="it has not begun") as caught:
        outside.signal("7f3c", Cancel())
    assert caught.value.hint == "fleet rollout resume 7f3c begins it."
    assert journal.acquire("ops@next").epoch == 2, "no lease was taken for it"


def test_who_drives_is_known_whatever_was_read_before(
    journal: Journal, outside: LocalRollouts, clock: MemoryClock, died: None
) -> None:
    """Epochs are noted while events are read: in parts, again, and with a gap."""
    assert len(outside.events_after("7f3c", 2)) == 1
    assert outside.driver("7f3c") == ""
    lease = journal.acquire("ops@next")
    journal.append(lease, "7f3c", Step((ev.RolloutTakenOver("7f3c", "ops@next", lease.epoch),)))
    assert len(outside.events_after("7f3c")) == 4
    assert outside.driver("7f3c") == "ops@next"
    clock.advance(LEASE_SECONDS)
    assert outside.driver("7f3c") == ""
    lease = journal.acquire("ops@last")
    journal.append(lease, "7f3c", Step((ev.RolloutTakenOver("7f3c", "ops@last", lease.epoch), ev.BatchEnded("x"))))
    assert len(outside.events_after("7f3c", 5)) == 1
    assert outside.driver("7f3c") == "ops@last"
    assert LocalRollouts(journal).driver("7f3c") == "ops@last"


@pytest.fixture
def awaited(journal: Journal) -> Iterator[tuple[Running, MemoryApplier]]:
    """Two waves, driven up to the approval that the second one, `ramp`, waits for."""
    first, second = ORDER.waves[0].nodes[:1], ORDER.waves[0].nodes[1:]
    waves = (WaveOrder("pilot", first), WaveOrder("ramp", second, needs_approval=True))
    applier = MemoryApplier(wanted(ORDER))
    engine = LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01)
    running = Running(engine.roll(replace(ORDER, waves=waves)))
    eventually(
        lambda: (
            bool(journal.rollouts())
            and any(isinstance(entry.event, ev.ApprovalAwaited) for entry in journal.read("7f3c"))
        )
    )
    yield running, applier
    engine.stop()
    running.join()


def test_an_approval_lets_the_wave_begin_that_waits(
    journal: Journal, outside: LocalRollouts, awaited: tuple[Running, MemoryApplier]
) -> None:
    running, applier = awaited
    with pytest.raises(UsageError, match="cannot be approved: wave ramp waits for an approval, and not pilot"):
        outside.signal("7f3c", Approve("ops@hq", "pilot"))
    assert [order.nodes for order in applier.orders] == [("a",)]
    assert outside.driver("7f3c") == "ops@desk"

    assert outside.signal("7f3c", Approve("ops@hq", "ramp")) == Answer("7f3c", "ops@desk", False, "running")
    assert isinstance(running.join()[-1], ev.RolloutFinished)

    (approved,) = [event for event in running.events if isinstance(event, ev.WaveApproved)]
    assert (approved.wave, approved.by) == ("ramp", "ops@hq")
    assert abs(approved.at - time.time()) < 60
    with pytest.raises(UsageError, match="it has ended"):
        outside.signal("7f3c", Approve("ops@hq"))


def test_an_approval_of_one_that_nobody_drives_waits_for_who_goes_on(
    journal: Journal, outside: LocalRollouts, awaited: tuple[Running, MemoryApplier]
) -> None:
    running, applier = awaited
    outside.signal("7f3c", Pause("night"))
    running.join()
    assert outside.signal("7f3c", Approve("ops@hq")) == Answer("7f3c", "", False, "paused")
    with pytest.raises(UsageError, match="no wave waits"):
        outside.signal("7f3c", Approve("ops@hq"))
    assert len(applier.orders) == 1

    events = list(LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    assert isinstance(events[-1], ev.RolloutFinished)
    assert sum(isinstance(event, ev.WaveApproved) for event in events) == 1


def test_what_time_alone_leads_to_is_no_reason_to_take_an_approval(journal: Journal, outside: LocalRollouts) -> None:
    """A node has been away for too long by now, which is told with whatever is heard next."""
    away = GroupBudget("site=yard", 3, (AwayNode("gone", 1.0),))
    order = replace(ORDER, budgets=(away,), timing=Timing(offline_after=60.0))
    lease = journal.acquire("ops@desk")
    journal.begin(lease, order)
    journal.append(lease, "7f3c", Step((ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 3, 1),)))
    assert any(
        isinstance(event, ev.NodesLongOffline)
        for event in decide(load(journal, order), Approve("ops@hq", at=time.time())).events
    )
    with pytest.raises(UsageError, match="no wave waits for an approval"):
        outside.signal("7f3c", Approve("ops@hq"))
