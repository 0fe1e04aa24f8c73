"""`.fleet/state.db`: the journal and the records of one controller, in one SQLite file (design, decision 7)."""

from fleet.adapters.sqlite.database import Database
from fleet.adapters.sqlite.journal import SqliteJournal
from fleet.adapters.sqlite.records import SqliteRecords

__all__ = ["Database", "SqliteJournal", "SqliteRecords"]
