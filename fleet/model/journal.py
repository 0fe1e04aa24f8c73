"""What `fleet journal` says of the file that holds rollouts and records, and what it saves of it."""

from __future__ import annotations

from typing import Any

import msgspec

from fleet.model.diagnosis import Diagnosis
from fleet.model.record import Record


class TableState(msgspec.Struct, frozen=True):
    """`rows` can be read. `lost` are rows that are known to have been there, `pages` those of the table that cannot be read:
    what was on them may be more than is known.
    """

    table: str
    rows: int
    lost: int = 0
    pages: int = 0

    @property
    def is_whole(self) -> bool:
        return not (self.lost or self.pages)


class JournalReport(msgspec.Struct, frozen=True):
    """`schema` is the version of the tables, 0 where that cannot be told. `diagnoses` are what is not as it should be."""

    path: str
    is_whole: bool
    schema: int = 0
    tables: tuple[TableState, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="line"):
    """`text` is what was there, where it cannot be decoded any more."""

    text: str = ""


class SavedRollout(_Line, frozen=True, tag="rollout"):
    """`order` is None where it is lost; the rest is empty where only the order, or events, are left."""

    id: str
    fleet: str = ""
    commit: str = ""
    controller: str = ""
    nodes: int = 0
    status: str = ""
    started_at: float = 0.0
    updated_at: float = 0.0
    order: Any = None


class SavedEvent(_Line, frozen=True, tag="event"):
    rollout: str
    seq: int
    at: float
    event: Any = None


class SavedEffect(_Line, frozen=True, tag="effect"):
    """A batch that had not ended."""

    rollout: str
    batch: str
    effect: Any = None


class SavedRequest(_Line, frozen=True, tag="request"):
    """What nobody had answered yet."""

    rollout: str
    request: Any = None


class SavedRecord(_Line, frozen=True, tag="record"):
    """What a node said that it holds, and when it last answered (0: not known)."""

    node: str
    contact: float = 0.0
    record: Record | None = None


class SavedTable(TableState, frozen=True, kw_only=True, tag="table", tag_field="line"):
    """Comes last, one for each table: how much of it was saved."""


SavedLine = SavedRollout | SavedEvent | SavedEffect | SavedRequest | SavedRecord | SavedTable
