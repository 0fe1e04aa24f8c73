"""Line diffs without context: what two texts differ in, whatever stands around it.

Without context, files that are unique per node but change in the same lines have the same diff. The search is greedy
and linear: a plan may have to look at ten thousand pairs, and an attacker's file must not make it slow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

_MAX_CONTENT = 1024 * 1024
_MAX_UP = 200
_SHOWN_LINES = 20
_SHOWN_COLUMNS = 160


def diff_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    """`- old` and `+ new` lines in the order of the file, whole and unescaped: to compare, not to print.

    An indented line has the one that it belongs to above it, as `  key:`: a list item alone says little.

    Content that is no text, or larger than 1 MiB, gives one line with both sizes. Equal contents give none.
    """
    if before == after:
        return ()
    old, new = _text(before), _text(after)
    if old is None or new is None:
        return (f"  {len(before):,} bytes -> {len(after):,} bytes, not shown",)
    old_lines, new_lines = old.split("\n"), new.split("\n")
    lines: list[str] = []
    told = ""
    for hunk in _hunks(old_lines, new_lines):
        removed, added = old_lines[hunk.old_from : hunk.old_to], new_lines[hunk.new_from : hunk.new_to]
        owner = (_owner(old_lines, hunk.old_from) if removed else "") or (
            _owner(new_lines, hunk.new_from) if added else ""
        )
        if owner and owner != told:
            lines.append(f"  {owner}")
            told = owner
        lines += [f"- {line}" for line in removed]
        lines += [f"+ {line}" for line in added]
    return tuple(lines)


def printable(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines as a person gets them: control characters escaped, long lines and long diffs cut with a word on it."""
    short = tuple(_cut(line) for line in lines[:_SHOWN_LINES])
    left = len(lines) - len(short)
    return (*short, f"  … {left:,} more lines") if left else short


def _text(content: bytes) -> str | None:
    if len(content) > _MAX_CONTENT or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _common(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines the two have in common at their beginning, and at their end."""
    shorter = min(len(old), len(new))
    first = 0
    while first < shorter and old[first] == new[first]:
        first += 1
    last = 0
    while last < shorter - first and old[-1 - last] == new[-1 - last]:
        last += 1
    return first, last


class _Hunk(msgspec.Struct, frozen=True):
    """Lines `old_from` to `old_to` (exclusive) became lines `new_from` to `new_to`."""

    old_from: int
    old_to: int
    new_from: int
    new_to: int


def _hunks(old: list[str], new: list[str]) -> Iterator[_Hunk]:
    """Walks both sides and takes, at each difference, the nearer of the two places where they meet again."""
    first, last = _common(old, new)
    old_end, new_end = len(old) - last, len(new) - last
    old_at, new_at = _positions(old, first, old_end), _positions(new, first, new_end)
    i = old_from = first
    j = new_from = first
    while i < old_end and j < new_end:
        if old[i] == new[j]:
            if i > old_from or j > new_from:
                yield _Hunk(old_from, i, new_from, j)
            i, j = i + 1, j + 1
            old_from, new_from = i, j
            continue
        in_new, in_old = _next(new_at, old[i], j), _next(old_at, new[j], i)
        if in_new < 0 and in_old < 0:
            i, j = i + 1, j + 1
        elif in_new < 0 or (in_old >= 0 and in_old - i <= in_new - j):
            i = in_old
        else:
            j = in_new
    if old_end > old_from or new_end > new_from:
        yield _Hunk(old_from, old_end, new_from, new_end)


def _owner(lines: list[str], at: int) -> str:
    """The nearest line above that is indented less; nothing for a line that is not indented, or too far away."""
    depth = _depth(lines[at])
    if not depth:
        return ""
    for line in reversed(lines[max(0, at - _MAX_UP) : at]):
        if line.strip() and _depth(line) < depth:
            return line
    return ""


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _positions(lines: list[str], start: int, end: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position in range(start, end):
        found.setdefault(lines[position], []).append(position)
    return found


def _next(positions: dict[str, list[int]], line: str, start: int) -> int:
    """The first position of the line from `start` on, -1 for none."""
    places = positions.get(line)
    if places is None:
        return -1
    index = bisect_left(places, start)
    return places[index] if index < len(places) else -1


def _cut(line: str) -> str:
    shown = line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return shown if len(shown) <= _SHOWN_COLUMNS else shown[: _SHOWN_COLUMNS - 1] + "…"
