"""The file that holds rollouts and records, looked at from outside and left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fleet.model.journal import JournalReport, SavedLine


class JournalFile(Protocol):
    """Nothing is written, opened for writing or locked: a damaged file stays as it is, and one in use goes on.

    Raises `UsageError` where the file may not be read, or was written by a newer fleet.
    """

    def check(self) -> JournalReport:
        """Everything that is not as it should be, at once."""
        ...

    def export(self) -> Iterator[SavedLine]:
        """All that can be read, of a damaged file too."""
        ...
