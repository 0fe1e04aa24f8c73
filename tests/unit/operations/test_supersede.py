"""What an apply waits for that takes over: told when it changes, until nobody drives a rollout."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.decide import decide, initial
from fleet.engine.rollouts import LocalRollouts, load
from fleet.errors import BusyError
from fleet.model.rollout import RolloutOrder
from fleet.model.signal import BatchFinished, Begin, Cancel, Signal, Supersede
from fleet.operations.supersede import Standing, supersede
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal
from fleet.testing.orders import plain, rollout

ORDER = rollout(plain("a", "b", "c"), forks=2, batch_size=1)


class Acted(MemoryClock):
    """Each sleep is one turn of the other controller."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Callable[[], None]] = []

    def sleep(self, seconds: float) -> None:
        assert self.turns, "it waits for ever"
        super().sleep(seconds)
        self.turns.pop(0)()


class Ground:
    """ORDER under way, with a and b of it; `clock.turns` are what the controller that drives it does next."""

    def __init__(self, order: RolloutOrder = ORDER) -> None:
        self.clock = Acted()
        self.journal = MemoryJournal(self.clock)
        self.rollouts = LocalRollouts(self.journal)
        self.lease = self.journal.acquire("ops@desk")
        self.journal.begin(self.lease, order)
        self.hear(Begin(self.lease.epoch), initial(order))

    def hear(self, signal: Signal, state: object = None, handled: tuple[int, ...] = ()) -> None:
        said = decide(state or load(self.journal, ORDER), signal)  # type: ignore[arg-type]
        self.journal.append(self.lease, "7f3c", Step(said.events, said.effects, handled=handled))

    def read_inbox(self) -> None:
        for posted in self.journal.posted("7f3c"):
            self.hear(posted.request, handled=(posted.id,))

    def end(self, number: int) -> None:
        self.hear(BatchFinished(f"7f3c-000{number}", ()))

    def let_go(self) -> None:
        self.journal.release(self.lease)

    def waited(self) -> list[Standing]:
        return list(supersede(self.rollouts, "beef", self.clock))


def test_what_is_under_way_is_told_as_it_ends() -> None:
    ground = Ground()
    ground.clock.turns = [ground.read_inbox, lambda: ground.end(1), lambda: None, lambda: ground.end(2), ground.let_go]
    assert ground.waited() == [
        Standing("ops@desk", "7f3c", 2),
        Standing("ops@desk", "7f3c", 1),
        Standing("ops@desk"),
    ]
    assert load(ground.journal, ORDER).status == "superseded"
    assert load(ground.journal, ORDER).reason == "beef"


def test_nobody_is_asked_where_nobody_drives() -> None:
    ground = Ground()
    ground.let_go()
    assert ground.waited() == []
    assert list(ground.journal.posted("7f3c")) == []


def test_one_that_is_being_cancelled_is_only_waited_for() -> None:
    ground = Ground()
    ground.hear(Cancel("wrong version"))
    ground.clock.turns = [lambda: ground.end(1), lambda: ground.end(2), ground.let_go]
    assert ground.waited()[0] == Standing("ops@desk", "7f3c", 2)
    assert load(ground.journal, ORDER).status == "cancelled"


def test_it_is_asked_once() -> None:
    ground = Ground()
    ground.clock.turns = [lambda: None, lambda: None, ground.read_inbox, ground.let_go]
    ground.waited()
    assert load(ground.journal, ORDER).reason == "beef"
    assert list(ground.journal.posted("7f3c")) == []


def test_who_asked_later_takes_over() -> None:
    ground = Ground()

    def another() -> None:
        ground.journal.post("7f3c", Supersede("cafe"))
        ground.read_inbox()

    ground.clock.turns = [another, ground.let_go]
    with pytest.raises(BusyError, match="rollout cafe was asked for later, and takes over from rollout 7f3c") as caught:
        ground.waited()
    assert caught.value.hint.startswith("fleet rollout watch cafe follows it once it has begun")


def test_who_asked_before_does_not() -> None:
    ground = Ground()
    ground.journal.post("7f3c", Supersede("cafe"))
    ground.clock.turns = [ground.read_inbox, ground.let_go]
    ground.waited()
    assert load(ground.journal, ORDER).reason == "beef"


def test_the_last_word_is_heard_after_the_lease_is_free() -> None:
    """All in one turn: heard, ended, and gone."""
    ground = Ground()

    def at_once() -> None:
        ground.journal.post("7f3c", Supersede("cafe"))
        ground.read_inbox()
        ground.end(1)
        ground.end(2)
        ground.let_go()

    ground.clock.turns = [at_once]
    with pytest.raises(BusyError, match="rollout cafe was asked for later"):
        ground.waited()
