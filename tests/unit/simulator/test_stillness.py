"""When nothing was under way, and why: what was told once holds until its time is over."""

from __future__ import annotations

from fleet.model import event as ev
from fleet.simulator.stillness import Stillness

BEGAN = 1000.0


def spans(still: Stillness) -> list[tuple[float, float, str]]:
    return [(quiet.begins, quiet.ends, quiet.why) for quiet in still.quiet]


def test_nothing_is_quiet_while_something_is_under_way() -> None:
    still = Stillness(BEGAN)
    still.mark(0.0, 3)
    still.mark(50.0, 1)
    still.mark(60.0, 0)
    still.end(60.0)

    assert spans(still) == []


def test_what_was_told_while_others_ran_is_why_it_is_quiet_later() -> None:
    still = Stillness(BEGAN)
    still.mark(0.0, 3)
    still.hear(10.0, ev.WaveSoaking("pilot", 0, BEGAN + 100))
    still.mark(10.0, 2)
    still.mark(40.0, 0)
    still.mark(100.0, 5)

    assert spans(still) == [(40.0, 100.0, "soak")]


def test_what_is_over_when_it_gets_quiet_is_not_why() -> None:
    still = Stillness(BEGAN)
    still.hear(0.0, ev.WaveSoaking("pilot", 0, BEGAN + 100))
    still.mark(0.0, 3)
    still.mark(100.0, 0)
    still.end(160.0)

    assert spans(still) == [(100.0, 160.0, "nothing")]


def test_one_wait_after_the_other() -> None:
    still = Stillness(BEGAN)
    still.mark(0.0, 3)
    still.hear(10.0, ev.WaveSoaking("pilot", 0, BEGAN + 20))
    still.mark(10.0, 0)
    still.hear(20.0, ev.ApprovalAwaited("7f3c", "ramp", 1))
    still.mark(20.0, 0)
    still.hear(50.0, ev.WaitStarted("window", "2 nodes wait for their window", BEGAN + 90))
    still.mark(50.0, 0)
    still.mark(90.0, 2)

    assert spans(still) == [(10.0, 20.0, "soak"), (20.0, 50.0, "approval"), (50.0, 90.0, "window")]
