"""When nodes may change: a window that opens by cron in a time zone, and days on which it stays shut."""

from __future__ import annotations

import msgspec

SITE_ZONE = "site"


class Freeze(msgspec.Struct, frozen=True):
    """Days (2026-12-15) on which nothing changes, both included."""

    first: str
    last: str
    reason: str = ""


class Schedule(msgspec.Struct, frozen=True):
    """`at` are cron's five fields, `zone` an IANA name or `site`. `seconds` the window stays open; `needed` are what one
    node may take: what cannot end inside the window does not begin.
    """

    at: str
    seconds: float
    zone: str = SITE_ZONE
    needed: float = 1800.0
    freezes: tuple[Freeze, ...] = ()
