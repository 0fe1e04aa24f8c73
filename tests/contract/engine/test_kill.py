"""kill -9 at every moment that matters: nothing is lost, nothing is done twice beyond what was in flight.

A real process with the real journal is killed; pretend nodes are files, so that what was done to them stays done.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

import fleet
from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import RolloutCounts
from fleet.testing import FolderApplier, MemoryClock
from fleet.testing.orders import cluster, plain, rollout, wanted

pytestmark = pytest.mark.timeout(120)
CONTROLLER = str(Path(__file__).with_name("controller.py"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(fleet.__file__).parents[1])}
ORDER = rollout([*cluster("lyon", 2, 2), *cluster("nice", 2, 1), *plain("gate", "shed")], forks=4, batch_size=2)
STEPS = 6
"""How many appends this order takes when nothing goes wrong: test_how_many_steps_there_are counts them."""


class Ground:
    """One rollout's folder, what was in flight at each death, and the final reckoning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.in_flight: set[str] = set()
        self.processes: list[subprocess.Popen[str]] = []
        (folder / "order.json").write_bytes(msgspec.json.encode(ORDER))
        self.world = FolderApplier(folder / "world", wanted(ORDER))

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, CONTROLLER, str(self.folder), *map(str, arguments)]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def run(self, *arguments: object) -> int:
        process = self.start(*arguments)
        _, errors = process.communicate(timeout=60)
        assert errors == ""
        self.look()
        return process.returncode

    def look(self) -> None:
        """What the journal says to be in flight now is all that may ever be started a second time."""
        self.in_flight |= self.open_batches()

    def begun(self) -> set[str]:
        """Batches that ran, or run."""
        there = (self.folder / "world/log").exists()
        return {line.batch_id for line in self.world.log()} if there else set()

    def open_batches(self) -> set[str]:
        database = Database(self.folder / ".fleet")
        journal = SqliteJournal(database, MemoryClock())
        found = {effect.order.batch_id for effect in journal.open_effects("7f3c")}
        database.close()
        return found

    def is_known(self) -> bool:
        """Whether the rollout was kept at all."""
        database = Database(self.folder / ".fleet")
        found = SqliteJournal(database, MemoryClock()).rollouts()
        database.close()
        return bool(found)

    def events(self) -> list[Event]:
        database = Database(self.folder / ".fleet")
        entries = SqliteJournal(database, MemoryClock()).read("7f3c")
        database.close()
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        return [entry.event for entry in entries]

    def reckon(self) -> None:
        events = self.events()
        assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=9))
        assert self.world.digests() == wanted(ORDER)
        records = SqliteRecords(Database(self.folder / ".fleet")).all()
        assert {name: record.digest for name, record in records.items()} == wanted(ORDER)
        told = Counter(event.node for event in events if isinstance(event, ev.NodeApplied))
        assert told == dict.fromkeys(wanted(ORDER), 1)
        self._reckon_work(events)
        reckon_order([event for event in events if not isinstance(event, ev.RolloutTakenOver)])

    def _reckon_work(self, events: list[Event]) -> None:
        log = self.world.log()
        batches = {event.batch_id: event.nodes for event in events if isinstance(event, ev.BatchStarted)}
        started = Counter(line.batch_id for line in log if line.did == "start")
        assert set(started) == set(batches), "what runs is in the journal, and what is in the journal runs"
        assert {batch for batch, times in started.items() if times > 1} <= self.in_flight
        applied = [line.node for line in log if line.did == "apply"]
        twice = {name for name, times in Counter(applied).items() if times > 1}
        assert twice <= {name for batch in self.in_flight for name in batches.get(batch, ())}
        epochs = [line.epoch for line in log if line.did == "start"]
        assert epochs == sorted(epochs)
        for name, servers, agents in (("lyon", 2, 2), ("nice", 2, 1)):
            row = [f"{name}-s{i}" for i in range(servers)]
            last = {node: max(i for i, one in enumerate(applied) if one == node) for node in wanted(ORDER)}
            first = {node: applied.index(node) for node in wanted(ORDER)}
            assert last[row[0]] < first[row[1]]
            assert all(last[row[1]] < first[f"{name}-a{i}"] for i in range(agents))


def reckon_order(events: list[Event]) -> None:
    """Pauses start nothing, no more than `forks` nodes are in flight, servers come one by one and before agents."""
    flying: set[str] = set()
    applied: set[str] = set()
    quiet = False
    before = {"lyon-s1": {"lyon-s0"}, "nice-s1": {"nice-s0"}}
    before |= {f"lyon-a{i}": {"lyon-s0", "lyon-s1"} for i in range(2)} | {"nice-a0": {"nice-s0", "nice-s1"}}
    for event in events:
        match event:
            case ev.BatchStarted(nodes=nodes):
                assert not quiet
                assert flying.isdisjoint(nodes)
                flying |= set(nodes)
                assert len(flying) <= 4
                assert all(before.get(name, set()) <= applied for name in nodes)
            case ev.NodeApplied(node=name):
                flying.remove(name)
                applied.add(name)
            case ev.PauseRequested():
                quiet = True
            case ev.RolloutResumed():
                quiet = False


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_how_many_steps_there_are(ground: Ground) -> None:
    assert ground.run("roll", "never", 0) == 0
    ground.reckon()
    ends = sum(isinstance(event, ev.BatchEnded) for event in ground.events())
    assert 1 + ends == STEPS
    assert ground.in_flight == set()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_before_a_step_is_kept(ground: Ground, step: int) -> None:
    assert ground.run("roll", "before", step) == -9
    assert ground.run("resume", "never", 0) == 0
    ground.reckon()


@pytest.mark.parametrize("step", range(1, STEPS))
def test_killed_when_a_step_is_kept_and_nothing_of_it_is_carried_out(ground: Ground, step: int) -> None:
    assert ground.run("roll", "after", step) == -9
    assert ground.in_flight
    assert ground.run("resume", "never", 0) == 0
    ground.reckon()


def test_killed_after_the_last_step_it_has_ended(ground: Ground) -> None:
    assert ground.run("roll", "after", STEPS) == -9
    ground.reckon()


@pytest.mark.parametrize("node", range(1, 10))
def test_killed_in_the_middle_of_a_batch(ground: Ground, node: int) -> None:
    assert ground.run("roll", "node", node) == -9
    before = ground.events()
    assert ground.run("resume", "never", 0) == 0
    ground.reckon()
    assert ground.events()[: len(before)] == before, "what was kept stays as it is"


def test_killed_again_and_again(ground: Ground) -> None:
    assert ground.run("roll", "after", 1) == -9
    deaths = 1
    while ground.run("resume", "after", 2) == -9:  # one step to take over, one to get ahead
        deaths += 1
        assert deaths < 20
        if isinstance(ground.events()[-1], ev.RolloutFinished):
            break
    assert deaths >= 4
    ground.reckon()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_killed_while_a_pause_waits(ground: Ground, step: int) -> None:
    """The pause is asked for when the first batch has ended; step 3 is the pause itself, kept."""
    code = ground.run("roll", "before", 2 + step, 1)
    events = ground.events()
    if step > 1:
        assert any(isinstance(event, ev.PauseRequested) for event in events)
    assert code in (-9, 0)
    assert ground.run("resume", "never", 0) == 0
    ground.reckon()


def test_a_pause_outlives_its_controller(ground: Ground) -> None:
    assert ground.run("roll", "never", 0, 1) == 0
    assert isinstance(ground.events()[-1], ev.RolloutPaused)
    begun = len([line for line in ground.world.log() if line.did == "start"])
    time.sleep(0.2)
    assert len([line for line in ground.world.log() if line.did == "start"]) == begun < STEPS - 1
    assert ground.run("resume", "never", 0) == 0
    ground.reckon()


@pytest.mark.parametrize("milliseconds", [2, 6, 10, 14, 18])
def test_killed_from_outside_at_any_time(ground: Ground, milliseconds: int) -> None:
    process = ground.start("roll", "never", 0)
    assert process.stdout.readline() == "RolloutStarted\n"
    time.sleep(milliseconds / 1000)
    process.kill()
    process.communicate()
    ground.look()
    if not isinstance(ground.events()[-1], ev.RolloutFinished):
        assert ground.run("resume", "never", 0) == 0
    ground.reckon()


def test_what_is_asked_for_again_carries_the_new_epoch(ground: Ground) -> None:
    assert ground.run("roll", "after", 1) == -9
    assert ground.run("resume", "never", 0) == 0
    assert {line.epoch for line in ground.world.log()} == {2}
    taken = [event for event in ground.events() if isinstance(event, ev.RolloutTakenOver)]
    assert taken == [ev.RolloutTakenOver("7f3c", "ops@desk", 2, ("7f3c-0001", "7f3c-0002"))]
