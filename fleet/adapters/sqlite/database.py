"""The file itself: opening it, its version, its transactions, and what SQLite's errors mean to a user."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.adapters.disk import make_folder
from fleet.adapters.sqlite import schema
from fleet.errors import FleetError, UnavailableError, UsageError

BUSY_SECONDS = 10.0
"""How long one writer waits for another one; a write takes milliseconds."""

LOST = (
    "fleet journal check says what of it is damaged. Losing the folder loses history, never truth: move it away, and "
    "fleet plan --refresh rebuilds it from the nodes."
)

HANGS = "Look for a fleet that hangs, or for a backup that holds the file."


class Database:
    """`FOLDER/state.db`, made by the first write (0600). One connection, shared by threads under a lock.

    All methods raise `UsageError` (a folder that may not be written, a newer schema) or `UnavailableError` (a full
    disk, a damaged file, another writer that does not end).
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A database that was never written reads as an empty one, and is not made by that."""
        with self._lock, _translated(self.path):
            if self._connection or _is_there(self.path):
                yield self._open()
                return
            empty = sqlite3.connect(":memory:")
            try:
                empty.executescript(schema.TABLES)
                yield empty
            finally:
                empty.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk when the block ends, undone when it raises. One inside of another is part of it."""
        with self._lock, _translated(self.path):
            connection = self._open()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            if self._connection:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            _make_private(self.path)
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                _prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _make_private(path: Path) -> None:
    """SQLite gives its -wal and -shm files the mode of the file itself.

    A file that is there is never opened here: closing it would drop the locks of this process's other connections.
    """
    try:
        make_folder(path.parent, 0o700)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as error:
        raise _closed(path, error) from error


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder that may not even be looked into
        raise _closed(path, error) from error


def _closed(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be opened: {error.strerror}",
        hint=f"fleet keeps its history there: give {path.parent} to the user that runs fleet.",
    )


def _give_identity(connection: sqlite3.Connection) -> None:
    """A random number in page 1, which also goes into the WAL: `fleet journal check` knows a WAL of another file by it.

    A new file has it before there is a WAL.
    """
    if connection.execute("PRAGMA user_version").fetchone() != (0,):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone() == (0,):  # nobody else was quicker
            identity = int.from_bytes(os.urandom(4), "big") // 2 or 1
            connection.execute(f"PRAGMA user_version={identity}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # FULL: an effect may start only when the event that announces it would survive a power cut (engine.md).
    connection.execute("PRAGMA synchronous=FULL")
    _give_identity(connection)
    connection.execute("PRAGMA journal_mode=WAL")
    if _has_tables(connection) and connection.execute("SELECT version FROM schema_version").fetchone() == (
        schema.VERSION,
    ):
        return  # without a lock: a controller that hangs in a write keeps nobody from reading
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _has_tables(connection):
            for statement in schema.TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?)", (schema.VERSION,))
        bring_along(connection, path)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone())


def bring_along(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables of an older version those of this one. Raises UsageError for a newer one."""
    (version,) = connection.execute("SELECT version FROM schema_version").fetchone()
    while version in schema.STEPS:
        for statement in schema.STEPS[version].strip().split(";\n"):
            connection.execute(statement)
        version += 1
        connection.execute("UPDATE schema_version SET version = ?", (version,))
    if version != schema.VERSION:
        raise UsageError(
            f"{path} has version {version} of the schema, this fleet knows version {schema.VERSION}",
            hint=f"Use the newer fleet that wrote it. {LOST}",
        )


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error, path: Path) -> FleetError:
    """What an error of SQLite means to the user."""
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # the low byte is the primary code
    hand_over = f"Give {path.parent} to the user that runs fleet."
    kind, message, hint = {
        sqlite3.SQLITE_FULL: (UnavailableError, "cannot grow: the disk is full", "Free some space, then run it again."),
        sqlite3.SQLITE_CORRUPT: (UnavailableError, f"is damaged: {error}", LOST),
        sqlite3.SQLITE_NOTADB: (UnavailableError, f"is damaged: {error}", LOST),
        sqlite3.SQLITE_ERROR: (UnavailableError, f"does not hold what fleet wrote: {error}", LOST),
        sqlite3.SQLITE_IOERR: (UnavailableError, f"could not be read or written: {error}", f"Look at the disk. {LOST}"),
        sqlite3.SQLITE_READONLY: (UsageError, f"cannot be written: {error}", hand_over),
        sqlite3.SQLITE_CANTOPEN: (UsageError, f"cannot be written: {error}", hand_over),
        sqlite3.SQLITE_PERM: (UsageError, f"cannot be written: {error}", hand_over),
        sqlite3.SQLITE_BUSY: (UnavailableError, f"stays locked by another process: {error}", HANGS),
        sqlite3.SQLITE_LOCKED: (UnavailableError, f"stays locked by another process: {error}", HANGS),
    }.get(code, (FleetError, f"fails: {error}", ""))
    return kind(f"{path} {message}", hint=hint)
