"""stdout is data, stderr is everything else: progress, questions, diagnostics, errors (design, decision 10)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from fleet.errors import UnavailableError

if TYPE_CHECKING:
    from fleet.report import Line, LineKind

# Colour repeats what the words say already, so that nothing is lost without it.
_CODES = {
    "answer": "1",
    "group": "33",
    "added": "32",
    "removed": "31",
    "refused": "31",
    "warning": "33",
    "hint": "36",
    "next": "1",
}


def wants_colour(stream: TextIO, *, allowed: bool) -> bool:
    """NO_COLOR counts when it is set and not empty (no-color.org)."""
    return allowed and stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Stream:
    """One of stdout and stderr. A reader that goes away makes it mute, and the command goes on to its exit code."""

    def __init__(self, file: TextIO, *, allow_colour: bool) -> None:
        self._file = file
        self._is_mute = False
        self.has_colour = wants_colour(file, allowed=allow_colour)

    @property
    def is_terminal(self) -> bool:
        return self._file.isatty()

    @property
    def width(self) -> int:
        """Columns of the terminal; 0 on a pipe, which is as wide as it has to be."""
        if not self.is_terminal:
            return 0
        from shutil import get_terminal_size

        return get_terminal_size().columns

    def line(self, text: str, kind: LineKind = "plain") -> None:
        self.text(self._painted(text, kind) + "\n")

    def lines(self, lines: Iterable[Line]) -> None:
        self.text("".join(f"{self._painted(line.text, line.kind)}\n" for line in lines))

    def text(self, text: str) -> None:
        """As it is, and on its way at once: who reads a pipe sees an event when it happens."""
        if self._is_mute:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            self._mute()
        except OSError as error:
            self._mute()
            raise UnavailableError(f"cannot write the output: {error.strerror}") from error

    def _painted(self, text: str, kind: LineKind) -> str:
        code = _CODES.get(kind, "") if self.has_colour else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text

    def _mute(self) -> None:
        """What is still in the buffer would raise again when the interpreter flushes at its end."""
        self._is_mute = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, self._file.fileno())
        finally:
            os.close(nowhere)


def keep_unprintable(*files: TextIO) -> None:
    """A name that the terminal's encoding lacks is shown escaped, not a reason to stop."""
    for file in files:
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="backslashreplace")


def stdout(*, allow_colour: bool = True) -> Stream:
    return Stream(sys.stdout, allow_colour=allow_colour)


def stderr(*, allow_colour: bool = True) -> Stream:
    return Stream(sys.stderr, allow_colour=allow_colour)
