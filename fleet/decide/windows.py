"""Whether a window is open, until when, and when the next one opens. Time comes in as a value.

Cron in a zone where clocks change is as Debian's cron does it: what falls into the hour that is left out runs when that
hour would have begun, what falls into the hour that comes twice runs once. A window lasts as long as it says by a
stopwatch, whatever the clock does meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from fleet.model.window import SITE_ZONE, Freeze, Schedule


class Span(msgspec.Struct, frozen=True):
    """A time in which a window lets things begin, or does not: up to `end`, which belongs to it where it is open. Seconds
    since 1970; for ever is infinite.
    """

    start: float
    end: float
    is_open: bool


def span(schedule: Schedule, site_zone: str, now: float) -> Span:
    """What is so at `now`, and since when at the latest. Looked up where the last answer still holds: cron is slow."""
    known = _known(schedule, site_zone)
    if not (known and known[0].start <= now and (now < known[0].end or (known[0].is_open and now == known[0].end))):
        known[:] = [_span(schedule, site_zone, now)]
    return known[0]


@lru_cache(maxsize=1024)
def _known(schedule: Schedule, site_zone: str) -> list[Span]:  # noqa: ARG001 - what the answer is of
    return []


def _span(schedule: Schedule, site_zone: str, now: float) -> Span:
    latest = may_begin(schedule, site_zone, now)
    if latest is not None:
        return Span(now, latest, is_open=True)
    opens = opens_at(schedule, site_zone, now)
    return Span(now, math.inf if opens is None else opens, is_open=False)


def freeze_at(schedule: Schedule, site_zone: str, now: float) -> Freeze | None:
    """The freeze that a moment falls into."""
    day = _day(now, _zone(schedule, site_zone)).isoformat()
    return next((freeze for freeze in schedule.freezes if freeze.first <= day <= freeze.last), None)


def closes_at(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """When the window that is open at `now` (seconds since 1970) closes; None where none is open.

    It also closes where a freeze begins.
    """
    zone = _zone(schedule, site_zone)
    opened = None if schedule.at else -math.inf
    for opening in _openings(schedule, zone, now - schedule.seconds):
        if opening.timestamp() > now:
            break
        opened = opening.timestamp()
    if opened is None or _is_frozen(schedule, _day(now, zone)):
        return None
    begins = [_midnight(date.fromisoformat(freeze.first), zone) for freeze in schedule.freezes]
    closes = opened + schedule.seconds if schedule.at else math.inf
    return min([closes, *(moment for moment in begins if moment > now)])


def opens_at(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """When the next window opens, or one goes on that a freeze had shut; None where that is never."""
    zone = _zone(schedule, site_zone)
    while True:
        if _is_frozen(schedule, _day(now, zone)):
            thaw = _thaw(schedule, _day(now, zone), zone)
            if thaw is None or closes_at(schedule, site_zone, thaw) is not None:
                return thaw
            now = thaw
        opening = next(_openings(schedule, zone, now), None)
        if opening is None or not _is_frozen(schedule, opening.date()):
            return None if opening is None else opening.timestamp()
        now = opening.timestamp()


def may_begin(schedule: Schedule, site_zone: str, now: float) -> float | None:
    """Until when what takes `schedule.needed` seconds may begin in the open window; None where it may not."""
    closes = closes_at(schedule, site_zone, now)
    latest = None if closes is None else closes - schedule.needed
    return latest if latest is not None and latest >= now else None


def _zone(schedule: Schedule, site_zone: str) -> ZoneInfo:
    return ZoneInfo(site_zone if schedule.zone == SITE_ZONE else schedule.zone)


def _openings(schedule: Schedule, zone: ZoneInfo, after: float) -> Iterator[datetime]:
    """Openings behind a moment, in their order. Cron by the clock on the wall would also tell, in the second of two equal
    hours, those that came in the first one. None come on 30 February.
    """
    if not schedule.at:
        return
    try:
        cron = CronSim(schedule.at, datetime.fromtimestamp(after, zone))
    except CronSimError:
        return
    for opening in cron:
        if opening.timestamp() > after:
            yield opening


def _day(now: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(now, zone).date()


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()


def _is_frozen(schedule: Schedule, day: date) -> bool:
    return any(freeze.first <= day.isoformat() <= freeze.last for freeze in schedule.freezes)


def _thaw(schedule: Schedule, day: date, zone: ZoneInfo) -> float | None:
    """When the first day begins behind `day` that is not frozen; None where the calendar has no such day."""
    while _is_frozen(schedule, day):
        last = max(freeze.last for freeze in schedule.freezes if freeze.first <= day.isoformat())
        if date.fromisoformat(last) == date.max:
            return None
        day = date.fromisoformat(last) + timedelta(days=1)
    return _midnight(day, zone)
