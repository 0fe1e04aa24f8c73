"""Rollouts that wait: the local engine wakes up by its clock, and whoever takes over waits on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.sqlite import Database, SqliteJournal
from fleet.engine.local import LocalEngine
from fleet.model.event import (
    ApprovalAwaited,
    BatchStarted,
    Event,
    RolloutFinished,
    RolloutPaused,
    RolloutSuperseded,
    WaitStarted,
    WaveApproved,
    WaveSoaking,
    WaveStarted,
)
from fleet.model.rollout import RolloutOrder
from fleet.model.signal import Approve, Supersede
from fleet.model.window import Schedule, Timing
from fleet.testing import MemoryApplier, MemoryClock, MemoryJournal, MemoryRecords
from fleet.testing.orders import plain, rollout, wanted

pytestmark = pytest.mark.timeout(60)
TWO = replace(rollout(plain("a"), plain("b")), policy="standard", offline="defer")
TEN = 1772445600.0
"""2026-03-02T10:00Z."""


def timed(**timing: object) -> RolloutOrder:
    return replace(TWO, timing=Timing(**timing))  # type: ignore[arg-type]


def engine(journal: SqliteJournal | MemoryJournal, order: RolloutOrder, now: Callable[[], float]) -> LocalEngine:
    return LocalEngine(journal, MemoryApplier(wanted(order)), MemoryRecords(), poll_seconds=0.02, now=now)


def test_the_engine_wakes_when_a_wave_has_soaked() -> None:
    order = timed(soak=0.4)
    soaked, began = 0.0, 0.0
    for event in engine(MemoryJournal(MemoryClock()), order, time.time).roll(order):
        if isinstance(event, WaveSoaking) and event.index == 0:
            soaked = time.time()
            assert 0 < event.until - soaked <= 0.4
        if isinstance(event, WaveStarted) and event.index == 1:
            began = time.time()
    assert began - soaked >= 0.35


def test_a_window_is_waited_for_by_a_clock_that_is_set_meanwhile() -> None:
    order = timed(schedule=Schedule("0 2 * * *", 10800.0), zones={"yard": "UTC"})
    clock = MemoryClock(TEN)
    found: list[Event] = []
    for event in engine(MemoryJournal(clock), order, clock.now).roll(order):
        found.append(event)
        if isinstance(event, WaitStarted):
            assert event.until == TEN + 16 * 3600
            threading.Timer(0.1, clock.advance, (-86400.0,)).start()  # set back: it waits on
            threading.Timer(0.3, clock.advance, (86400.0 + 16 * 3600,)).start()
    (start,) = [event for event in found if isinstance(event, BatchStarted) and event.nodes == ("a",)]
    assert start.at == TEN + 16 * 3600
    assert isinstance(found[-1], RolloutFinished)


def test_who_takes_over_in_a_soak_waits_for_the_rest_of_it(tmp_path: Path) -> None:
    order, clock = timed(soak=3600.0), MemoryClock(TEN)
    database = Database(tmp_path)
    events = engine(SqliteJournal(database, clock), order, clock.now).roll(order)
    for event in events:
        if isinstance(event, WaveSoaking):
            break
    events.close()
    clock.advance(3000)
    later = engine(SqliteJournal(database, clock), order, clock.now)
    found: list[Event] = []
    for event in later.resume("7f3c"):
        found.append(event)
        if len(found) == 2:
            threading.Timer(0.2, clock.advance, (600.0,)).start()
        if isinstance(event, WaveSoaking):
            threading.Timer(0.05, clock.advance, (3600.0,)).start()
    (start,) = [event for event in found if isinstance(event, BatchStarted)]
    assert (start.nodes, start.at) == (("b",), TEN + 3600)
    assert isinstance(found[-1], RolloutFinished)
    database.close()


def test_an_approval_comes_through_the_inbox() -> None:
    order = replace(TWO, waves=(TWO.waves[0], replace(TWO.waves[1], needs_approval=True)))
    journal = MemoryJournal(MemoryClock())
    found: list[Event] = []
    for event in engine(journal, order, lambda: 7.0).roll(order):
        found.append(event)
        if isinstance(event, ApprovalAwaited):
            journal.post("7f3c", Approve("ops@desk", "w1"))
    assert WaveApproved("w1", 1, "ops@desk", at=7.0) in found
    assert isinstance(found[-1], RolloutFinished)
    assert not journal.posted("7f3c")


def test_who_waits_is_paused_at_once_and_superseded_at_once() -> None:
    order, journal = timed(soak=3600.0), MemoryJournal(MemoryClock())
    rolling = engine(journal, order, lambda: TEN)
    found: list[Event] = []
    for event in rolling.roll(order):
        found.append(event)
        if isinstance(event, WaveSoaking):
            rolling.stop()
    assert isinstance(found[-1], RolloutPaused)
    journal.post("7f3c", Supersede("8a4d"))
    found = list(engine(journal, order, lambda: TEN).resume("7f3c"))
    assert isinstance(found[-1], RolloutSuperseded)
    assert journal.rollouts()[0].status == "superseded"
