"""Who is asked how often, and with how much time."""

from __future__ import annotations

import pytest

from fleet.model.gate import GateOrder
from fleet.operations.gating.answers import Try
from fleet.operations.gating.crowd import Crowd
from fleet.operations.gating.scene import Scene, Stop
from fleet.testing import MemoryClock
from tests.unit.operations.gating import Ground

BUSY = Try("503, not 200")


class Asked:
    """One crowd of one, on a clock of its own: `lefts` is how many seconds each try was given."""

    def __init__(self, timeout: float, *tries: Try, takes: float = 0.0, late: float = 0.0) -> None:
        self.clock = MemoryClock(1000.0)
        self.lefts: list[float] = []
        scripted = list(tries)
        scene = Scene(Ground().intent, GateOrder("c", "r", 1, "after", "w", (), ()), self.clock, Stop(self.clock))

        def once(_: None, left: float) -> Try:
            self.lefts.append(round(left, 3))
            self.clock.sleep(takes)
            return scripted.pop(0) if len(scripted) > 1 else scripted[0]

        crowd = Crowd(scene, timeout, once)
        if late:
            sleep = scene.stop.sleep
            scene.stop.sleep = lambda seconds: sleep(seconds + late)  # type: ignore[method-assign]
        (self.found,) = crowd.ask([None], 1)


def test_pauses_grow() -> None:
    asked = Asked(30, BUSY)
    assert asked.lefts == [30, 29.5, 28.5, 26.5, 22.5, 17.5, 12.5, 7.5, 2.5]
    assert (asked.found.why, asked.found.tries, asked.clock.now()) == ("503, not 200", 9, 1027.5)


def test_who_passes_is_left_alone() -> None:
    asked = Asked(30, BUSY, BUSY, Try())
    assert (asked.found.why, asked.found.tries) == ("", 3)


def test_what_no_other_try_would_change() -> None:
    assert Asked(30, Try("untrusted", is_final=True)).lefts == [30]


@pytest.mark.parametrize(
    ("timeout", "lefts"), [(1.0, [1.0, 0.5]), (0.6, [0.6]), (2.0, [2.0, 1.5, 0.5]), (3.2, [3.2, 2.7, 1.7])]
)
def test_a_try_has_a_fair_part_of_the_time_or_is_not_made(timeout: float, lefts: list[float]) -> None:
    """That nobody answered in the last tenth of a second says nothing."""
    asked = Asked(timeout, BUSY)
    assert asked.lefts == lefts
    assert asked.clock.now() == pytest.approx(1000 + timeout - lefts[-1])  # and nobody waits for it


def test_a_thread_that_is_woken_late_keeps_what_was_found() -> None:
    asked = Asked(4, BUSY, Try("no whole answer in -1 s"), late=5.0)
    assert (asked.lefts, asked.found.why, asked.found.tries) == ([4], "503, not 200", 1)


def test_a_try_that_takes_all_the_time_is_the_only_one() -> None:
    assert Asked(4, BUSY, takes=4.0).lefts == [4]
