"""Rows read from a database's pages by hand: what can be read of a file that SQLite refuses as malformed.

Source: https://www.sqlite.org/fileformat2.html, sections 1.6 (b-tree pages) and 2.1 (records).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
_INTERIOR = (INTERIOR_INDEX, INTERIOR_TABLE)
_WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Value = None | int | float | str | bytes
Row = tuple[Value, ...]


class Unreadable(Exception):  # noqa: N818 - a word of this module's, caught in it
    """A page, a cell or a record that is not what it should be."""


class Pages:
    """`seen` are pages that were looked at, `bad` those that could not be read; a cell that cannot be read makes its page
    one of them, and the others of it are read all the same.
    """

    def __init__(self, image: bytes, page_size: int) -> None:
        self.count = len(image) // page_size
        self.seen: set[int] = set()
        self.bad: set[int] = set()
        self._image = image
        self._size = page_size
        self._usable = page_size - image[20]

    def tree(self, root: int) -> Iterator[tuple[int, Row]]:
        """Rows of a table or an index with their rowid (0 in an index), in any order."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self.seen:
                continue
            self.seen.add(number)
            try:
                yield from self.rows(number)
                waiting += self._children(number)
            except Unreadable:
                self.bad.add(number)

    def rows(self, number: int) -> Iterator[tuple[int, Row]]:
        """Those of one page, without those of the pages below it."""
        kind, cells = self._cells(number)
        if kind == INTERIOR_TABLE:
            return
        for at in cells:
            try:
                yield self._row(kind, number, at)
            except Unreadable:
                self.bad.add(number)

    def free(self) -> set[int]:
        """Pages that hold nothing any more, but may look as if they did."""
        found: set[int] = set()
        (trunk,) = struct.unpack_from(">I", self._image, 32)
        while 0 < trunk <= self.count and trunk not in found:
            found.add(trunk)
            page = self._page(trunk)
            trunk, leaves = struct.unpack_from(">II", page)
            found.update(struct.unpack_from(f">{min(leaves, self._size // 4 - 2)}I", page, 8))
        return found

    def _page(self, number: int) -> bytes:
        if not 0 < number <= self.count:
            raise Unreadable
        return self._image[(number - 1) * self._size : number * self._size]

    def _cells(self, number: int) -> tuple[int, tuple[int, ...]]:
        page, head = self._page(number), 100 if number == 1 else 0
        kind, count = page[head], struct.unpack_from(">H", page, head + 3)[0]
        begin = head + (12 if kind in _INTERIOR else 8)
        if kind not in (*_INTERIOR, LEAF_INDEX, LEAF_TABLE) or begin + 2 * count > self._size:
            raise Unreadable
        return kind, struct.unpack_from(f">{count}H", page, begin)

    def _children(self, number: int) -> list[int]:
        kind, cells = self._cells(number)
        if kind not in _INTERIOR:
            return []
        page, head = self._page(number), 100 if number == 1 else 0
        found = [struct.unpack_from(">I", page, at)[0] for at in (*cells, head + 8) if at + 4 <= self._size]
        # Those that are not there are bad: they are named here, and nowhere else.
        self.bad.update(child for child in found if not 0 < child <= self.count)
        return [child for child in found if 0 < child <= self.count]

    def _row(self, kind: int, number: int, at: int) -> tuple[int, Row]:
        page = self._page(number)
        at += 4 if kind == INTERIOR_INDEX else 0
        length, at = _varint(page, at)
        rowid, at = _varint(page, at) if kind == LEAF_TABLE else (0, at)
        return rowid, _record(self._payload(page, at, length, is_table=kind == LEAF_TABLE))

    def _payload(self, page: bytes, at: int, length: int, *, is_table: bool) -> bytes:
        """What a cell holds, with what did not fit into its page."""
        usable = self._usable
        if length > self.count * usable:
            raise Unreadable
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        least = (usable - 12) * 32 // 255 - 23
        local = length
        if length > most:
            kept = least + (length - least) % (usable - 4)
            local = kept if kept <= most else least
        parts = [page[at : at + local]]
        left, here, (following,) = length - local, set(), (0,)
        if left:
            if at + local + 4 > self._size:
                raise Unreadable
            (following,) = struct.unpack_from(">I", page, at + local)
        while left > 0:
            if following in here:
                raise Unreadable
            here.add(following)
            more = self._page(following)
            parts.append(more[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
            (following,) = struct.unpack_from(">I", more)
        self.seen |= here
        payload = b"".join(parts)
        if len(payload) != length:
            raise Unreadable
        return payload


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        if place >= len(data):
            raise Unreadable
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    if at + 8 >= len(data):
        raise Unreadable
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> Row:
    end, at = _varint(payload, 0)
    body, values = end, []
    while at < end:
        kind, at = _varint(payload, at)
        width = _width(kind)
        if body + width > len(payload):
            raise Unreadable
        values.append(_value(kind, payload[body : body + width]))
        body += width
    if body != len(payload) or at != end:
        raise Unreadable
    return tuple(values)


def _width(kind: int) -> int:
    if kind in (10, 11):
        raise Unreadable
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _WIDTHS.get(kind, 0)


def _value(kind: int, data: bytes) -> Value:
    if kind in (0, 8, 9):
        return {0: None, 8: 0, 9: 1}[kind]
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind < 7:
        return int.from_bytes(data, "big", signed=True)
    if kind % 2 == 0:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unreadable from None
