"""Both journals, by a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.sqlite import Database, SqliteJournal
from fleet.ports.journal import Journal
from fleet.testing import MemoryClock, MemoryJournal


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: MemoryClock) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal(clock)
        return
    database = Database(tmp_path)
    yield SqliteJournal(database, clock)
    database.close()
