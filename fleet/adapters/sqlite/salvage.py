"""What is left of a damaged database, in a fresh one: rows of its tables, whatever has become of the pages between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

import msgspec

from fleet.adapters.sqlite import schema
from fleet.adapters.sqlite.image import Image
from fleet.adapters.sqlite.pages import Pages, Row, Unreadable
from fleet.model.journal import TableState

INDEXED = {"rollouts": "id", "orders": "rollout", "objects": "key"}
"""Tables with an index beside them, which names rows that are lost in the table."""
_FITTING = {"TEXT": (str,), "INTEGER": (int,), "REAL": (int, float), "BLOB": (bytes,)}
_LONG_AGO = 1_000_000_000


class Column(msgspec.Struct, frozen=True):
    name: str
    type: str
    is_key: bool
    is_optional: bool


class Rescued(msgspec.Struct, frozen=True):
    """`connection` is a database of this version, in memory, with all rows that could be read."""

    connection: sqlite3.Connection
    tables: tuple[TableState, ...]


def rescue(image: Image) -> Rescued:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(schema.TABLES)
    connection.execute("INSERT INTO schema_version VALUES (?)", (schema.VERSION,))
    shelf = Shelf(connection)
    if len(image.data) < 100:
        return Rescued(connection, shelf.states({}, {}))
    pages = Pages(image.data, image.page_size)
    bad, keys = _walk(pages, shelf)
    if pages.bad or not bad or not image.is_database:
        _gather(pages, shelf)
    return Rescued(connection, shelf.states(bad, keys))


def _walk(pages: Pages, shelf: Shelf) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Puts every row of every table that can be reached on the shelf. Gives bad pages by table, and the keys of indexes."""
    bad: dict[str, int] = {}
    keys: dict[str, set[str]] = {}
    roots = [row for _, row in pages.tree(1) if len(row) == 5 and isinstance(row[3], int)]
    for kind, _, name, root, _ in roots:
        table = str(name)
        if table not in shelf.columns or not isinstance(root, int):
            continue
        before = len(pages.bad)
        for rowid, row in pages.tree(root):
            if kind == "table":
                shelf.put(table, rowid, row)
            elif row:
                keys.setdefault(table, set()).add(str(row[0]))
        if kind == "table":
            bad[table] = len(pages.bad) - before
    return bad, keys


def _gather(pages: Pages, shelf: Shelf) -> None:
    """Rows of pages that no table leads to any more. What was freed is left out: it holds what was once deleted."""
    try:
        free = pages.free()
    except Unreadable:
        free = set()
    for number in sorted(set(range(2, pages.count + 1)) - pages.seen - free):
        try:
            for rowid, row in pages.rows(number):
                table = shelf.table_of(rowid, row)
                if table:
                    shelf.put(table, rowid, row)
        except Unreadable:
            continue  # what a row did not fit into, or nothing of ours


class Shelf:
    """Takes rows of any version of the schema. The first one of a key counts: those that a table leads to come first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        self.columns: dict[str, tuple[Column, ...]] = {
            name: _columns(connection, name) for name in names if not name.startswith("sqlite_")
        }
        self._with_rowid = {"rollouts", "orders", "inbox", "lease", "objects", "schema_version"}

    def put(self, table: str, rowid: int, row: Row) -> None:
        if table == "schema_version":
            return
        for name, values in self._parts(table, rowid, row):
            if self._fits(name, values):
                marks = ", ".join("?" * len(values))
                self._connection.execute(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", values)  # noqa: S608 - our own names

    def table_of(self, rowid: int, row: Row) -> str:
        """By the shape of a row whose page has lost its table; empty for one that fits nowhere."""
        for table in self.columns:
            if table == "schema_version" or (table in self._with_rowid) != bool(rowid):
                continue
            parts = list(self._parts(table, rowid, row))
            if parts and all(self._fits(*part) for part in parts) and _looks_like(table, row):
                return table
        return ""

    def states(self, bad: Mapping[str, int], keys: Mapping[str, set[str]]) -> tuple[TableState, ...]:
        lost = losses(self._connection, keys)
        return tuple(
            TableState(table, self._count(table), lost.get(table, 0), bad.get(table, 0))
            for table in self.columns
            if table != "schema_version"
        )

    def _count(self, table: str) -> int:
        (rows,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - as above
        return int(rows)

    def _parts(self, table: str, rowid: int, row: Row) -> Iterator[tuple[str, Row]]:
        """A row as this version of the schema has it."""
        if table in ("inbox", "lease") and row and row[0] is None:
            row = (rowid, *row[1:])
        if table == "rollouts" and len(row) == 9:
            yield "orders", (row[0], row[8])
            row = row[:8]
        if table == "clusters" and len(row) == 4:
            row = (*row[:2], row[3])
        missing = self.columns[table][len(row) :]
        if all(column.is_optional for column in missing):
            yield table, (*row, *("" for _ in missing))

    def _fits(self, table: str, row: Row) -> bool:
        columns = self.columns[table]
        return len(row) == len(columns) and all(
            isinstance(value, _FITTING[column.type]) for value, column in zip(row, columns, strict=True)
        )


def losses(connection: sqlite3.Connection, keys: Mapping[str, set[str]]) -> dict[str, int]:
    """Rows that something else names: an index, the numbers of events, a rollout's other rows, a node's last contact."""
    found = {}
    for table, column in INDEXED.items():
        there = {key for (key,) in connection.execute(f"SELECT {column} FROM {table}")}  # noqa: S608 - our own names
        found[table] = keys.get(table, set()) - there
    (names,) = connection.execute(
        "SELECT json_group_array(id) FROM (SELECT id FROM rollouts UNION SELECT rollout FROM orders UNION "
        "SELECT rollout FROM events UNION SELECT rollout FROM effects UNION SELECT rollout FROM snapshots)"
    ).fetchone()
    known = msgspec.json.decode(names, type=set[str])
    for table, column in (("rollouts", "id"), ("orders", "rollout")):
        found[table] |= known - {key for (key,) in connection.execute(f"SELECT {column} FROM {table}")}  # noqa: S608
    (holes,) = connection.execute(
        "SELECT coalesce(sum(last - there), 0) FROM (SELECT max(seq) AS last, sum(is_event) AS there FROM ("
        "SELECT rollout, seq, 1 AS is_event FROM events UNION ALL SELECT rollout, seq, 0 FROM snapshots) GROUP BY rollout)"
    ).fetchone()
    (records,) = connection.execute(
        "SELECT count(*) FROM contacts WHERE node NOT IN (SELECT node FROM records)"
    ).fetchone()
    counts = {table: len(lost) for table, lost in found.items()}
    return {**counts, "events": int(holes), "records": int(records)}


def _columns(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return tuple(Column(name, kind, bool(key), default is not None) for _, name, kind, _, default, key in rows)


def _looks_like(table: str, row: Row) -> bool:
    """What tells tables with equal columns apart, and rows from entries of an index."""
    match table:
        case "contacts":
            return isinstance(row[1], float) or (isinstance(row[1], int) and row[1] > _LONG_AGO)
        case "unanswered":
            return str(row[1]).startswith("b1:")
        case "objects":
            return _is_key(str(row[0]))
        case "orders":
            return not _is_key(str(row[0]))
        case _:
            return True


def _is_key(text: str) -> bool:
    """Of a manifest or a content, not of a rollout."""
    return text.startswith("b1:") or len(text) == 64
