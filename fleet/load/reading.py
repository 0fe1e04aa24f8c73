"""Which files of a Tree are spec, and their documents."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.errors import SpecError
from fleet.formats import FormatError
from fleet.formats.yaml import parse, parse_all_errors
from fleet.load.kinds import KINDS
from fleet.load.mistakes import MistakeList
from fleet.load.words import found, near
from fleet.model.problem import Mistake, Place
from fleet.model.spec.document import API_VERSION

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILE_LIMIT = 64 * 1024 * 1024
IGNORE_FILE = ".fleetignore"
_SUFFIXES = (".yaml", ".yml")
_NEVER = frozenset({".git", ".fleet"})
_NOT_AT_ROOT = frozenset({"rendered", "secrets"})
# A file without these bytes has no document of ours; one with them, but without the line, may be anybody's.
_MARK = b"fleet/"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OURS = re.compile(rb"""^[\s"'{-]*api_?version["']?\s*:\s*["']?fleet/""", re.MULTILINE | re.IGNORECASE)


class RawDocument(msgspec.Struct, frozen=True, eq=False):
    """A document of ours as plain values."""

    kind: str
    file: str
    index: int
    value: dict[str, Any]

    def place(self, *path: str | int) -> Place:
        return Place(self.file, self.index, path)


class Reader:
    """Reads files of a Tree once each, and remembers what it read by sha256."""

    def __init__(self, files: Mapping[str, bytes], mistakes: MistakeList) -> None:
        self._files = files
        self._mistakes = mistakes
        self._sums: dict[str, str] = {}
        self.others = 0

    @property
    def digest(self) -> str:
        """`sha256:` + hex over the sorted paths and contents of every file that was read."""
        text = "".join(f"{path}\0{digest}\n" for path, digest in sorted(self._sums.items()))
        return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None when it is not there, or may not be read: then a mistake says so."""
        try:
            data = self._files[path]
        except KeyError:
            return None
        except SpecError as error:
            self._mistakes.problems.extend(error.problems)
            return None
        except OSError as error:
            self._mistakes.unreadable(path, f"cannot be read: {error.strerror or error}")
            return None
        if len(data) > FILE_LIMIT:
            self._mistakes.unreadable(
                path,
                f"{len(data) / 1048576:.0f} MiB is too large: a file may hold 64 MiB",
                f"Split it, or name it in {IGNORE_FILE} when it is not spec.",
            )
            return None
        self._sums[path] = hashlib.sha256(data).hexdigest()
        return data

    def documents(self) -> Iterator[RawDocument]:
        """Every document of ours, in the order of path and place; the others are counted."""
        ignored = self._ignored()
        for path in sorted(self._files):
            if path.endswith(_SUFFIXES) and not _is_left_out(path) and not (ignored and ignored.match_file(path)):
                data = self.read(path)
                if data is not None:
                    yield from self._parsed(path, data)

    def _ignored(self) -> GitIgnoreSpec | None:
        data = self.read(IGNORE_FILE)
        if not data:
            return None
        from pathspec import GitIgnoreSpec

        lines = data.decode("utf-8", "replace").splitlines()
        good = []
        for number, line in enumerate(lines, 1):
            try:
                GitIgnoreSpec.from_lines([line])
            except ValueError as error:
                self._mistakes.malformed(IGNORE_FILE, FormatError(str(error), "See gitignore(5)", number, 1))
            else:
                good.append(line)
        return GitIgnoreSpec.from_lines(good)

    def _parsed(self, path: str, data: bytes) -> Iterator[RawDocument]:
        is_utf_16 = data[:2] in _UTF_16 and _MARK.decode() in data.decode("utf-16", "replace")
        if _MARK not in data and not is_utf_16:
            self.others += 1 + data.count(b"\n---")
            return
        try:
            documents = parse(data)
        except FormatError:
            if is_utf_16 or _OURS.search(data):
                for error in parse_all_errors(data):
                    self._mistakes.malformed(path, error)
            else:
                self.others += 1 + data.count(b"\n---")
            return
        for index, value in enumerate(documents):
            kind = self._kind(value, Place(path, index))
            if kind:
                yield RawDocument(kind, path, index, value)
            elif value is not None:
                self.others += 1

    def _kind(self, value: Any, place: Place) -> str:
        """The kind of a document of ours, or nothing: it is somebody else's, or a mistake says what is wrong."""
        if not isinstance(value, dict):
            return ""
        version, kind = value.get("apiVersion"), value.get("kind")
        if version == API_VERSION:
            if isinstance(kind, str) and kind in KINDS:
                return kind
            if kind is None:
                self._mistakes.error(place, "missing field `kind`", f"One of {', '.join(KINDS)}.")
            elif isinstance(kind, str):
                self._mistakes.error(place.at("kind"), f"unknown kind `{kind}`", near(kind, KINDS))
            else:
                self._mistakes.error(place.at("kind"), f"expected a kind, found {found(kind)}")
        elif kind in KINDS if isinstance(kind, str) else False:
            self._wrong_version(value, version, place)
        return ""

    def _wrong_version(self, value: dict[str, Any], version: Any, place: Place) -> None:
        if isinstance(version, str) and version.startswith("fleet/"):
            self._mistakes.error(
                place.at("apiVersion"), f"expected {API_VERSION}, found `{version}`", f"Write `{API_VERSION}`."
            )
        for key, other in value.items():
            if key != "apiVersion" and key.lower().replace("_", "") == "apiversion" and str(other).startswith("fleet/"):
                hint = "Did you mean `apiVersion`?"
                self._mistakes.add(Mistake(place.at(key), "unknown field", hint, on_key=True))


def _is_left_out(path: str) -> bool:
    parts = path.split("/")
    return parts[0] in _NOT_AT_ROOT or not _NEVER.isdisjoint(parts[:-1])
