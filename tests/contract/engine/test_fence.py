"""Two controllers at one journal: who has lost the lease writes nothing more, and says so. Real processes, real signals."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.errors import BusyError
from fleet.model import event as ev
from fleet.model.record import Record
from fleet.ports.journal import Lease
from fleet.testing import MemoryClock
from tests.contract.engine.controller import WallClock
from tests.contract.engine.test_kill import ENVIRONMENT, Ground

pytestmark = pytest.mark.timeout(120)
LEASE = 1.0


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = Ground(tmp_path)
    yield ground
    for process in ground.processes:  # of a test that failed; one that is stopped would stay for ever
        process.kill()
        process.communicate()


def kept(folder: Path) -> list[str]:
    """Every row of every table."""
    with closing(sqlite3.connect(folder / ".fleet/state.db")) as connection:
        return list(connection.iterdump())


def until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"it never said {word}: {process.stderr.read() if process.stderr else ''}")


def stop(process: subprocess.Popen[str], ground: Ground) -> None:
    """Between two writes: in the middle of one it would keep its lock, and nobody could take over. And with all begun that
    the journal holds: a stand-in's batch that is only about to look for its artifact would not find the one of the other.
    """
    for _ in range(200):
        process.send_signal(signal.SIGSTOP)
        if is_free(ground) and ground.open_batches() <= ground.begun():
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError("it writes all the time")


def is_free(ground: Ground) -> bool:
    """Nobody holds the lock for writing."""
    with closing(sqlite3.connect(ground.folder / ".fleet/state.db", timeout=0.1, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


@pytest.mark.parametrize("word", ["BatchStarted", "BatchEnded", "NodeApplied"])
def test_a_controller_that_was_stopped_past_its_lease_writes_nothing_more(ground: Ground, word: str) -> None:
    first = ground.start("roll", "never", 0, f"lease={LEASE}", "node=0.1")
    until(first, word)
    stop(first, ground)
    ground.look()
    busy = ground.start("resume", "never", 0, f"lease={LEASE}")
    assert "is rolling out from this folder" in busy.communicate(timeout=30)[1]
    assert busy.returncode != 0
    time.sleep(LEASE)
    assert ground.run("resume", "never", 0, f"lease={LEASE}") == 0
    before = kept(ground.folder)

    first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=30)
    assert first.returncode != 0
    assert "BusyError: another controller has taken over (epoch 2, ours was 1)" in said
    assert kept(ground.folder) == before
    ground.reckon()


STALLED = """
import sys, time
from pathlib import Path
from msgspec.structs import replace
from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.errors import FleetError
from fleet.model.event import RolloutFinished, WaveStarted
from fleet.model.record import Record
from fleet.model.rollout import RolloutCounts
from fleet.ports.journal import Step
from fleet.testing.orders import plain, rollout
from tests.contract.engine.controller import WallClock

database = Database(Path(sys.argv[1]))
journal, records = SqliteJournal(database, WallClock(0.0), float(sys.argv[2])), SqliteRecords(database)
order = rollout(plain("gate"))
lease = journal.acquire("ops@stalled")
journal.begin(lease, order)
journal.append(lease, order.id, Step((WaveStarted("w0", 0, 1),)))
step = Step((RolloutFinished(order.id, RolloutCounts(applied=1)),))
old = Record("gate", "acme", "m", "b1:old")

def together():
    with journal.together():
        records.save([old], lease)
        journal.append(lease, order.id, step)

writes = {
    "renew": lambda: journal.renew(lease),
    "append": lambda: journal.append(lease, order.id, step),
    "begin": lambda: journal.begin(lease, replace(order, id="beef")),
    "together": together,
    "records": lambda: records.save([old], lease),
    "unanswered": lambda: records.note_unanswered({"gate": "b1:old"}, lease),
    "release": lambda: journal.release(lease),
}
print("held", flush=True)
sys.stdin.readline()
for name, write in writes.items():
    try:
        write()
        print(name, "done", flush=True)
    except FleetError as error:
        print(name, type(error).__name__, flush=True)
"""


@pytest.fixture
def stalled(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with the lease, stopped."""
    root = ENVIRONMENT["PYTHONPATH"]
    command = [sys.executable, "-c", STALLED, str(tmp_path), str(LEASE)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


def outcomes(process: subprocess.Popen[str]) -> dict[str, str]:
    process.send_signal(signal.SIGCONT)
    told, _ = process.communicate("\n", timeout=30)
    return dict(line.split(" ", 1) for line in told.splitlines())


def test_each_kind_of_write_is_fenced(tmp_path: Path, stalled: subprocess.Popen[str]) -> None:
    database = Database(tmp_path)
    journal = SqliteJournal(database, WallClock(0.0))
    time.sleep(LEASE)
    newer = journal.acquire("ops@spare")
    held = Record("gate", "acme", "m", "b1:new")
    SqliteRecords(database).save([held], newer)
    with closing(sqlite3.connect(database.path)) as connection:
        before = list(connection.iterdump())
    assert outcomes(stalled) == {
        **dict.fromkeys(("renew", "append", "begin", "together", "records", "unanswered"), "BusyError"),
        "release": "done",
    }
    with closing(sqlite3.connect(database.path)) as connection:
        assert list(connection.iterdump()) == before, "a release of what is not one's own is none"
    journal.renew(newer)
    database.close()


def test_one_that_was_stopped_and_that_nobody_followed_goes_on(tmp_path: Path, stalled: subprocess.Popen[str]) -> None:
    """The lease has run out, and still is the newest: there is nobody to be protected."""
    time.sleep(LEASE)
    found = outcomes(stalled)
    assert (found["renew"], found["append"], found["records"], found["release"]) == ("done", "done", "done", "done")
    assert list(SqliteRecords(Database(tmp_path)).all()) == ["gate"]


def test_two_that_go_on_with_one_rollout_at_once(ground: Ground) -> None:
    assert ground.run("roll", "after", 1) == -9
    both = [ground.start("resume", "never", 0, "node=0.05") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    (refused,) = [words for words in said if words]
    assert "BusyError: ops@desk (process " in refused or "is finished" in refused
    ground.reckon()
    epochs = {event.epoch for event in ground.events() if isinstance(event, ev.RolloutTakenOver)}
    assert epochs == {2}


def test_a_second_one_whose_clock_is_a_day_ahead_takes_over_and_nothing_is_done_twice(ground: Ground) -> None:
    """By its clock the lease ran out long ago. The first one lives, and is fenced at its next write."""
    first = ground.start("roll", "never", 0, "node=0.2")
    until(first, "BatchEnded")
    stop(first, ground)
    ground.look()
    assert ground.run("resume", "never", 0, "clock=86400") == 0
    first.send_signal(signal.SIGCONT)
    assert "BusyError: another controller has taken over" in first.communicate(timeout=30)[1]
    ground.reckon()


def test_a_second_one_whose_clock_is_a_day_behind_waits_for_a_lease_at_most(ground: Ground) -> None:
    first = ground.start("roll", "never", 0, f"lease={LEASE}", "node=30")
    until(first, "BatchStarted")
    first.kill()
    first.communicate()
    database = Database(ground.folder / ".fleet")
    with database.writing() as connection:  # of another machine, of which nobody knows whether it lives
        connection.execute("UPDATE lease SET machine = 'another'")
    database.close()
    second = ground.start("resume", "never", 0, "clock=-86400", f"lease={LEASE}")
    said = second.communicate(timeout=30)[1]
    assert "BusyError: ops@desk" in said
    ground.look()
    time.sleep(LEASE)
    assert ground.run("resume", "never", 0, "clock=-86400", f"lease={LEASE}") == 0
    ground.reckon()


@pytest.mark.parametrize("room", [70_000, 100_000, 130_000, 160_000, 190_000])
def test_a_disk_that_fills_up_stops_it_and_it_goes_on_with_room(ground: Ground, room: int) -> None:
    """What was said before is kept, nothing is begun that is not, and nothing is done twice."""
    process = ground.start("roll", "never", 0, f"room={room}")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 1, "the disk was too large for this test"
    assert "UnavailableError: " in said
    assert "state.db" in said
    ground.look()
    events = [type(event).__name__ for event in ground.events()]
    assert events[: len(out.split())] == out.split()
    assert ground.begun() <= {event.batch_id for event in ground.events() if isinstance(event, ev.BatchStarted)}
    assert ground.run("resume" if ground.is_known() else "roll", "never", 0) == 0
    ground.reckon()


@pytest.mark.parametrize(("of_file", "of_folder"), [(0o444, 0o755), (0o644, 0o555)], ids=["file", "folder"])
def test_a_journal_that_may_only_be_read_stops_it_before_anything_is_begun(of_file: int, of_folder: int) -> None:
    with tempfile.TemporaryDirectory() as top:  # pytest's own folder lets nobody else through
        Path(top).chmod(0o711)
        ground = Ground(Path(top))
        (ground.folder / "order.json").chmod(0o644)
        for path in (ground.folder / "world").rglob("*"):
            path.chmod(0o777)
        (ground.folder / "world").chmod(0o777)
        state = ground.folder / ".fleet"
        database = Database(state)
        with database.writing():
            pass
        database.close()
        (state / "state.db").chmod(of_file)
        if os.geteuid() == 0:
            os.chown(state, 0, 0)
        state.chmod(of_folder)
        process = ground.start("roll", "never", 0, "uid=65534")
        out, said = process.communicate(timeout=60)
        state.chmod(0o755)
        assert (process.returncode, out) == (1, "")
        assert "UsageError: " in said
        assert "state.db" in said
        assert not (ground.folder / "world/log").exists()


def test_a_lease_is_as_long_as_it_was_told(tmp_path: Path) -> None:
    clock = MemoryClock()
    journal = SqliteJournal(Database(tmp_path), clock, lease_seconds=5.0)
    lease = journal.acquire("ops@desk")
    clock.advance(4)
    journal.renew(lease)
    clock.advance(4)
    with pytest.raises(BusyError, match="ops@desk"):
        journal.acquire("ops@spare")
    clock.advance(1)
    assert journal.acquire("ops@spare") == Lease(2, "ops@spare")
