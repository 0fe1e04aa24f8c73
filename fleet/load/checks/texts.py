"""Texts with a syntax of their own. Each function gives what is wrong, or an empty string; it is asked very often."""

from __future__ import annotations

import calendar
import datetime as dt
import functools
import posixpath
import re
import socket
from pathlib import Path

import tzdata

_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_SYSCTL = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_:*-]+)+\Z")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_CRON: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)


def packed(address: str) -> bytes | None:
    """The address as 4 or 16 bytes; None when it is none. Zone ids and leading zeros are not taken."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return None


def address_fault(text: str) -> str:
    return "" if packed(text) is not None else f"expected an IP address, found `{text}`"


@functools.lru_cache(maxsize=65536)
def network_fault(text: str) -> tuple[str, str]:
    """(what is wrong, hint) of a network in CIDR form."""
    address, _, prefix = text.partition("/")
    number = packed(address)
    bits = 0 if number is None else len(number) * 8
    if number is None or int(prefix) > bits:
        return f"expected a network such as 10.20.1.0/24, found `{text}`", ""
    free = bits - int(prefix)
    value = int.from_bytes(number, "big")
    base = value >> free << free
    if base != value:
        return f"`{text}` has bits set behind its prefix", f"Did you mean `{unpacked(base, bits)}/{prefix}`?"
    return "", ""


def unpacked(value: int, bits: int) -> str:
    family = socket.AF_INET if bits == 32 else socket.AF_INET6
    return socket.inet_ntop(family, value.to_bytes(bits // 8, "big"))


def is_within(address: str, network: str) -> bool:
    """Whether an address lies in a network; both are well-formed."""
    base, _, prefix = network.partition("/")
    left, right = packed(address), packed(base)
    if left is None or right is None or len(left) != len(right):
        return False
    free = len(left) * 8 - int(prefix)
    return int.from_bytes(left, "big") >> free == int.from_bytes(right, "big") >> free


def usable(text: str) -> tuple[int, str]:
    """(how many nodes fit in a network or a range first-last, what is wrong with it)."""
    if "/" in text:
        fault, hint = network_fault(text)
        if fault:
            return 0, f"{fault}. {hint}" if hint else fault
        bits = 128 if ":" in text else 32
        free = bits - int(text.partition("/")[2])
        if free <= 1:
            return 1 << free, ""
        # Neither the network's own address nor the broadcast address; IPv6 has no broadcast.
        return (1 << free) - (2 if bits == 32 else 1), ""
    first, _, last = text.partition("-")
    low, high = packed(first), packed(last)
    if low is None or high is None or len(low) != len(high):
        return 0, f"expected a range of addresses of one family, found `{text}`"
    if low > high:
        return 0, f"`{text}` ends before it starts"
    return int.from_bytes(high, "big") - int.from_bytes(low, "big") + 1, ""


@functools.lru_cache(maxsize=65536)
def label_fault(key: str, value: str | None) -> str:
    """What Kubernetes would refuse in a label (its docs, "Labels and Selectors": Syntax and character set)."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.match(prefix)):
        return f"the label's prefix `{prefix}` is no DNS subdomain"
    if len(name) > 63 or not _LABEL.match(name):
        return (
            "a label's name is at most 63 letters, digits, `-`, `_` and `.`, and starts and ends with a letter or digit"
        )
    if value and (len(value) > 63 or not _LABEL.match(value)):
        return (
            f"Kubernetes refuses the value `{value[:80]}`: it is at most 63 letters, digits, `-`, `_` and `.`, "
            "and starts and ends with a letter or digit"
        )
    return ""


@functools.cache
def time_zones() -> frozenset[str]:
    """The names of the IANA database (package tzdata)."""
    text = (_tzdata() / "zones").read_text("utf-8")
    return frozenset(text.split())


@functools.cache
def countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2 (iso3166.tab of the IANA database)."""
    text = (_tzdata() / "zoneinfo" / "iso3166.tab").read_text("utf-8")
    return frozenset(line.split("\t", 1)[0] for line in text.splitlines() if not line.startswith("#"))


def _tzdata() -> Path:
    """The package's folder. importlib.resources would load tempfile and zipfile for every spec that is read."""
    return Path(tzdata.__file__).parent


def seconds(duration: str) -> float:
    """A Go-style duration whose form the types checked, in seconds."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def date_fault(text: str) -> str:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return f"`{text}` is no day of the calendar"
    return ""


def cron_fault(text: str) -> str:
    """Five fields: `*`, numbers, names of months and weekdays, ranges, steps and lists of those."""
    for (name, low, high, words), part in zip(_CRON, text.split(), strict=True):
        for item in part.split(","):
            span, slash, step = item.partition("/")
            if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
                return f"expected a step above 0 in the {name} `{part}`, found `{step}`"
            fault = "" if span == "*" else _span_fault(span, low, high, words)
            if fault:
                return f"expected {name}s from {low} to {high}, found `{part}`{fault}"
    return _calendar_fault(*text.split()[2:4])


def _calendar_fault(days: str, months: str) -> str:
    """A day that none of the months has, even in a leap year."""
    first = min(_cron_values(days, *_CRON[2][1:]))
    longest = max(calendar.monthrange(2024, month)[1] for month in _cron_values(months, *_CRON[3][1:]))
    return f"expected a day of the calendar, found day {first} of month `{months}`" if first > longest else ""


def _cron_values(part: str, low: int, high: int, words: dict[str, int]) -> set[int]:
    """What a field whose form was checked stands for. A step behind a single number goes on to the end."""
    found: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else words.get(first.lower()) or int(first)
        end = high if first == "*" or (step and not last) else words.get(last.lower()) or int(last or begin)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _span_fault(span: str, low: int, high: int, words: dict[str, int]) -> str:
    first, dash, last = span.partition("-")
    ends = [
        words.get(end.lower(), int(end) if end.isascii() and end.isdigit() else -1)
        for end in ((first, last) if dash else (first,))
    ]
    if not all(low <= end <= high for end in ends):
        return " "
    return ", which ends before it starts" if ends[0] > ends[-1] else ""


def port_fault(text: str) -> str:
    """Of tcp/8443 or udp/5000-5010: ports from 1 to 65535, in order."""
    if "/" not in text:
        return ""
    ports = [int(each) for each in text.partition("/")[2].split("-")]
    if not all(1 <= each <= 65535 for each in ports):
        return f"expected ports from 1 to 65535, found `{text}`"
    return f"`{text}` ends before it starts" if ports[0] > ports[-1] else ""


def sysctl_fault(text: str) -> str:
    return "" if _SYSCTL.match(text) else f"expected a kernel parameter such as vm.swappiness, found `{text[:60]}`"


def path_fault(text: str) -> tuple[str, str]:
    """(what is wrong, hint) of a path that shall be in its normal form, absolute or not."""
    if ".." in text.split("/"):
        return f"`{text[:80]}` leads upwards", "Write where the file really stands, without `..`."
    normal = posixpath.normpath(text)
    normal = normal[1:] if normal.startswith("//") else normal
    return (
        ("", "") if normal == text else (f"`{text[:80]}` is not in its shortest form", f"Did you mean `{normal[:80]}`?")
    )
