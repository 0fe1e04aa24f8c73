"""SystemClock."""

from __future__ import annotations

import time

from fleet.adapters.clock import SystemClock


def test_now_is_this_machines_time_and_sleep_passes_it() -> None:
    clock = SystemClock()
    before = time.time()
    began = time.monotonic()
    clock.sleep(0.05)
    assert time.monotonic() - began >= 0.05
    assert before + 0.04 <= clock.now() <= time.time()


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    began = time.monotonic()
    SystemClock().sleep(-5)
    assert time.monotonic() - began < 1
