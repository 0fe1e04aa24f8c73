"""When nodes may change: windows that open by cron in a time zone, days on which they stay shut, and what else takes time."""

from __future__ import annotations

from typing import Literal

import msgspec

SITE_ZONE = "site"

DEFAULT_PROGRESS_DEADLINE = "30m"
"""How long one node may take, where a policy says nothing of it."""


class Freeze(msgspec.Struct, frozen=True):
    """Days (2026-12-15) on which nothing changes, both included."""

    first: str
    last: str
    reason: str = ""


class Schedule(msgspec.Struct, frozen=True):
    """`at` are cron's five fields, empty for a window that only freezes shut; `zone` an IANA name or `site`. `seconds` the
    window stays open; `needed` are what one node may take: what cannot end inside the window does not begin.
    """

    at: str
    seconds: float
    zone: str = SITE_ZONE
    needed: float = 1800.0
    freezes: tuple[Freeze, ...] = ()


class Timing(msgspec.Struct, frozen=True):
    """What a policy says of time, in seconds; 0 and None: nothing.

    Nodes begin while `schedule` lets them, in the zone that `zones` names for their site. A wave soaks for `soak` before
    the next one. At most `rate` nodes begin in a minute, times `rate_factor` for each wave before. A batch that takes
    longer than `deadline` is ended. A node that is away for longer than `offline_after` uses up no budget any more.
    """

    schedule: Schedule | None = None
    zones: dict[str, str] = {}
    soak: float = 0.0
    rate: float = 0.0
    rate_factor: float = 1.0
    deadline: float = 0.0
    offline_after: float = 0.0


class Wait(msgspec.Struct, frozen=True):
    """What a rollout waits for while nothing of it runs, and until when (seconds since 1970)."""

    kind: Literal["window", "rate"]
    until: float
