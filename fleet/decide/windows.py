"""Whether a window is open, until when, and when the next one opens. Time comes in as a value.

Cron in a zone where clocks change is as Debian's cron does it: what falls into the hour that is left out runs when that
hour would have begun, what falls into the hour that comes twice runs once. A window lasts as long as it says by a
stopwatch, whatever the clock does meanwhile.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from fleet.model.window import SITE_ZONE, Schedule

_LOOKED_AT = 1000
"""Openings that are tried before a schedule counts as one that never opens: a freeze may cover many."""


def closes_at(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """When the window that is open at `now` (seconds since 1970) closes; None where none is open."""
    zone = _zone(schedule, site_zone)
    start = datetime.fromtimestamp(now - schedule.seconds, zone) - timedelta(minutes=1)
    closes = None
    for opening in CronSim(schedule.at, start):
        opened = opening.timestamp()
        if opened > now:
            break
        if now < opened + schedule.seconds:
            closes = opened + schedule.seconds
    return None if closes is None or _is_frozen(schedule, datetime.fromtimestamp(now, zone).date()) else closes


def opens_at(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """When the next window opens that no freeze keeps shut; None where that is never."""
    zone = _zone(schedule, site_zone)
    for opening in islice(CronSim(schedule.at, datetime.fromtimestamp(now, zone)), _LOOKED_AT):
        if not _is_frozen(schedule, opening.date()):
            return opening.timestamp()
    return None


def may_begin(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """Until when what takes `schedule.needed` seconds may begin in the open window; None where it may not."""
    closes = closes_at(schedule, site_zone, now)
    latest = None if closes is None else closes - schedule.needed
    return latest if latest is not None and latest >= now else None


def _zone(schedule: Schedule, site_zone: str) -> ZoneInfo:
    return ZoneInfo(site_zone if schedule.zone == SITE_ZONE else schedule.zone)


def _is_frozen(schedule: Schedule, day: date) -> bool:
    return any(freeze.first <= day.isoformat() <= freeze.last for freeze in schedule.freezes)
