"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 node`, `3,120 nodes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Decimal units with at most two digits that matter: `512 bytes`, `1.1 GB`, `38 GB`."""
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{number} bytes"
    return f"{value:.1f} {_UNITS[unit]}" if value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def duration(seconds: int) -> str:
    """`30 s`, `41 min`, `3 h 5 min`, `12 days`."""
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24:,} days"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def moment(seconds: float) -> str:
    """Seconds since 1970 as `2026-11-22 06:10 UTC`; `unknown` for what a node made up."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds > 0 else "unknown"
    except (OverflowError, ValueError, OSError):
        return "unknown"


def some(names: Sequence[str], shown: int = 3) -> str:
    """`a, b, c and 9 more`."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")
