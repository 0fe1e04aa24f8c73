"""Where in the spec something stands, and what is wrong with it."""

from __future__ import annotations

from typing import Literal

import msgspec

type_path = tuple[str | int, ...]


class Place(msgspec.Struct, frozen=True, order=True):
    """A value in a document. Line and column are worked out from it only when there is something to say.

    `document` counts from 0 within `file`. `path` leads to the value from the document's root.
    `row` is the 1-based line of the table that a SiteSet took the value from, with `table` its path.
    """

    file: str
    document: int = 0
    path: type_path = ()
    table: str = ""
    row: int = 0

    def at(self, *steps: str | int) -> Place:
        return msgspec.structs.replace(self, path=(*self.path, *steps))


class Mistake(msgspec.Struct, frozen=True):
    """What a verb found wrong, placed but without line and column. `others` are the other ends of a clash."""

    place: Place
    message: str
    hint: str = ""
    others: tuple[Place, ...] = ()
    severity: Literal["error", "warning"] = "error"
    on_key: bool = False
    """The mistake is in the key (an unknown field), not in its value."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake as users see it: `file:line:col  severity  path: message. hint`."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    others: tuple[str, ...] = ()
    """Other ends of the same mistake, each as `file:line:col`."""
