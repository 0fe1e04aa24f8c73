"""The write-ahead log beside a database: which pages it brings, and whether anything of it is missing.

Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import struct
import sys

import msgspec

HEADER, FRAME = 32, 24
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""The byte order of its checksums."""


class Wal(msgspec.Struct, frozen=True):
    """`pages` maps a page's number to where its newest committed content begins in the log; `size` is the database's size
    in pages after the last commit, 0 without one.

    `committed` counts frames up to the last commit that is whole. `later_commits` counts commits behind the first frame
    that is not whole; `ends_in_commit`: the last of them is the end of the log, so that it may be what a power cut
    broke off. `fault` says why nothing of it can be used.
    """

    page_size: int = 0
    salts: bytes = b""
    pages: dict[int, int] = {}
    size: int = 0
    committed: int = 0
    later_commits: int = 0
    ends_in_commit: bool = False
    fault: str = ""


class WalIndex(msgspec.Struct, frozen=True):
    """What the -shm file says of the log: `frames` were committed, `copied` of them are in the database as well."""

    salts: bytes
    frames: int
    copied: int


def read_wal(data: bytes) -> Wal:
    """SQLite itself takes the log up to the first frame that is not whole, and says nothing of what comes behind it."""
    if not data:
        return Wal()
    if len(data) < HEADER:
        return Wal(fault=f"is cut off in its first {HEADER} bytes")
    magic, version, page_size = struct.unpack_from(">III", data)
    if magic not in _MAGIC or version != 3007000 or page_size < 512 or page_size & (page_size - 1):
        return Wal(fault="does not begin as a write-ahead log of SQLite does")
    order, salts = _MAGIC[magic], data[16:24]
    sums = _checksum(order, data[:24], (0, 0))
    if sums != struct.unpack_from(">II", data, 24):
        return Wal(fault="has a damaged header")
    places = range(HEADER, len(data) - FRAME - page_size + 1, FRAME + page_size)
    pages: dict[int, int] = {}
    pending: dict[int, int] = {}
    size = committed = 0
    for at, place in enumerate(places):
        number, after, told = _frame(data, place)
        content = data[place + FRAME : place + FRAME + page_size]
        sums = _checksum(order, content, _checksum(order, data[place : place + 8], sums))
        if told[:8] != salts or sums != struct.unpack(">II", told[8:]):
            break
        pending[number] = place + FRAME
        if after:
            pages |= pending
            pending, size, committed = {}, after, at + 1
    later = [place for place in places[committed:] if _frame(data, place)[2][:8] == salts and _frame(data, place)[1]]
    ours = [place for place in places[committed:] if _frame(data, place)[2][:8] == salts]
    ends = bool(later) and later[-1] == ours[-1]
    return Wal(page_size, salts, pages, size, committed, len(later), ends)


def read_index(data: bytes) -> WalIndex | None:
    """None for one that is not in use, or that is being written just now: its two halves differ then."""
    if len(data) < 136 or data[:48] != data[48:96] or not data[12]:
        return None
    order = "<" if sys.byteorder == "little" else ">"
    (frames,), (copied,) = struct.unpack_from(f"{order}I", data, 16), struct.unpack_from(f"{order}I", data, 96)
    return WalIndex(data[32:40], frames, copied)


def _frame(data: bytes, place: int) -> tuple[int, int, bytes]:
    """Its page, the size of the database if it ends a transaction, else 0, and its salts and checksums."""
    number, after = struct.unpack_from(">II", data, place)
    return number, after, data[place + 8 : place + FRAME]


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    one, other = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other
