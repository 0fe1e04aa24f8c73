"""A folder on disk that is made to hold exactly some files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from fleet.model.project import FolderReport, ProjectFile


class Folder(Protocol):
    def write(self, folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
        """Afterwards `folder` holds these files and no others of ours; what is equal already is not touched.

        Raises UsageError for a folder with files of somebody else, UnavailableError for a full disk.
        """
        ...
