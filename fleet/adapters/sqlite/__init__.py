"""`.fleet/state.db`: the journal and the records of one controller, in one SQLite file (design, decision 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.adapters.sqlite.database import Database

if TYPE_CHECKING:
    from fleet.adapters.sqlite.file import SqliteJournalFile
    from fleet.adapters.sqlite.journal import SqliteJournal
    from fleet.adapters.sqlite.records import SqliteRecords

__all__ = ["Database", "SqliteJournal", "SqliteJournalFile", "SqliteRecords"]


def __getattr__(name: str) -> Any:
    """The journal brings all of rollouts with it: who only reads records does without."""
    if name == "SqliteJournal":
        from fleet.adapters.sqlite.journal import SqliteJournal

        return SqliteJournal
    if name == "SqliteJournalFile":
        from fleet.adapters.sqlite.file import SqliteJournalFile

        return SqliteJournalFile
    if name == "SqliteRecords":
        from fleet.adapters.sqlite.records import SqliteRecords

        return SqliteRecords
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
