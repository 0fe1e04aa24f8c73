"""The report while it is written: what is not as it was, line by line."""

from __future__ import annotations

from typing import Literal

from fleet.formats.inventory import Mark
from fleet.model.translation import ImportNote


class Notes:
    """Collects notes; `sorted` gives each once, in the order of the files."""

    def __init__(self) -> None:
        self._notes: dict[ImportNote, None] = {}
        self._warned: set[tuple[Mark, str]] = set()

    def warn(self, mark: Mark, subject: str, message: str, hint: str = "") -> None:
        """Something is left out or means something else now."""
        self._warned.add((mark, subject))
        self._add(mark, subject, message, hint, "warning")

    def note(self, mark: Mark, subject: str, message: str, hint: str = "") -> None:
        """Something has another form, and nothing is lost."""
        self._add(mark, subject, message, hint, "note")

    def has_warning(self, mark: Mark, subject: str) -> bool:
        """Whether a warning was given of a subject at a place."""
        return (mark, subject) in self._warned

    def _add(self, mark: Mark, subject: str, message: str, hint: str, severity: Literal["warning", "note"]) -> None:
        self._notes[ImportNote(mark.file, mark.line, mark.column, subject, message, hint, severity)] = None

    def sorted(self) -> tuple[ImportNote, ...]:
        return tuple(sorted(self._notes))
