"""Windows: cron by the wall clock of a zone, also where that clock is put forward or back.

The moments are worked out by hand, from Debian's cron(8) and from when clocks change (UTC):

- Europe/Dublin: 2026-03-29 01:00Z, 01:00 becomes 02:00; 2026-10-25 01:00Z, 02:00 becomes 01:00.
- Australia/Lord_Howe, half an hour only: 2026-10-03 15:30Z, 02:00 becomes 02:30; 2026-04-04 15:00Z, 02:00 becomes 01:30.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fleet.decide.windows import closes_at, may_begin, opens_at
from fleet.model.window import Freeze, Schedule

HOUR = 3600.0
DUBLIN = "Europe/Dublin"
LORD_HOWE = "Australia/Lord_Howe"
UTC_ZONE = "Etc/UTC"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def told(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def openings(schedule: Schedule, zone: str, after: str, until: str) -> list[str]:
    """Every opening between two moments, each asked for from the one before."""
    found = []
    now: float | None = at(after)
    while (now := opens_at(schedule, zone, now)) is not None and now <= at(until):
        found.append(told(now).removesuffix(":00Z"))
    return found


def open_spans(schedule: Schedule, zone: str, after: str, minutes: int, step: int = 1) -> list[tuple[str, str]]:
    """From when to when a window is open, looked at minute by minute."""
    start, spans, begun = at(after), [], ""
    for minute in range(0, minutes, step):
        moment = start + 60 * minute
        is_open = closes_at(schedule, zone, moment) is not None
        if is_open and not begun:
            begun = told(moment)
        elif begun and not is_open:
            spans.append((begun, told(moment)))
            begun = ""
    return spans


@pytest.mark.parametrize(
    ("zone", "cron", "after", "until", "wanted"),
    [
        (  # 01:30 of 29 March does not exist: it opens when the hour that is left out would have begun
            DUBLIN, "30 1 * * *", "2026-03-27T12:00Z", "2026-03-30T12:00Z",
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        (  # 01:30 of 25 October comes at 00:30Z and at 01:30Z: the first one counts
            DUBLIN, "30 1 * * *", "2026-10-23T12:00Z", "2026-10-26T12:00Z",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        (  # two openings in the hour that is left out are one
            DUBLIN, "15,45 1 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z",
            ["2026-03-29T01:00", "2026-03-30T00:15", "2026-03-30T00:45"],
        ),
        (  # two openings in the hour that comes twice are two, not four
            DUBLIN, "15,45 1 * * *", "2026-10-24T12:00Z", "2026-10-25T12:00Z",
            ["2026-10-25T00:15", "2026-10-25T00:45"],
        ),
        (  # on either side of the change nothing is lost and nothing doubled
            DUBLIN, "30 0,2 * * *", "2026-03-28T22:00Z", "2026-03-29T12:00Z", ["2026-03-29T00:30", "2026-03-29T01:30"],
        ),
        (
            DUBLIN, "30 0,2 * * *", "2026-10-24T22:00Z", "2026-10-25T12:00Z", ["2026-10-24T23:30", "2026-10-25T02:30"],
        ),
        (  # every hour is every hour, also in the one that comes twice
            DUBLIN, "30 * * * *", "2026-10-24T23:00Z", "2026-10-25T03:00Z",
            ["2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"],
        ),
        (
            DUBLIN, "30 * * * *", "2026-03-29T00:00Z", "2026-03-29T03:00Z",
            ["2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"],
        ),
        (  # 02:15 of 4 October does not exist: 02:30 in Lord Howe, eleven hours ahead
            LORD_HOWE, "15 2 * * *", "2026-10-02T00:00Z", "2026-10-05T00:00Z",
            ["2026-10-02T15:45", "2026-10-03T15:30", "2026-10-04T15:15"],
        ),
        (  # 01:45 of 5 April comes at 14:45Z and at 15:15Z
            LORD_HOWE, "45 1 * * *", "2026-04-03T00:00Z", "2026-04-06T00:00Z",
            ["2026-04-03T14:45", "2026-04-04T14:45", "2026-04-05T15:15"],
        ),
        (  # nobody puts a clock there
            UTC_ZONE, "30 1 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z", ["2026-03-29T01:30", "2026-03-30T01:30"],
        ),
    ],
)  # fmt: skip
def test_openings_where_clocks_change(zone: str, cron: str, after: str, until: str, wanted: list[str]) -> None:
    assert openings(Schedule(cron, HOUR), zone, after, until) == wanted


@pytest.mark.parametrize(
    ("zone", "cron", "now", "wanted"),
    [
        # Between the two 01:30 of one night, and in the second hour: the first one is over, and comes no second time.
        (DUBLIN, "30 1 * * *", "2026-10-25T00:30Z", "2026-10-26T01:30:00Z"),
        (DUBLIN, "30 1 * * *", "2026-10-25T00:59Z", "2026-10-26T01:30:00Z"),
        (DUBLIN, "30 1 * * *", "2026-10-25T01:00Z", "2026-10-26T01:30:00Z"),
        (DUBLIN, "30 1 * * *", "2026-10-25T01:29:59Z", "2026-10-26T01:30:00Z"),
        (LORD_HOWE, "45 1 * * *", "2026-04-04T15:05Z", "2026-04-05T15:15:00Z"),
        # The second before, and the very moment.
        (DUBLIN, "30 1 * * *", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"),
        (DUBLIN, "30 1 * * *", "2026-03-29T01:00Z", "2026-03-30T00:30:00Z"),
    ],
)
def test_the_next_opening_lies_ahead(zone: str, cron: str, now: str, wanted: str) -> None:
    assert told(opens_at(Schedule(cron, HOUR), zone, at(now))) == wanted


@pytest.mark.parametrize(
    ("cron", "hours", "after", "wanted"),
    [
        ("30 1 * * *", 1, "2026-03-29T00:00Z", ("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")),
        ("30 1 * * *", 1, "2026-10-25T00:00Z", ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")),
        # By a stopwatch: 00:00 to 03:00 by the clock would be two hours in March and four in October.
        ("0 0 * * *", 3, "2026-03-28T20:00Z", ("2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z")),
        ("0 0 * * *", 3, "2026-10-24T20:00Z", ("2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z")),
    ],
)
def test_a_window_is_open_once_a_night_and_by_a_stopwatch(
    cron: str, hours: int, after: str, wanted: tuple[str, str]
) -> None:
    assert open_spans(Schedule(cron, hours * HOUR), DUBLIN, after, minutes=10 * 60) == [wanted]


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2026-06-10T01:59:59Z", "never"),
        ("2026-06-10T02:00:00Z", "2026-06-10T05:00:00Z"),
        ("2026-06-10T02:00:01Z", "2026-06-10T05:00:00Z"),
        ("2026-06-10T03:30:30Z", "2026-06-10T05:00:00Z"),
        ("2026-06-10T04:59:59Z", "2026-06-10T05:00:00Z"),
        ("2026-06-10T05:00:00Z", "never"),
        ("2026-06-13T03:00:00Z", "never"),
    ],
)
def test_open_from_its_first_second_to_the_last_one_before_it_closes(now: str, wanted: str) -> None:
    assert told(closes_at(Schedule("0 2 * * 1-5", 3 * HOUR), UTC_ZONE, at(now))) == wanted


@pytest.mark.parametrize(
    ("cron", "hours", "now", "wanted"),
    [
        # Each hour for an hour and a half: the newest opening says when it closes.
        ("0 * * * *", 1.5, "2026-06-10T10:00Z", "2026-06-10T11:30:00Z"),
        ("0 * * * *", 1.5, "2026-06-10T10:59Z", "2026-06-10T11:30:00Z"),
        ("0 * * * *", 1.5, "2026-06-10T11:00Z", "2026-06-10T12:30:00Z"),
        # Each Monday for all of a week.
        ("0 0 * * 1", 168, "2026-06-14T23:59Z", "2026-06-15T00:00:00Z"),
        ("0 0 * * 1", 168, "2026-06-15T00:00Z", "2026-06-22T00:00:00Z"),
        # Two that touch each other.
        ("0 2,5 * * *", 3, "2026-06-10T04:59Z", "2026-06-10T05:00:00Z"),
        ("0 2,5 * * *", 3, "2026-06-10T05:00Z", "2026-06-10T08:00:00Z"),
    ],
)
def test_windows_longer_than_the_time_between_them(cron: str, hours: float, now: str, wanted: str) -> None:
    assert told(closes_at(Schedule(cron, hours * HOUR), UTC_ZONE, at(now))) == wanted


CHRISTMAS = (Freeze("2026-12-15", "2027-01-05", "Christmas"),)


def frozen(cron: str, hours: float, zone: str = DUBLIN, freezes: tuple[Freeze, ...] = CHRISTMAS) -> Schedule:
    return Schedule(cron, hours * HOUR, zone, freezes=freezes)


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2026-12-14T02:30Z", "2026-12-14T05:00:00Z"),
        ("2026-12-15T02:30Z", "never"),
        ("2026-12-28T02:30Z", "never"),
        ("2027-01-05T02:30Z", "never"),
        ("2027-01-06T02:30Z", "2027-01-06T05:00:00Z"),
    ],
)
def test_a_freeze_keeps_windows_shut_on_its_first_and_its_last_day(now: str, wanted: str) -> None:
    assert told(closes_at(frozen("0 2 * * *", 3), UTC_ZONE, at(now))) == wanted


@pytest.mark.parametrize(
    ("zone", "now", "wanted"),
    [
        # 15 December begins in Auckland at 11:00Z of the 14th, in Honolulu at 10:00Z of the 15th.
        ("Pacific/Auckland", "2026-12-14T10:59Z", "2026-12-14T11:00:00Z"),
        ("Pacific/Auckland", "2026-12-14T11:00Z", "never"),
        ("Pacific/Honolulu", "2026-12-15T09:59Z", "2026-12-15T10:00:00Z"),
        ("Pacific/Honolulu", "2026-12-15T10:00Z", "never"),
        # 6 January begins there at 11:00Z of the 5th, and at 10:00Z of the 6th.
        ("Pacific/Auckland", "2027-01-05T10:59Z", "never"),
        ("Pacific/Auckland", "2027-01-05T11:00Z", "2027-01-05T13:00:00Z"),
        ("Pacific/Honolulu", "2027-01-06T09:59Z", "never"),
        ("Pacific/Honolulu", "2027-01-06T10:00Z", "2027-01-06T12:00:00Z"),
    ],
)
def test_days_of_a_freeze_are_days_of_the_schedules_zone(zone: str, now: str, wanted: str) -> None:
    assert told(closes_at(frozen("0 * * * *", 2, zone), UTC_ZONE, at(now))) == wanted


def test_a_window_closes_where_a_freeze_begins() -> None:
    schedule = Schedule("0 22 * * *", 6 * HOUR, needed=1800.0, freezes=CHRISTMAS)
    assert told(closes_at(schedule, UTC_ZONE, at("2026-12-14T22:30Z"))) == "2026-12-15T00:00:00Z"
    assert told(may_begin(schedule, UTC_ZONE, at("2026-12-14T22:30Z"))) == "2026-12-14T23:30:00Z"
    assert may_begin(schedule, UTC_ZONE, at("2026-12-14T23:45Z")) is None
    assert told(closes_at(schedule, UTC_ZONE, at("2026-12-13T22:30Z"))) == "2026-12-14T04:00:00Z"


@pytest.mark.parametrize(
    ("schedule", "now", "wanted"),
    [
        (frozen("0 2 * * *", 3), "2026-12-14T03:00Z", "2027-01-06T02:00:00Z"),
        (frozen("0 2 * * *", 3), "2026-12-20T12:00Z", "2027-01-06T02:00:00Z"),
        (frozen("0 2 * * *", 3), "2026-12-13T12:00Z", "2026-12-14T02:00:00Z"),
        # Every minute: a freeze covers many openings.
        (frozen("* * * * *", 1), "2026-12-16T12:00Z", "2027-01-06T00:00:00Z"),
        # Opened at 22:00 on the last frozen day for six hours: at midnight it goes on.
        (frozen("0 22 * * *", 6), "2026-12-20T12:00Z", "2027-01-06T00:00:00Z"),
        (frozen("0 22 * * *", 2), "2026-12-20T12:00Z", "2027-01-06T22:00:00Z"),
        # Freezes that touch, overlap, or come again before anything opens.
        (
            frozen("0 2 * * *", 3, freezes=(Freeze("2026-12-24", "2026-12-26"), Freeze("2026-12-27", "2026-12-28"))),
            "2026-12-24T12:00Z", "2026-12-29T02:00:00Z",
        ),
        (
            frozen("0 2 * * *", 3, freezes=(Freeze("2026-12-20", "2027-01-10"), Freeze("2026-12-24", "2026-12-26"))),
            "2026-12-25T12:00Z", "2027-01-11T02:00:00Z",
        ),
        (
            frozen("0 2 1 * *", 3, freezes=(Freeze("2026-12-01", "2026-12-02"), Freeze("2027-01-01", "2027-01-01"))),
            "2026-11-20T12:00Z", "2027-02-01T02:00:00Z",
        ),
        (frozen("0 2 * * *", 3, freezes=(Freeze("2026-12-15", "9999-12-31"),)), "2026-12-20T12:00Z", "never"),
    ],
)  # fmt: skip
def test_the_next_window_is_one_that_no_freeze_keeps_shut(schedule: Schedule, now: str, wanted: str) -> None:
    assert told(opens_at(schedule, UTC_ZONE, at(now))) == wanted


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2026-06-10T01:59:59Z", "never"),
        ("2026-06-10T02:00Z", "2026-06-10T04:15:00Z"),
        ("2026-06-10T04:15Z", "2026-06-10T04:15:00Z"),
        ("2026-06-10T04:15:01Z", "never"),
        ("2026-06-10T05:00Z", "never"),
    ],
)
def test_what_cannot_end_inside_the_window_does_not_begin(now: str, wanted: str) -> None:
    schedule = Schedule("0 2 * * *", 3 * HOUR, needed=45 * 60.0)
    assert told(may_begin(schedule, UTC_ZONE, at(now))) == wanted


def test_what_takes_longer_than_the_window_never_begins() -> None:
    schedule = Schedule("0 2 * * *", 20 * 60.0, needed=30 * 60.0)
    assert told(closes_at(schedule, UTC_ZONE, at("2026-06-10T02:00Z"))) == "2026-06-10T02:20:00Z"
    assert may_begin(schedule, UTC_ZONE, at("2026-06-10T02:00Z")) is None


def test_each_site_by_its_own_clock_unless_the_schedule_names_a_zone() -> None:
    own = Schedule("0 2 * * *", 3 * HOUR)
    named = Schedule("0 2 * * *", 3 * HOUR, zone="America/New_York")
    noon = at("2026-06-10T12:00Z")
    assert told(opens_at(own, "Europe/Paris", noon)) == "2026-06-11T00:00:00Z"
    assert told(opens_at(own, "Asia/Kathmandu", noon)) == "2026-06-10T20:15:00Z"
    assert told(opens_at(named, "Europe/Paris", noon)) == "2026-06-11T06:00:00Z"
    assert closes_at(own, "Europe/Paris", at("2026-06-11T01:00Z")) == at("2026-06-11T03:00Z")
    assert closes_at(named, "Europe/Paris", at("2026-06-11T01:00Z")) is None
    assert may_begin(own, "Asia/Kathmandu", at("2026-06-10T20:15Z")) == at("2026-06-10T22:45Z")


@pytest.mark.parametrize("cron", ["0 2 30 2 *", "0 2 31 4,6 *", "0 2 30 feb mon"])
def test_a_day_that_never_comes_opens_nothing(cron: str) -> None:
    schedule = Schedule(cron, HOUR)
    assert opens_at(schedule, DUBLIN, at("2026-01-01T00:00Z")) is None
    assert closes_at(schedule, DUBLIN, at("2026-03-01T02:30Z")) is None
    assert may_begin(schedule, DUBLIN, at("2026-03-01T02:30Z")) is None


def test_a_leap_day_is_waited_for() -> None:
    assert told(opens_at(Schedule("0 2 29 2 *", HOUR), DUBLIN, at("2026-03-01T00:00Z"))) == "2028-02-29T02:00:00Z"
