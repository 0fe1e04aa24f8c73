"""A database as its files say it is, its WAL included, in memory: nothing is opened for writing, locked or checkpointed."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from fleet.adapters.sqlite.wal import Wal, WalIndex, read_index, read_wal
from fleet.errors import UnavailableError, UsageError
from fleet.model.diagnosis import Diagnosis

MAGIC = b"SQLite format 3\x00"
PAGE_SIZE = 4096
"""SQLite's own choice, for a file whose header does not say it any more."""
TRIES = 5
CHUNK = 1 << 24
INDEX = 136
"""Bytes of the -shm file that change with every commit and checkpoint."""

EXPORT = "fleet journal export saves what can still be read; fleet plan --refresh asks the nodes what they hold."


class Image(msgspec.Struct, frozen=True):
    """`data` begins as the file does, with the pages of its WAL in their place. `is_there`: there is a file at all."""

    data: bytes
    page_size: int
    diagnoses: tuple[Diagnosis, ...]
    is_there: bool = True

    @property
    def is_database(self) -> bool:
        return self.data.startswith(MAGIC)


class Files(msgspec.Struct, frozen=True):
    """`main` is None where there is no file."""

    main: bytes | None
    wal: bytes = b""
    shm: bytes = b""


def read_image(path: Path) -> Image:
    """Raises UsageError for files that may not be read."""
    files = _read(path)
    if files.main is None and not files.wal:
        return Image(b"", PAGE_SIZE, (), is_there=False)
    main, wal = files.main or b"", read_wal(files.wal)
    found = [*_of_main(files.main, files.wal), *_of_wal(wal, files.wal, read_index(files.shm))]
    page_size = _page_size(main) or wal.page_size or PAGE_SIZE
    if other := _of_another(main, files.wal, wal, page_size):
        found.append(other)
        wal = Wal()
    data = _overlaid(main, files.wal, wal, page_size)
    expected = wal.size or _told_pages(main)
    whole = len(main) // page_size
    missing = expected - whole - sum(whole < number <= expected for number in wal.pages)
    if main and missing > 0:
        found.append(
            Diagnosis("file", "wrong", f"is cut off: {missing:,} of its {expected:,} pages are missing", EXPORT)
        )
    return Image(data, page_size, tuple(found))


def _read(path: Path) -> Files:
    """All of it at one moment: a commit or a checkpoint in between would tear it."""
    for _ in range(TRIES):
        shm = _bytes(path, "-shm") or b""
        files = Files(_bytes(path), _bytes(path, "-wal") or b"", shm)
        if shm[:INDEX] == (_bytes(path, "-shm") or b"")[:INDEX]:
            return files
    try:
        # Somebody writes all the time, and SQLite gives a reader a state that stays. It locks nobody out.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return Files(connection.serialize())
    except sqlite3.Error as error:
        raise UnavailableError(
            f"{path} is written to all the time: {error}", "Look again when that is over."
        ) from error


def _bytes(path: Path, suffix: str = "") -> bytes | None:
    """Closing a file would drop the locks that this process's other connections have on it, so none is closed."""
    file = path.with_name(path.name + suffix)
    try:
        found = file.stat()
        handle = _held.get((found.st_dev, found.st_ino))
        if handle is None:
            handle = _held[found.st_dev, found.st_ino] = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        parts, at = [], 0
        while part := os.pread(handle, CHUNK, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", "Run it as the user that runs fleet there."
        ) from error


_held: dict[tuple[int, int], int] = {}
"""Open files by device and inode."""


def _of_main(main: bytes | None, wal: bytes) -> Iterator[Diagnosis]:
    if main is None:
        yield Diagnosis("file", "wrong", "is gone, and its WAL is left", EXPORT)
    elif not main:
        hint = EXPORT if wal else "If no rollout ever ran here, remove it. Else what it held is lost. " + EXPORT
        yield Diagnosis("file", "wrong", "is empty: cut off, or fleet was killed when it made it", hint)
    elif not main.startswith(MAGIC):
        yield Diagnosis("file", "wrong", "is no SQLite database, or its beginning was overwritten", EXPORT)


def _of_wal(wal: Wal, data: bytes, index: WalIndex | None) -> Iterator[Diagnosis]:
    if wal.fault:
        yield Diagnosis("wal", "wrong", f"the WAL {wal.fault}: what was not yet copied from it is lost", EXPORT)
        return
    is_ours = index is not None and (index.salts == wal.salts or not data)
    if is_ours and index is not None and index.frames > max(wal.committed, index.copied):
        lost = index.frames - wal.committed
        message = (
            f"the last {lost:,} of the {index.frames:,} pages that were committed to the WAL are cut off or damaged"
        )
        yield Diagnosis("wal", "wrong", message, EXPORT)
    elif wal.later_commits > 1 or (wal.later_commits and not wal.ends_in_commit):
        message = f"the WAL is damaged behind page {wal.committed:,}: {wal.later_commits:,} transactions of it are lost"
        yield Diagnosis("wal", "wrong", message, EXPORT)
    elif wal.later_commits:
        yield Diagnosis(
            "wal", "warning", "the last transaction of the WAL is not whole, and does not count",
            "After a power cut that is as it should be: nothing was done on its account. Else the file was damaged.",
        )  # fmt: skip


def _of_another(main: bytes, data: bytes, wal: Wal, page_size: int) -> Diagnosis | None:
    """By the size of its pages, or by the number that each file is given when it is made."""
    if not main.startswith(MAGIC) or not wal.page_size:
        return None
    first = wal.pages.get(1)
    ours, theirs = main[60:64], data[first + 60 : first + 64] if first is not None else b""
    both = any(ours) and any(theirs)
    if wal.page_size == page_size and not (both and ours != theirs):
        return None
    return Diagnosis(
        "wal", "wrong", "the WAL is of another file, and was left out: the one of this file is lost", EXPORT
    )


def _overlaid(main: bytes, data: bytes, wal: Wal, page_size: int) -> bytes:
    image = bytearray(main)
    if wal.size:
        # Shorter, too: a transaction may have given pages back.
        image = image[: wal.size * page_size]
        image.extend(bytes(wal.size * page_size - len(image)))
    for number, at in wal.pages.items():
        if number <= wal.size:
            image[(number - 1) * page_size : number * page_size] = data[at : at + page_size]
    return bytes(image)


def _page_size(main: bytes) -> int:
    if not main.startswith(MAGIC) or len(main) < 100:
        return 0
    (told,) = struct.unpack_from(">H", main, 16)
    size = 65536 if told == 1 else told
    return size if size >= 512 and not size & (size - 1) else 0


def _told_pages(main: bytes) -> int:
    """How many pages its header says; 0 where that is not to be believed (section 1.3.8)."""
    if not _page_size(main) or main[24:28] != main[92:96]:
        return 0
    return int(struct.unpack_from(">I", main, 28)[0])
