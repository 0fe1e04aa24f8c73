"""Files that are added to a folder, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fleet.model.translation import NewFile


class Additions(Protocol):
    def clashes(self, folder: Path, files: Sequence[NewFile]) -> list[str]:
        """The paths of those files that are there already, in order."""
        ...

    def add(self, folder: Path, files: Sequence[NewFile]) -> None:
        """Writes every file or none; a file that is there already is never overwritten.

        Raises UsageError for a folder that may not be written, UnavailableError for a full disk and for a file that is
        there after all; then everything is as it was.
        """
        ...
