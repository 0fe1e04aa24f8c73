"""The local engine, driven with both journals and a pretend applier."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.engine.heartbeat import Heartbeat
from fleet.engine.local import LocalEngine, load
from fleet.errors import BusyError, StoppedError, UnavailableError, UsageError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.effect import RunBatch
from fleet.model.event import (
    BatchEnded,
    BatchRequeued,
    BatchStarted,
    CancelRequested,
    Event,
    NodeApplied,
    NodeFailed,
    PauseRequested,
    RolloutCancelled,
    RolloutFinished,
    RolloutHalted,
    RolloutPaused,
    RolloutResumed,
    RolloutStarted,
    RolloutTakenOver,
    WaveFinished,
    WaveStarted,
)
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.model.signal import Cancel, Pause, Resume
from fleet.ports.journal import LEASE_SECONDS, Entry, Journal, Lease, Step
from fleet.testing import MemoryApplier, MemoryClock, MemoryJournal, MemoryRecords
from fleet.testing.orders import cluster, plain, rollout, wanted

pytestmark = pytest.mark.timeout(60)
THREE = rollout(plain("a", "b", "c"), forks=1)


def engine(journal: Journal, applier: MemoryApplier, records: MemoryRecords | None = None) -> LocalEngine:
    return LocalEngine(journal, applier, records or MemoryRecords(), poll_seconds=0.01)


def until(events: Iterator[Event], kind: type[Event]) -> list[Event]:
    """The next events, up to the first one of a kind."""
    found = []
    for event in events:
        found.append(event)
        if isinstance(event, kind):
            return found
    raise AssertionError(f"no {kind.__name__} in {found}")


def eventually(is_so: Callable[[], bool]) -> None:
    """Waits for another thread, 10 s at most."""
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def test_a_rollout_from_begin_to_end(journal: Journal) -> None:
    order = rollout([*cluster("lyon", 1, 1), *plain("gate")])
    records = MemoryRecords()
    events = list(engine(journal, MemoryApplier(wanted(order)), records).roll(order))
    assert events == [
        RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 3, 1),
        WaveStarted("w0", 0, 3),
        BatchStarted("7f3c-0001", ("lyon-s0", "gate")),
        NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:lyon-s0", 1),
        NodeApplied("gate", "yard", "7f3c-0001", "b1:gate", 1),
        BatchEnded("7f3c-0001"),
        BatchStarted("7f3c-0002", ("lyon-a0",)),
        NodeApplied("lyon-a0", "lyon", "7f3c-0002", "b1:lyon-a0", 1),
        BatchEnded("7f3c-0002"),
        WaveFinished("w0", 0, RolloutCounts(applied=3)),
        RolloutFinished("7f3c", RolloutCounts(applied=3)),
    ]
    assert [entry.event for entry in journal.read("7f3c")] == events
    assert {name: record.digest for name, record in records.all().items()} == wanted(order)
    assert journal.rollouts()[0].status == "finished"
    assert list(journal.open_effects("7f3c")) == []
    assert journal.acquire("ops@next").epoch == 2, "the lease was given back"


def test_a_failure_halts_without_an_exception(journal: Journal) -> None:
    order = rollout(cluster("lyon", 1, 1))
    applier = MemoryApplier(wanted(order), {"lyon-s0": NodeResult("lyon-s0", "failed", reason="no space")})
    records = MemoryRecords()
    assert list(engine(journal, applier, records).roll(order))[-1] == RolloutHalted(
        "7f3c", RolloutCounts(failed=1, blocked=1)
    )
    assert dict(records.all()) == {}


def test_what_was_sent_to_a_node_that_never_answered_is_remembered(journal: Journal) -> None:
    order = rollout(plain("a", "b", "c"))
    lost = NodeResult("a", "unreachable", reason="the connection was lost")
    applier = MemoryApplier(wanted(order), {"a": lost, "b": NodeResult("b", "failed", reason="no space")})
    records = MemoryRecords()
    list(engine(journal, applier, records).roll(order))
    assert dict(records.unanswered()) == {"a": ("b1:a",)}


class Looking(MemoryApplier):
    """Asks, the moment that a batch is started, through a connection of its own, whether its start is on the disk."""

    def __init__(self, folder: Path, order: RolloutOrder) -> None:
        super().__init__(wanted(order))
        self.seen: list[bool] = []
        self._folder = folder

    def run_batch(self, order: BatchOrder) -> BatchResult:
        database = Database(self._folder)
        journal = SqliteJournal(database, MemoryClock())
        in_events = any(
            isinstance(entry.event, BatchStarted) and entry.event.batch_id == order.batch_id
            for entry in journal.read("7f3c")
        )
        self.seen.append(in_events and RunBatch(order) in journal.open_effects("7f3c"))
        database.close()
        return super().run_batch(order)


def test_no_batch_is_started_before_its_start_is_kept(tmp_path: Path, clock: MemoryClock) -> None:
    applier = Looking(tmp_path, THREE)
    database = Database(tmp_path)
    list(engine(SqliteJournal(database, clock), applier).roll(THREE))
    database.close()
    assert applier.seen == [True, True, True]


class Slow(MemoryJournal):
    """Takes its time over every commit, so that what is carried out too early shows."""

    def __init__(self, clock: MemoryClock, applier: MemoryApplier, records: MemoryRecords) -> None:
        super().__init__(clock)
        self.early: list[str] = []
        self.unsaved: list[str] = []
        self._applier = applier
        self._records = records

    def append(self, lease: Lease, rollout_id: str, step: Step) -> tuple[Entry, ...]:
        time.sleep(0.05)
        asked = {order.batch_id for order in self._applier.orders}
        self.early += [effect.order.batch_id for effect in step.effects if effect.order.batch_id in asked]
        known = self._records.all()
        self.unsaved += [
            event.node for event in step.events if isinstance(event, NodeApplied) if event.node not in known
        ]
        return super().append(lease, rollout_id, step)


def test_effects_come_after_and_records_before_the_commit(clock: MemoryClock) -> None:
    applier, records = MemoryApplier(wanted(THREE)), MemoryRecords()
    journal = Slow(clock, applier, records)
    list(engine(journal, applier, records).roll(THREE))
    assert len(applier.orders) == 3
    assert journal.early == []
    assert journal.unsaved == []


def test_an_event_is_kept_before_it_is_shown(journal: Journal) -> None:
    for count, event in enumerate(engine(journal, MemoryApplier(wanted(THREE))).roll(THREE), 1):
        assert journal.read("7f3c", after=count - 1)[0].event == event


def test_batches_run_side_by_side(journal: Journal) -> None:
    order = rollout(plain("a", "b", "c", "d"), forks=3, batch_size=1)
    applier = MemoryApplier(wanted(order))
    applier.hold()
    events = engine(journal, applier).roll(order)
    until(events, BatchStarted)
    for _ in range(3):
        applier.await_running()
    assert sorted(order.nodes for order in applier.orders) == [("a",), ("b",), ("c",)]
    applier.let_go()
    assert list(events)[-1] == RolloutFinished("7f3c", RolloutCounts(applied=4))


def test_stop_once_pauses_after_what_runs_and_resume_goes_on(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    rolling = engine(journal, applier)
    events = rolling.roll(THREE)
    until(events, BatchStarted)
    applier.await_running()
    rolling.stop()
    assert next(events) == PauseRequested("stopped by the operator", 1)
    applier.let_go()
    paused = RolloutPaused("7f3c", "stopped by the operator", RolloutCounts(applied=1, waiting=2))
    assert list(events)[-1] == paused
    assert not applier.stopped
    assert journal.rollouts()[0].status == "paused"

    rest = list(engine(journal, applier).resume("7f3c"))
    assert rest[:2] == [
        RolloutTakenOver("7f3c", "ops@desk", 2, ()),
        RolloutResumed("7f3c", RolloutCounts(applied=1, waiting=2)),
    ]
    assert rest[-1] == RolloutFinished("7f3c", RolloutCounts(applied=3))
    assert [order.nodes for order in applier.orders] == [("a",), ("b",), ("c",)]
    assert [order.epoch for order in applier.orders] == [1, 2, 2]


def test_the_same_engine_may_resume_what_it_stopped(journal: Journal) -> None:
    rolling = engine(journal, MemoryApplier(wanted(THREE)))
    events = rolling.roll(THREE)
    until(events, BatchStarted)
    rolling.stop()
    assert isinstance(list(events)[-1], RolloutPaused)
    assert isinstance(list(rolling.resume("7f3c"))[-1], RolloutFinished)


def test_stop_twice_ends_what_runs_and_leaves_it_open(journal: Journal) -> None:
    order = rollout(plain("a", "b", "c"), forks=2, batch_size=1)
    applier = MemoryApplier(wanted(order))
    applier.hold()
    rolling = engine(journal, applier)
    events = rolling.roll(order)
    until(events, BatchStarted)
    rolling.stop()
    rolling.stop()
    with pytest.raises(StoppedError, match="stopped at once, with 2 nodes under way") as caught:
        list(events)
    assert "fleet rollout resume 7f3c" in caught.value.hint
    assert applier.stopped
    assert {effect.order.batch_id for effect in journal.open_effects("7f3c")} == {"7f3c-0001", "7f3c-0002"}

    fresh = MemoryApplier(wanted(order))
    rest = list(engine(journal, fresh).resume("7f3c"))
    assert rest[0] == RolloutTakenOver("7f3c", "ops@desk", 2, ("7f3c-0001", "7f3c-0002"))
    assert rest[-1] == RolloutFinished("7f3c", RolloutCounts(applied=3))
    assert [(order.batch_id, order.epoch) for order in sorted(fresh.orders, key=lambda order: order.batch_id)] == [
        ("7f3c-0001", 2), ("7f3c-0002", 2), ("7f3c-0003", 2),
    ]  # fmt: skip


def test_requests_of_other_processes_are_heard_and_taken_out_of_the_inbox(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    events = engine(journal, applier).roll(THREE)
    until(events, BatchStarted)
    journal.post("7f3c", Pause("lunch"))
    assert next(events) == PauseRequested("lunch", 1)
    journal.post("7f3c", Resume())
    assert next(events) == RolloutResumed("7f3c", RolloutCounts(waiting=3))
    journal.post("7f3c", Cancel("wrong version"))
    assert next(events) == CancelRequested("wrong version", 1)
    applier.let_go()
    assert list(events)[-1] == RolloutCancelled("7f3c", "wrong version", RolloutCounts(applied=1, waiting=2))
    assert list(journal.posted("7f3c")) == []
    assert [order.nodes for order in applier.orders] == [("a",)]


def test_a_request_that_changes_nothing_leaves_the_inbox_too(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    events = engine(journal, applier).roll(THREE)
    until(events, BatchStarted)
    journal.post("7f3c", Resume())
    reading = threading.Thread(target=lambda: list(events))
    reading.start()
    eventually(lambda: not journal.posted("7f3c"))
    applier.let_go()
    reading.join()
    assert journal.rollouts()[0].status == "finished"


def paused(journal: Journal, applier: MemoryApplier) -> None:
    rolling = engine(journal, applier)
    events = rolling.roll(THREE)
    until(events, BatchStarted)
    rolling.stop()
    assert isinstance(list(events)[-1], RolloutPaused)


def test_a_cancel_of_what_is_paused_wins_over_the_resume(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    paused(journal, applier)
    journal.post("7f3c", Cancel("no longer wanted"))
    assert list(engine(journal, applier).resume("7f3c")) == [
        RolloutTakenOver("7f3c", "ops@desk", 2, ()),
        CancelRequested("no longer wanted", 0),
        RolloutCancelled("7f3c", "no longer wanted", RolloutCounts(applied=1, waiting=2)),
    ]
    assert len(applier.orders) == 1
    with pytest.raises(UsageError, match="rollout 7f3c is cancelled"):
        list(engine(journal, applier).resume("7f3c"))


def test_an_applier_that_fails_pauses_and_its_error_is_raised(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.errors["7f3c-0002"] = UnavailableError("ansible-runner cannot be started")
    records = MemoryRecords()
    events = engine(journal, applier, records).roll(THREE)
    until(events, BatchEnded)
    assert next(events) == BatchStarted("7f3c-0002", ("b",))
    assert next(events) == BatchRequeued("7f3c-0002", ("b",), "ansible-runner cannot be started")
    with pytest.raises(UnavailableError, match="ansible-runner cannot be started"):
        list(events)
    assert journal.rollouts()[0].status == "paused"
    assert isinstance(list(engine(journal, applier).resume("7f3c"))[-1], RolloutFinished)


class Broken(MemoryApplier):
    def run_batch(self, order: BatchOrder) -> BatchResult:
        raise ZeroDivisionError(order.batch_id)


def test_a_bug_in_an_applier_is_raised_as_it_is(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError):
        list(engine(journal, Broken({})).roll(THREE))
    assert [effect.order.batch_id for effect in journal.open_effects("7f3c")] == ["7f3c-0001"]
    assert journal.acquire("ops@next").epoch == 2, "the lease was given back"


def test_a_watcher_that_goes_away_leaves_a_pause_and_every_result(journal: Journal) -> None:
    applier, records = MemoryApplier(wanted(THREE)), MemoryRecords()
    applier.hold()
    events = engine(journal, applier, records).roll(THREE)
    until(events, BatchStarted)
    applier.await_running()
    threading.Timer(0.1, applier.let_go).start()
    events.close()  # type: ignore[attr-defined] # a generator
    assert list(records.all()) == ["a"]
    last = [entry.event for entry in journal.read("7f3c")][-1]
    assert last == RolloutPaused("7f3c", "stopped by the operator", RolloutCounts(applied=1, waiting=2))
    assert isinstance(list(engine(journal, applier).resume("7f3c"))[-1], RolloutFinished)


def test_only_one_controller_rolls(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    events = engine(journal, applier).roll(THREE)
    until(events, BatchStarted)
    with pytest.raises(BusyError, match="ops@desk") as caught:
        list(engine(journal, applier).roll(rollout(plain("z"), id="beef")))
    assert caught.value.hint.endswith(
        "fleet apply --supersede ends what it rolls out, and takes over what has not begun."
    )
    with pytest.raises(BusyError, match="ops@desk"):
        list(engine(journal, applier).resume("7f3c"))
    assert [found.id for found in journal.rollouts()] == ["7f3c"]
    applier.let_go()
    assert isinstance(list(events)[-1], RolloutFinished)


def test_a_controller_that_lost_its_lease_writes_nothing_more(journal: Journal, clock: MemoryClock) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    events = engine(journal, applier).roll(THREE)
    before = until(events, BatchStarted)
    clock.advance(LEASE_SECONDS)
    newer = engine(journal, applier).resume("7f3c")
    assert next(newer) == RolloutTakenOver("7f3c", "ops@desk", 2, ("7f3c-0001",))
    applier.let_go()
    with pytest.raises(BusyError, match="epoch"):
        list(events)
    assert [entry.event for entry in journal.read("7f3c")][: len(before) + 1] == [
        *before,
        RolloutTakenOver("7f3c", "ops@desk", 2, ("7f3c-0001",)),
    ]
    assert list(newer)[-1] == RolloutFinished("7f3c", RolloutCounts(applied=3))


def test_a_rollout_that_was_kept_and_never_begun_begins(journal: Journal) -> None:
    lease = journal.acquire("ops@desk")
    journal.begin(lease, THREE)
    journal.release(lease)
    events = list(engine(journal, MemoryApplier(wanted(THREE))).resume("7f3c"))
    assert events[0] == RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 2, 3, 1)
    assert isinstance(events[-1], RolloutFinished)


def test_what_cannot_be_resumed(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    list(engine(journal, applier).roll(THREE))
    with pytest.raises(UsageError, match="rollout 7f3c is finished: there is nothing left to go on with"):
        list(engine(journal, applier).resume("7f3c"))
    with pytest.raises(UsageError, match="there is no rollout beef"):
        list(engine(journal, applier).resume("beef"))
    assert journal.acquire("ops@next").epoch == 3, "the lease was given back"


def test_a_journal_that_contradicts_itself_is_not_believed(journal: Journal) -> None:
    lease = journal.acquire("ops@desk")
    journal.begin(lease, THREE)
    effect = RunBatch(BatchOrder("7f3c-0001", "7f3c", 1, ("a",), {"a": ""}))
    journal.append(lease, "7f3c", Step((RolloutStarted("7f3c", "acme", "4be1f02", "o", 1, 3, 1),), (effect,)))
    with pytest.raises(UnavailableError, match="the journal of rollout 7f3c is damaged"):
        load(journal, THREE)


def test_a_long_rollout_keeps_snapshots_and_is_resumed_from_one(journal: Journal) -> None:
    order = rollout(plain(*(f"n{i}" for i in range(150))), forks=1)
    applier = MemoryApplier(wanted(order))
    rolling = engine(journal, applier)
    for event in (events := rolling.roll(order)):
        if event == BatchStarted("7f3c-0140", ("n139",)):
            break
    kept = journal.kept("7f3c")
    assert kept is not None
    assert 256 <= kept.seq < len(journal.read("7f3c"))
    rolling.stop()
    assert isinstance(list(events)[-1], RolloutPaused)
    assert journal.kept("7f3c").seq == len(journal.read("7f3c"))  # type: ignore[union-attr] # it was there before
    assert list(engine(journal, applier).resume("7f3c"))[-1] == RolloutFinished("7f3c", RolloutCounts(applied=150))
    assert [(order.batch_id, order.nodes) for order in applier.orders] == [
        (f"7f3c-{i + 1:04d}", (f"n{i}",)) for i in range(150)
    ]


def test_a_snapshot_comes_with_as_many_events_as_there_are_nodes(clock: MemoryClock) -> None:
    """It holds some bits of each node: more often, and what a step writes would grow with the fleet."""
    order = rollout(plain(*(f"n{i}" for i in range(600))), forks=1, batch_size=1)
    journal = MemoryJournal(clock)
    list(engine(journal, MemoryApplier(wanted(order))).roll(order))
    events = sum(len(step.events) for step in journal.steps)
    snapshots = sum(step.snapshot is not None for step in journal.steps)
    assert events == 3 * 600 + 4
    assert snapshots == events // 600


def test_a_controller_that_only_waits_learns_that_its_lease_is_lost(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE))
    applier.hold()
    waiting = LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01, beat_seconds=0.2)
    events = waiting.roll(THREE)
    until(events, BatchStarted)
    journal.release(Lease(1, "ops@desk"))
    journal.acquire("ops@spare")
    with pytest.raises(BusyError, match="ops@spare"):
        next(events)
    assert applier.digests == {}, "it did not wait for the batch to end"
    applier.let_go()


def test_the_lease_is_kept_alive_by_a_heartbeat(clock: MemoryClock) -> None:
    journal, woken = MemoryJournal(clock), threading.Event()
    with Heartbeat(journal, journal.acquire("ops@desk"), woken.set, every=0.01) as heartbeat:
        for _ in range(5):
            clock.advance(LEASE_SECONDS * 0.9)
            time.sleep(0.1)
            with pytest.raises(BusyError, match="ops@desk"):
                journal.acquire("ops@spare")
        assert heartbeat.lost is None
        clock.advance(LEASE_SECONDS * 2)
    assert journal.acquire("ops@spare").epoch == 2


def test_a_heartbeat_says_when_the_lease_is_lost(clock: MemoryClock) -> None:
    journal, woken = MemoryJournal(clock), threading.Event()
    lease = journal.acquire("ops@desk")
    clock.advance(LEASE_SECONDS)
    journal.acquire("ops@spare")
    with Heartbeat(journal, lease, woken.set, every=0.01) as heartbeat:
        assert woken.wait(10)
        assert "ops@spare" in heartbeat.lost.message  # type: ignore[union-attr] # it was woken because of it


def test_10_000_nodes_cost_less_than_six_seconds(tmp_path: Path, clock: MemoryClock) -> None:
    order = rollout([node for i in range(2500) for node in cluster(f"c{i}", 2, 2)], forks=100)
    database = Database(tmp_path)
    rolling = LocalEngine(SqliteJournal(database, clock), MemoryApplier(wanted(order)), SqliteRecords(database))
    begun = time.process_time()
    applied = sum(isinstance(event, NodeApplied) for event in rolling.roll(order))
    assert applied == 10_000
    assert time.process_time() - begun < 6
    assert len(SqliteRecords(database).all()) == 10_000
    database.close()


def test_a_node_that_failed_once_is_reported_once(journal: Journal) -> None:
    applier = MemoryApplier(wanted(THREE), {"b": NodeResult("b", "failed", changed=1, reason="no space")})
    events = list(engine(journal, applier).roll(THREE))
    assert [event for event in events if isinstance(event, NodeFailed)] == [
        NodeFailed("b", "yard", "7f3c-0002", "no space", 1)
    ]
