"""Hosts whose Python is not there, is too old, or lives in 1970."""

from tests.hosts.days.day import Day

PYTHON = "/usr/bin/python3"
# A stand-in: what a real Python 3.6 cannot be here, told to ansible's modules as they ask for it.
OLD = """
import sys
from collections import namedtuple
sys.version_info = namedtuple("V", "major minor micro releaselevel serial")(3, 6, 8, "final", 0)
sys.version = "3.6.8 (default)"
"""


def test_a_host_without_python_is_told(day: Day) -> None:
    day.greet()
    real = day.host.run(["readlink", PYTHON]).strip()
    day.host.run(["rm", PYTHON])
    try:
        assert day.fails() == f"it has no {PYTHON}: install python3 there"
        assert day.is_as_before()
    finally:
        day.host.run(["ln", "-s", real, PYTHON])
    day.heals()


def test_a_host_whose_python_is_too_old_is_told_with_both_versions(day: Day) -> None:
    """By a shim: sitecustomize tells every program that it is Python 3.6."""
    (custom,) = day.host.run(["sh", "-c", "readlink -f /usr/lib/python3*/sitecustomize.py | sort -u"]).split()
    kept = day.host.read(custom)
    day.greet()
    day.host.write(custom, kept + OLD)
    try:
        reason = day.fails()
        assert reason.startswith("its Python is 3.6.8")
        assert reason.endswith(" or later is needed: upgrade its system")
        assert day.is_as_before()
    finally:
        day.host.write(custom, kept)
    day.heals()


def test_a_host_whose_clock_stands_in_1970_is_changed_and_told_so(day: Day) -> None:
    """By libfaketime: all that Ansible starts there lives in 1970."""
    day.greet()
    real = day.host.run(["readlink", "-f", PYTHON]).strip()
    link = day.host.run(["readlink", PYTHON]).strip()
    day.host.run(["rm", PYTHON])
    script = f'#!/bin/sh\nexec env FAKETIME="@1970-01-02 00:00:00" faketime "1970-01-02 00:00:00" {real} "$@"\n'
    day.host.run(["sh", "-c", f"cat >{PYTHON} && chmod 755 {PYTHON}"], stdin=script)
    try:
        said = day.checkout.fleet("apply", "--yes", "--json")
        (applied,) = said.events("NodeApplied")
        (warning,) = (one for one in applied["warnings"] if "clock" in one)
        assert warning.startswith("its clock is 20,")
        assert warning.endswith(" days behind")
        doctor = day.checkout.fleet("doctor", "--node", "north-till-001", code=3)
        assert " days behind" in doctor.out
    finally:
        day.host.run(["ln", "-sf", link, PYTHON])
    day.greet()
    day.heals()
