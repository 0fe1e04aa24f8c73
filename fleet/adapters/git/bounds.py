"""How large a repository may be, and the mistakes that a repository's files (not their contents) can hold."""

from __future__ import annotations

from fleet.errors import SpecError
from fleet.model.problem import Problem

MAX_FILES = 1_000_000
MAX_DEPTH = 32
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 2 * 1024 * 1024 * 1024


def mistake(path: str, message: str, hint: str = "") -> Problem:
    return Problem(file=path, line=1, column=1, path="", message=message, hint=hint)


def too_large(path: str, size: int) -> SpecError:
    megabytes = MAX_FILE_BYTES // (1024 * 1024)
    found = f"expected at most {megabytes} MiB, found {size:,} bytes"
    return SpecError([mistake(path, found, "Put it on a mirror, or name it in .fleetignore.")])


def too_many() -> SpecError:
    return SpecError([mistake(".", f"expected at most {MAX_FILES:,} files, found more", "Is this the right folder?")])


def too_deep(path: str) -> Problem:
    return mistake(path, f"expected at most {MAX_DEPTH} folders inside each other, found more")


def special(path: str) -> Problem:
    return mistake(path, "expected a file, found a device, a socket or a pipe", "Remove it.")


def unreadable_name(raw: bytes) -> Problem:
    shown = raw.decode("ascii", errors="backslashreplace")
    return mistake(shown, "expected a file name in UTF-8, found other bytes", "Rename the file.")


def leads_out(path: str, target: str) -> Problem:
    return mistake(path, f"a link that leads out of the repository, to {target}", "Copy the file into the repository.")


def absolute_link(path: str, target: str) -> Problem:
    return mistake(path, f"a link to an absolute path, {target}", "Link with a relative path.")


class Meter:
    """Counts what was read, each file once, and refuses what goes over the bounds."""

    def __init__(self, max_total: int = MAX_TOTAL_BYTES) -> None:
        self._max_total = max_total
        self._counted: set[str] = set()
        self._total = 0

    def count(self, path: str, size: int) -> None:
        if path in self._counted:
            return
        self._counted.add(path)
        self._total += size
        if self._total > self._max_total:
            gigabytes = self._max_total / (1024 * 1024 * 1024)
            raise SpecError([mistake(path, f"expected at most {gigabytes:g} GiB in all files together, found more")])
