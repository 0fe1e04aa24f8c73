"""Quantities as they are typed: percentages, durations, moments, hours of the day. What is wrong is a usage error."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import click

_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%?")
_HOURS = re.compile(r"(\d{1,2})-(\d{1,2})")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_YEAR = 366 * 86400.0


class Percent(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """`2%`, `0.5%`, `2`: a number from 0 to 100."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _PERCENT.fullmatch(str(value).strip())
        if found is None or float(found[1]) > 100:
            self.fail(f"expected a percentage from 0% to 100%, found `{value}`", param, ctx)
        return float(found[1])


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """`90s`, `1m30s`, `2h`: seconds, of a year at most."""

    name = "duration"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if not _DURATION.fullmatch(text):
            self.fail(f"expected a duration such as `90s`, `1m30s` or `2h`, found `{value}`", param, ctx)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        if not self._least <= seconds <= _YEAR:
            self.fail(f"expected {self._least:g} s to 366 days, found `{value}`", param, ctx)
        return seconds


class Factor(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """`1.5`: a finite number of at least 1."""

    name = "factor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 1 <= number <= 100:
            self.fail(f"expected a number from 1 to 100, found `{value}`", param, ctx)
        return number


class When(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """`now`, or `2026-12-01T02:00` (UTC, unless it says otherwise): seconds since 1970."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if value == "now":
            return float(int(datetime.now(UTC).timestamp()))
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected `now` or a time such as `2026-12-01T02:00`, found `{value}`", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not 1971 <= moment.year <= 2200:
            self.fail(f"expected a year from 1971 to 2200, found `{value}`", param, ctx)
        return moment.timestamp()


class Hours(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click alone
    """`22-6`: from one full hour of the day to another one."""

    name = "hours"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = _HOURS.fullmatch(str(value).strip())
        first, last = (int(found[1]), int(found[2])) if found else (24, 24)
        if first > 23 or last > 24 or first == last:
            self.fail(f"expected two hours of the day such as `22-6`, found `{value}`", param, ctx)
        return first, last % 24
