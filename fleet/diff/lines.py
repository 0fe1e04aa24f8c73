"""Line diffs without context: what two texts differ in, whatever stands around it.

Without context, files that are unique per node but change in the same lines have the same diff. The search is greedy
and linear: a plan may have to look at ten thousand pairs, and an attacker's file must not make it slow.
"""

from __future__ import annotations

from bisect import bisect_left

_MAX_CONTENT = 1024 * 1024
_SHOWN_LINES = 20
_SHOWN_COLUMNS = 160


def diff_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    """`- old` and `+ new` lines in the order of the file, whole and unescaped: to compare, not to print.

    Content that is no text, or larger than 1 MiB, gives one line with both sizes. Equal contents give none.
    """
    if before == after:
        return ()
    old, new = _text(before), _text(after)
    if old is None or new is None:
        return (f"  {len(before):,} bytes -> {len(after):,} bytes, not shown",)
    old_lines, new_lines = old.split("\n"), new.split("\n")
    first, last = _common(old_lines, new_lines)
    return _middle(old_lines[first : len(old_lines) - last], new_lines[first : len(new_lines) - last])


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


def _middle(old: list[str], new: list[str]) -> tuple[str, ...]:
    """Walks both sides and takes, at each difference, the nearer of the two places where they meet again."""
    old_at, new_at = _positions(old), _positions(new)
    lines: list[str] = []
    added: list[str] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            lines += added
            added.clear()
            i, j = i + 1, j + 1
            continue
        in_new, in_old = _next(new_at, old[i], j), _next(old_at, new[j], i)
        if in_new < 0 and in_old < 0:
            lines.append(f"- {old[i]}")
            added.append(f"+ {new[j]}")
            i, j = i + 1, j + 1
        elif in_new < 0 or (in_old >= 0 and in_old - i <= in_new - j):
            lines += [f"- {line}" for line in old[i:in_old]]
            i = in_old
        else:
            added += [f"+ {line}" for line in new[j:in_new]]
            j = in_new
    return (*lines, *(f"- {line}" for line in old[i:]), *added, *(f"+ {line}" for line in new[j:]))


def _positions(lines: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for position, line in enumerate(lines):
        found.setdefault(line, []).append(position)
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
