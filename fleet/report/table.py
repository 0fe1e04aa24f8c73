"""Tables that shrink to the width that there is; names are never cut."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.report.line import Line, clean, line

_GAP = "  "
_SHORTEST = 6


class Column(msgspec.Struct, frozen=True):
    """`is_name` columns are never cut. Others shrink from the right, and go when there is no room at all."""

    title: str
    is_name: bool = False


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int = 0) -> tuple[Line, ...]:
    """A title line and a line for each row. `width` is in characters; 0 means as wide as it gets (a pipe)."""
    cells = [[clean(text) for text in row] for row in rows]
    wide = [max((len(row[i]) for row in cells), default=0) for i in range(len(columns))]
    wide = [max(own, len(column.title)) for own, column in zip(wide, columns, strict=True)]
    fitted = _fitted(columns, wide, width) if width else wide
    kept = [i for i, own in enumerate(fitted) if own]
    lines = [line(_row([column.title for column in columns], fitted, kept), "label")]
    lines += [line(_row(row, fitted, kept)) for row in cells]
    return tuple(lines)


def _fitted(columns: Sequence[Column], wide: Sequence[int], width: int) -> list[int]:
    """Column widths that fit, 0 for a column that went: as few go as may, then the rightmost ones shrink."""
    others = [i for i in reversed(range(len(columns))) if not columns[i].is_name]
    least = [own if column.is_name else min(own, _SHORTEST) for own, column in zip(wide, columns, strict=True)]
    fitted = list(wide)
    for i in others:
        if _total(least) > width:
            least[i] = fitted[i] = 0
    for i in others:
        fitted[i] = max(least[i], fitted[i] - max(_total(fitted) - width, 0))
    return fitted


def _total(widths: Sequence[int]) -> int:
    kept = [own for own in widths if own]
    return sum(kept) + len(_GAP) * (len(kept) - 1)


def _row(row: Sequence[str], fitted: Sequence[int], kept: Sequence[int]) -> str:
    cells = (row[i] if len(row[i]) <= fitted[i] else row[i][: fitted[i] - 1] + "…" for i in kept)
    return _GAP.join(cell.ljust(fitted[i]) for i, cell in zip(kept, cells, strict=True)).rstrip()
