"""`.fleet/state.db` looked at from outside: checked, and saved row by row."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from fleet.adapters.sqlite import schema
from fleet.adapters.sqlite.contents import contents
from fleet.adapters.sqlite.database import bring_along
from fleet.adapters.sqlite.image import EXPORT, Image, read_image
from fleet.adapters.sqlite.records import COLUMNS, record_of
from fleet.adapters.sqlite.salvage import rescue
from fleet.errors import UsageError
from fleet.model import journal as saved
from fleet.model.diagnosis import Diagnosis
from fleet.model.journal import JournalReport, SavedLine, TableState
from fleet.ports.clock import Clock

MOST_COMPLAINTS = 100
_SUMMARY = ("id", "fleet", "commit", "controller", "nodes", "status", "started_at", "updated_at")


class Opened(msgspec.Struct, frozen=True):
    """The rows, in a database in memory: those of the file, or what is left of them."""

    connection: sqlite3.Connection
    tables: tuple[TableState, ...]
    diagnoses: tuple[Diagnosis, ...]
    schema: int = 0


class SqliteJournalFile:
    """Implements `fleet.ports.journal_file.JournalFile`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.path = folder / "state.db"
        self._clock = clock

    def check(self) -> JournalReport:
        image = read_image(self.path)
        if not image.is_there:
            return JournalReport(str(self.path), is_whole=True)
        opened = self._opened(image)
        with closing(opened.connection) as connection:
            found = (*opened.diagnoses, *contents(connection, self._clock.now()))
        is_whole = all(each.outcome != "wrong" for each in found)
        return JournalReport(str(self.path), is_whole, opened.schema, opened.tables, found)

    def export(self) -> Iterator[SavedLine]:
        image = read_image(self.path)
        if not image.is_there:
            return
        opened = self._opened(image)
        with closing(opened.connection) as connection:
            yield from _lines(connection)
        for table in opened.tables:
            yield saved.SavedTable(table=table.table, rows=table.rows, lost=table.lost, pages=table.pages)

    def _opened(self, image: Image) -> Opened:
        """Raises UsageError for a whole file of a newer fleet."""
        complaints: list[str] = []
        if not any(each.outcome == "wrong" for each in image.diagnoses):
            connection = _deserialized(image)
            try:
                complaints = [text for (text,) in connection.execute(f"PRAGMA integrity_check({MOST_COMPLAINTS})")]
                if complaints == ["ok"]:
                    return self._whole(connection, image)
            except sqlite3.Error as error:
                complaints.append(str(error))
            connection.close()
        rescued = rescue(image)
        found = list(image.diagnoses)
        if complaints:
            found.append(Diagnosis("pages", "wrong", f"SQLite finds: {_brief(complaints)}", EXPORT))
        found += _lost(rescued.tables)
        return Opened(rescued.connection, rescued.tables, tuple(found))

    def _whole(self, connection: sqlite3.Connection, image: Image) -> Opened:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not there:
            raise sqlite3.DatabaseError("no table: fleet was killed when it made the file, or its WAL is lost")
        if "schema_version" not in there:
            raise UsageError(f"{self.path} is a database of another program", "Move it away: fleet makes its own.")
        versions = connection.execute("SELECT version FROM schema_version").fetchall()
        if len(versions) != 1:
            raise sqlite3.DatabaseError("schema_version does not hold one row")
        bring_along(connection, self.path)
        named = sqlite3.connect(":memory:")
        with closing(named):
            named.executescript(schema.TABLES)
            names = [name for (name,) in named.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [
            TableState(name, connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608 - our own names
            for name in names
            if name not in ("schema_version", "sqlite_sequence")
        ]
        return Opened(connection, tuple(tables), image.diagnoses, versions[0][0])


def _deserialized(image: Image) -> sqlite3.Connection:
    """In memory there is no WAL: the copy's header says so."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(image.data[:18] + b"\x01\x01" + image.data[20:])
    return connection


def _brief(complaints: list[str]) -> str:
    lines = [line for text in complaints for line in text.splitlines() if not line.startswith("***")]
    more = f" (and {len(lines) - 2} more)" if len(lines) > 2 else ""
    return "; ".join(lines[:2]) + more


def _lost(tables: tuple[TableState, ...]) -> Iterator[Diagnosis]:
    for table in tables:
        if table.is_whole:
            continue
        pages = f"{table.pages:,} of its pages cannot be read, " if table.pages else ""
        message = f"{table.table}: {pages}{table.rows:,} rows can be saved, at least {table.lost:,} are lost"
        yield Diagnosis("rows", "wrong", message, EXPORT)


def _lines(connection: sqlite3.Connection) -> Iterator[SavedLine]:
    yield from _rollouts(connection)
    for rollout, seq, at, body in connection.execute("SELECT rollout, seq, at, body FROM events ORDER BY rollout, seq"):
        value, text = _decoded(body)
        yield saved.SavedEvent(rollout=rollout, seq=seq, at=at, event=value, text=text)
    for rollout, batch, body in connection.execute("SELECT rollout, batch, body FROM effects"):
        value, text = _decoded(body)
        yield saved.SavedEffect(rollout=rollout, batch=batch, effect=value, text=text)
    for rollout, body in connection.execute("SELECT rollout, body FROM inbox ORDER BY id"):
        value, text = _decoded(body)
        yield saved.SavedRequest(rollout=rollout, request=value, text=text)
    contacts = dict(connection.execute("SELECT node, at FROM contacts"))
    for row in connection.execute(f"SELECT {COLUMNS} FROM records ORDER BY node"):  # noqa: S608 - our own names
        try:
            held, text = record_of(*row), ""
        except msgspec.DecodeError:
            held, text = None, repr(row)
        yield saved.SavedRecord(node=row[0], contact=contacts.pop(row[0], 0.0), record=held, text=text)
    yield from (saved.SavedRecord(node=node, contact=at) for node, at in contacts.items())


def _rollouts(connection: sqlite3.Connection) -> Iterator[SavedLine]:
    """Those that are listed, and those of which only an order or events are left."""
    orders = dict(connection.execute("SELECT rollout, body FROM orders"))
    columns = "id, fleet, commit_id, controller, nodes, status, started_at, updated_at"
    listed = connection.execute(f"SELECT {columns} FROM rollouts ORDER BY rowid").fetchall()  # noqa: S608 - as above
    there = {row[0] for row in listed}
    others = {key for (key,) in connection.execute("SELECT DISTINCT rollout FROM events")}.union(orders) - there
    for row in (*listed, *((name,) for name in sorted(others))):
        value, text = _decoded(orders[row[0]], is_packed=True) if row[0] in orders else (None, "")
        told = dict(zip(_SUMMARY, row, strict=False))
        yield saved.SavedRollout(**told, order=value, text=text)


def _decoded(body: bytes, *, is_packed: bool = False) -> tuple[Any, str]:
    """The value, or what is there instead of one."""
    try:
        return msgspec.json.decode(zlib.decompress(body) if is_packed else body), ""
    except (msgspec.DecodeError, zlib.error):
        return None, "" if is_packed else body.decode(errors="replace")
