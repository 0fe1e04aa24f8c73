"""A journal to be damaged: what a controller that was killed in the middle of its second rollout leaves."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

import fleet
from fleet.adapters.sqlite import Database, SqliteJournal, SqliteJournalFile, SqliteRecords
from fleet.decide import decide, evolve_all, initial, snapshot
from fleet.model.batch import NodeResult
from fleet.model.journal import SavedLine, SavedRecord, SavedRollout
from fleet.model.record import Record
from fleet.model.rollout import RolloutOrder
from fleet.model.signal import BatchFinished, Begin, Pause, Signal
from fleet.ports.journal import Lease, Step
from fleet.testing import MemoryClock
from fleet.testing.orders import plain, rollout

ROOT = Path(fleet.__file__).parents[1]

FIRST = rollout(plain(*(f"node-{at:03d}" for at in range(300))), forks=40, batch_size=10, id="aaaa")
SECOND = rollout(plain(*(f"node-{at:03d}" for at in range(100))), forks=40, batch_size=10, id="bbbb")
BLOB = b"a content of some length, so that it spills over its page\n" * 2000


def manifest(node: str) -> tuple[str, str]:
    """A digest and its manifest."""
    text = f'{{"files":["/etc/{node}"]}}'
    return "b1:" + hashlib.sha256(text.encode()).hexdigest(), text


def keep(folder: Path) -> None:
    """Writes both rollouts. The files are as kill -9 would leave them: they are taken while their connection is open."""
    database = Database(folder.with_name("open"))
    journal, records = SqliteJournal(database, MemoryClock()), SqliteRecords(database, MemoryClock().now)
    lease = journal.acquire("ops@desk")
    records.keep_blobs({hashlib.sha256(BLOB + bytes([at])).hexdigest(): BLOB + bytes([at]) for at in range(3)})
    _drive(journal, records, lease, FIRST, ends=1000)
    _drive(journal, records, lease, SECOND, ends=5)
    journal.post("bbbb", Pause("lunch"))
    copy(folder.with_name("open"), folder)
    database.close()


def _drive(journal: SqliteJournal, records: SqliteRecords, lease: Lease, order: RolloutOrder, ends: int) -> None:
    journal.begin(lease, order)
    state, signal = initial(order), Begin(lease.epoch)
    waiting: list[Signal] = [signal]
    steps = 0
    while waiting and steps <= ends:
        decision = decide(state, waiting.pop(0))
        state = evolve_all(state, decision.events)
        steps += 1
        kept = snapshot(state) if steps % 8 == 0 else None
        journal.append(lease, order.id, Step(decision.events, decision.effects, kept))
        for effect in decision.effects:
            told = [Record(name, "acme", "m", *_held(name)) for name in effect.order.nodes]
            records.save(told)
            results = tuple(NodeResult(name, "applied", digest=f"b1:{name}") for name in effect.order.nodes)
            waiting.append(BatchFinished(effect.order.batch_id, results))


def _held(name: str) -> tuple[Any, ...]:
    digest, text = manifest(name)
    return digest, "4be1f02", "ops@desk", 1, "amd64", 1750000000.5, text


def copy(source: Path, to: Path) -> Path:
    shutil.copytree(source, to)
    return to


def settled(folder: Path) -> Path:
    """As after an orderly end: all is in the file itself, and there is no WAL."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def file_of(folder: Path) -> SqliteJournalFile:
    return SqliteJournalFile(folder, MemoryClock())


def wrong(folder: Path) -> list[tuple[str, str]]:
    """Check and message of all that is wrong; what is wrong has a hint."""
    report = file_of(folder).check()
    found = [each for each in report.diagnoses if each.outcome == "wrong"]
    assert report.is_whole == (not found)
    assert all(each.hint for each in report.diagnoses)
    return [(each.check, each.message) for each in found]


def saved(folder: Path) -> dict[str, list[SavedLine]]:
    """Lines of an export by their kind."""
    found: dict[str, list[SavedLine]] = {}
    for line in file_of(folder).export():
        found.setdefault(str(msgspec.to_builtins(line)["line"]), []).append(line)
    return found


def keys(lines: dict[str, list[SavedLine]]) -> set[bytes]:
    """Each row that was saved, in a form that can be compared: a line of a rollout or a node holds one of each of two tables."""
    return {
        msgspec.json.encode(part)
        for kind, those in lines.items()
        if kind != "table"
        for line in those
        for part in _rows(line)
    }


def _rows(line: SavedLine) -> list[SavedLine]:
    if isinstance(line, SavedRollout):
        parts = [replace(line, order=None), SavedRollout(id=line.id, order=line.order)]
        return [part for part in parts if part != SavedRollout(id=line.id)]
    if isinstance(line, SavedRecord):
        parts = [replace(line, contact=0.0), SavedRecord(node=line.node, contact=line.contact)]
        return [part for part in parts if part != SavedRecord(node=line.node)]
    return [line]
