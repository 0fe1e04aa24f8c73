"""kill -9 at every fault point of fleet_bundle, counted: each file old or new, never half, and the next run converges.

In a sandbox. tests/hosts/test_crash.py does the same on real hosts, at every eighth point.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from tests.crash.cases import Step, kill, kill_twice
from tests.turn import turn

pytestmark = pytest.mark.timeout(180)
Told = Callable[[str, object], None]
LEAST = {"first": 200, "change": 200, "removal": 140, "giving back": 200}
"""How many points there are, at least: a driver that misses some must not look like a shorter run."""
MUTANTS = ("in-place", "record-first", "keeps-temps", "forgets-units", "no-originals", "no-log")
BACK = 8
"""At one of so many points the node also goes back to the bundle from before; in soak, at all."""
TWICE = (96, 8)
"""A run is killed at one of so many points, and the run that heals it at one of so many of its own; in soak, at more."""


def test_killed_at_every_point_it_converges(
    module: ModuleType, step: Step, name: str, quick: str, record_property: Told
) -> None:
    nth, wrong, is_killed = 0, [], True
    while is_killed:
        nth += 1
        case = kill(module, step, nth, quick)
        wrong += [f"at {nth} {one}" for one in case.wrong]
        is_killed = case.killed
    assert wrong == []
    assert nth - 1 >= LEAST[name]
    record_property("kills", nth - 1)


@pytest.mark.parametrize("name", ["first", "change", "removal"])
def test_killed_it_can_also_go_back(
    module: ModuleType, step: Step, name: str, quick: str, record_property: Told
) -> None:
    nth, wrong, count = 1 + turn(BACK), [], 0
    while (case := kill(module, step, nth, quick, goes_back=True)).killed:
        wrong += [f"at {nth} {one}" for one in case.wrong]
        nth, count = nth + BACK, count + 1
    assert wrong == []
    assert count >= LEAST[name] // BACK
    record_property("gone_back", count)


def test_the_run_that_heals_is_killed_as_well(
    module: ModuleType, step: Step, quick: str, record_property: Told
) -> None:
    wrong, healing, nth = [], 0, 1 + turn(TWICE[0])
    while (first := kill(module, step, nth, quick)).killed:
        again, is_killed = 1 + turn(TWICE[1]), True
        while is_killed:
            case = kill_twice(module, step, first.tree, again, quick)
            wrong += [f"at {nth} and {again} {one}" for one in case.wrong]
            is_killed, again, healing = case.killed, again + TWICE[1], healing + 1
        nth += TWICE[0]
    assert wrong == []
    assert healing > 10
    record_property("healing_runs_killed", healing)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_module_that_breaks_its_word_is_caught(
    module: ModuleType, on_the_way: dict[str, Step], quick: str, mutant: str
) -> None:
    cases = (kill(module, on_the_way["change"], nth, quick, mutant=mutant) for nth in range(1, LEAST["change"], 5))
    assert any(case.wrong for case in cases)
