# ruff: noqa: S101, ARG002 - a contract suite is made of asserts, and some fixtures only have to be there
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fleet.errors import UsageError
from fleet.model.event import (
    BatchEnded,
    BatchStarted,
    CancelRequested,
    Event,
    PauseRequested,
    RolloutCancelled,
    RolloutFinished,
    RolloutPaused,
    RolloutStarted,
    RolloutTakenOver,
    WaveStarted,
)
from fleet.model.rollout import RolloutCounts
from fleet.model.signal import Approve, Cancel, Pause, Resume
from fleet.ports.engine import Answer, Engine, Rollouts
from fleet.testing.applier import MemoryApplier
from fleet.testing.orders import plain, rollout

ORDER = rollout(plain("a", "b", "c"), forks=1)
"""Three nodes, one after the other."""
SECONDS = 10.0


class Running:
    """A rollout that is driven in a thread, until `join`."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events: list[Event] = []
        self._thread = threading.Thread(target=lambda: self.events.extend(events), daemon=True)
        self._thread.start()

    def join(self) -> list[Event]:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the rollout came to no rest"
        return self.events


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


class EngineContract:
    """Wants fixtures `engine`, an `Engine` that hears requests within a second and works through the fixture `applier`,
    a `MemoryApplier` for ORDER; and `outside`, the `Rollouts` of another process.
    """

    @pytest.fixture
    def running(self, engine: Engine, applier: MemoryApplier) -> Iterator[Running]:
        """ORDER under way, with its first node held."""
        applier.hold()
        running = Running(engine.roll(ORDER))
        applier.await_running()
        yield running
        applier.let_go()
        running.join()

    @pytest.fixture
    def paused(self, engine: Engine, applier: MemoryApplier) -> None:
        """ORDER paused after its first node."""
        applier.hold()
        running = Running(engine.roll(ORDER))
        applier.await_running()
        engine.stop()
        applier.let_go()
        assert isinstance(running.join()[-1], RolloutPaused)

    def test_the_driver_is_known_as_long_as_it_drives(
        self, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        assert outside.driver("7f3c") == "ops@desk"
        applier.let_go()
        assert isinstance(running.join()[-1], RolloutFinished)
        assert outside.driver("7f3c") == ""

    def test_events_are_told_from_any_place_on(
        self, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        first = outside.events_after("7f3c")
        assert [entry.seq for entry in first] == [1, 2, 3]
        assert [type(entry.event) for entry in first] == [RolloutStarted, WaveStarted, BatchStarted]
        assert outside.last("7f3c") == first[-1]
        applier.let_go()
        told = running.join()
        assert [entry.event for entry in outside.events_after("7f3c")] == told
        assert [entry.event for entry in outside.events_after("7f3c", 3)] == told[3:]
        assert list(outside.events_after("7f3c", len(told))) == []

    def test_rollouts_are_listed_newest_first(
        self, engine: Engine, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        applier.let_go()
        running.join()
        list(engine.roll(rollout(plain("a"), id="beef")))
        assert [(each.id, each.status) for each in outside.list()] == [("beef", "finished"), ("7f3c", "finished")]

    def test_a_pause_is_heard_by_who_drives(self, running: Running, applier: MemoryApplier, outside: Rollouts) -> None:
        answer = outside.signal("7f3c", Pause("lunch"))
        assert answer == Answer("7f3c", "ops@desk", is_done=False, status="running", under_way=1)
        eventually(lambda: outside.list()[0].status == "pausing")
        applier.let_go()
        assert running.join()[-1] == RolloutPaused("7f3c", "lunch", RolloutCounts(applied=1, waiting=2))
        assert len(applier.orders) == 1

    def test_a_pause_that_has_not_come_is_taken_back(
        self, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        with pytest.raises(UsageError, match="cannot be resumed: it runs"):
            outside.signal("7f3c", Resume())
        outside.signal("7f3c", Pause("lunch"))
        eventually(lambda: outside.list()[0].status == "pausing")
        assert outside.signal("7f3c", Resume()).status == "pausing"
        eventually(lambda: outside.list()[0].status == "running")
        applier.let_go()
        assert isinstance(running.join()[-1], RolloutFinished)

    def test_a_cancel_is_heard_by_who_drives(self, running: Running, applier: MemoryApplier, outside: Rollouts) -> None:
        answer = outside.signal("7f3c", Cancel("wrong version"))
        assert answer == Answer("7f3c", "ops@desk", is_done=False, status="running", under_way=1)
        eventually(lambda: outside.list()[0].status == "cancelling")
        applier.let_go()
        assert running.join()[-1] == RolloutCancelled("7f3c", "wrong version", RolloutCounts(applied=1, waiting=2))

    def test_what_was_asked_and_is_not_heard_yet_is_not_asked_again(self, running: Running, outside: Rollouts) -> None:
        outside.signal("7f3c", Pause("lunch"))
        with pytest.raises(UsageError, match="rollout 7f3c cannot be paused: it is pausing"):
            outside.signal("7f3c", Pause("dinner"))

    def test_a_paused_rollout_is_cancelled_at_once(
        self, paused: None, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        seq = len(outside.events_after("7f3c"))
        answer = outside.signal("7f3c", Cancel("no longer wanted"))
        assert answer == Answer("7f3c", "", is_done=True, status="cancelled")
        assert [entry.event for entry in outside.events_after("7f3c", seq)] == [
            RolloutTakenOver("7f3c", "ops@desk", 2),
            CancelRequested("no longer wanted", 0),
            RolloutCancelled("7f3c", "no longer wanted", RolloutCounts(applied=1, waiting=2)),
        ]
        assert outside.list()[0].status == "cancelled"
        assert len(applier.orders) == 1

    def test_after_such_a_cancel_the_next_rollout_may_begin(
        self, engine: Engine, paused: None, outside: Rollouts
    ) -> None:
        outside.signal("7f3c", Cancel())
        assert isinstance(list(engine.roll(rollout(plain("a"), id="beef")))[-1], RolloutFinished)

    def test_a_cancel_wins_over_a_pause_that_was_asked_before(
        self, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        outside.signal("7f3c", Pause("lunch"))
        outside.signal("7f3c", Cancel("for good"))
        applier.let_go()
        events = running.join()
        assert isinstance(events[-1], RolloutCancelled)
        assert any(isinstance(event, PauseRequested) for event in events)

    @pytest.mark.parametrize(
        ("request_", "told", "possible"),
        [
            (Pause("lunch"), "cannot be paused: it is paused", "fleet rollout resume 7f3c goes on"),
            (Approve("ops"), "cannot be approved: it is paused, and no wave waits for an approval", "cancel 7f3c"),
            (Approve("ops", "ramp"), "wave ramp does not wait for an approval", "fleet rollout resume 7f3c goes on"),
        ],
    )
    def test_what_does_not_fit_a_paused_one(
        self, paused: None, outside: Rollouts, request_: Pause | Approve, told: str, possible: str
    ) -> None:
        with pytest.raises(UsageError, match=told) as caught:
            outside.signal("7f3c", request_)
        assert possible in caught.value.hint

    @pytest.mark.parametrize("request_", [Pause("x"), Cancel(), Approve("ops")], ids=lambda each: type(each).__name__)
    def test_nothing_fits_one_that_has_ended(
        self, running: Running, applier: MemoryApplier, outside: Rollouts, request_: Pause | Cancel | Approve
    ) -> None:
        applier.let_go()
        told = running.join()
        with pytest.raises(UsageError, match=r"it has ended \(finished\)") as caught:
            outside.signal("7f3c", request_)
        assert "fleet apply starts a new one" in caught.value.hint
        assert [entry.event for entry in outside.events_after("7f3c")] == told

    def test_an_approval_of_one_that_simply_runs(self, running: Running, outside: Rollouts) -> None:
        with pytest.raises(UsageError, match="it runs, and no wave waits for an approval") as caught:
            outside.signal("7f3c", Approve("ops"))
        assert "fleet rollout watch 7f3c" in caught.value.hint

    def test_one_that_is_not_known_is_answered_with_the_newest_ones(
        self, running: Running, applier: MemoryApplier, outside: Rollouts
    ) -> None:
        applier.let_go()
        running.join()
        asked: list[Callable[[], object]] = [
            lambda: outside.signal("dead", Pause("x")),
            lambda: outside.signal("dead", Cancel()),
            lambda: outside.events_after("dead"),
            lambda: outside.last("dead"),
            lambda: outside.driver("dead"),
        ]
        for ask in asked:
            with pytest.raises(UsageError, match="there is no rollout dead") as caught:
                ask()
            assert "7f3c" in caught.value.hint

    def test_every_batch_that_ran_has_ended(self, running: Running, applier: MemoryApplier, outside: Rollouts) -> None:
        applier.let_go()
        running.join()
        ends = [entry for entry in outside.events_after("7f3c") if isinstance(entry.event, BatchEnded)]
        assert len(ends) == len(applier.orders) == 3
