"""Texts with a syntax of their own: addresses, networks, labels, cron, durations, ports, paths."""

from __future__ import annotations

import re

import msgspec
import pytest

from fleet.load.checks.texts import (
    address_fault,
    countries,
    cron_fault,
    date_fault,
    is_within,
    label_fault,
    network_fault,
    path_fault,
    port_fault,
    seconds,
    sysctl_fault,
    time_zones,
    usable,
)
from fleet.model.spec import scalars


@pytest.mark.parametrize("text", ["10.0.0.1", "255.255.255.255", "::1", "fd00:1::11", "::ffff:10.0.0.1"])
def test_addresses(text: str) -> None:
    assert address_fault(text) == ""
    assert msgspec.convert(text, scalars.IpText) == text


@pytest.mark.parametrize(
    "text", ["10.0.0", "10.0.0.256", "10.0.0.01", "fd00::g", "fe80::1%eth0", "1::2::3", "10.0.0.1 "]
)
def test_no_addresses(text: str) -> None:
    assert address_fault(text) == f"expected an IP address, found `{text}`"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/48", "10.1.2.3/32"])
def test_networks(text: str) -> None:
    assert network_fault(text) == ("", "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1/8", "Did you mean `10.0.0.0/8`?"),
        ("fd00::1/64", "Did you mean `fd00::/64`?"),
        ("10.0.0.0/33", ""),
        ("fd00::/129", ""),
        ("10.0.0.256/8", ""),
    ],
)
def test_no_networks(text: str, hint: str) -> None:
    fault, mend = network_fault(text)
    assert fault
    assert mend == hint


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("10.20.1.32/27", 30),
        ("10.20.1.32/30", 2),
        ("10.20.1.32/31", 2),
        ("10.20.1.32/32", 1),
        ("10.0.0.5-10.0.0.5", 1),
        ("10.0.0.250-10.0.1.5", 12),
        ("fd00::/120", 255),
        ("fd00::/127", 2),
        ("fd00::1-fd00::10", 16),
    ],
)
def test_room(text: str, room: int) -> None:
    assert usable(text) == (room, "")


@pytest.mark.parametrize("text", ["10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1/27", "10.0.0.0/40"])
def test_no_room(text: str) -> None:
    room, fault = usable(text)
    assert (room, bool(fault)) == (0, True)


def test_within() -> None:
    assert is_within("10.20.1.1", "10.20.1.0/24")
    assert not is_within("10.20.2.1", "10.20.1.0/24")
    assert is_within("fd00::1", "fd00::/64")
    assert not is_within("10.0.0.1", "::/0")


@pytest.mark.parametrize(
    ("key", "value"),
    [("app", "pos"), ("app", ""), ("acme.example/app", "a_b.c-D"), ("a" * 63, "b" * 63), ("x", None), ("1", "1")],
)
def test_labels(key: str, value: str | None) -> None:
    assert label_fault(key, value) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("-a", "x"),
        ("a b", "x"),
        ("", "x"),
        ("a" * 64, "x"),
        ("A.b/app", "x"),
        ("/a", "x"),
        ("a/b/c", "x"),
        ("a", "eu west"),
        ("a", "b" * 64),
        ("a", "-x"),
        ("a", "x\n"),
        ("a", "é"),
    ],
)
def test_no_labels(key: str, value: str) -> None:
    assert label_fault(key, value)


@pytest.mark.parametrize(
    "text",
    [
        "0 2 * * 1-5", "*/15 * * * *", "0 2,14 1-7 jan-mar SUN", "59 23 31 12 7", "0-30/5 * * * mon,wed",
        "0 2 29 2 *", "0 2 30 2,4 *", "0 2 30,1 feb *", "0 2 31 2/5 *", "0 2 */31 2 *", "0 2 28-30 feb mon",
    ],
)  # fmt: skip
def test_cron(text: str) -> None:
    assert cron_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 2 0 * *", "day"),
        ("0 2 * 13 *", "month"),
        ("0 2 * * 8", "weekday"),
        ("0 2 * * fry", "weekday"),
        ("5-1 * * * *", "before it starts"),
        ("*/0 * * * *", "step"),
        ("1, * * * *", "minute"),
        ("-1 * * * *", "minute"),
        ("0 2 30 2 *", "found day 30 of month `2`"),
        ("0 2 31,30 feb *", "found day 30 of month `feb`"),
        ("0 2 31 apr,6-11/5 *", "found day 31 of month `apr,6-11/5`"),
        ("0 2 30/1 2 mon", "found day 30 of month `2`"),
    ],
)
def test_no_cron(text: str, named: str) -> None:
    assert named in cron_fault(text)


@pytest.mark.parametrize(("text", "total"), [("30s", 30), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("0s", 0)])
def test_durations(text: str, total: float) -> None:
    assert msgspec.convert(text, scalars.Duration) == text
    assert seconds(text) == total


@pytest.mark.parametrize("text", ["30", "1d", "30 s", "-5m", "", "5m\n", "m5"])
def test_no_durations(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, scalars.Duration)


@pytest.mark.parametrize("text", ["tcp/1", "udp/65535", "tcp/5000-5010", "icmp", "sctp/9"])
def test_ports(text: str) -> None:
    assert msgspec.convert(text, scalars.PortRule) == text
    assert port_fault(text) == ""


@pytest.mark.parametrize("text", ["tcp/0", "tcp/65536", "udp/9-5"])
def test_no_ports(text: str) -> None:
    assert port_fault(text)


@pytest.mark.parametrize("text", ["/etc/motd", "files/motd", "a"])
def test_paths(text: str) -> None:
    assert path_fault(text) == ("", "")


@pytest.mark.parametrize(
    "text", ["/etc/../shadow", "../x", "/etc//motd", "/etc/motd/", "./a", "/etc/./motd", "//etc/motd", "a/.."]
)
def test_no_paths(text: str) -> None:
    assert path_fault(text)[0]


def test_other_texts() -> None:
    assert date_fault("2028-02-29") == ""
    assert date_fault("2027-02-29") == "`2027-02-29` is no day of the calendar"
    assert sysctl_fault("net.ipv4.conf.eth0/1.rp_filter") == ""
    assert sysctl_fault("vm swappiness")
    assert {"Europe/Paris", "UTC", "America/Argentina/Buenos_Aires"} <= time_zones()
    assert {"FR", "GB", "DE"} <= countries()
    assert "UK" not in countries()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (scalars.Name, ["a", "lyon-1", "1a", "a" * 63], ["", "A", "a_b", "-a", "a-", "a" * 64, "a\n", "a.b"]),
        (
            scalars.K3sVersion,
            ["v1.35.4+k3s1", "v1.35.4-rc1+k3s1"],
            ["1.35.4+k3s1", "v1.35.4", "v1.35+k3s1", "v1.35.4+k3s1\n"],
        ),
        (scalars.FileMode, ["0644", "644", "4755"], ["644a", "0o644", "888", "44", "00644"]),
        (scalars.Percentage, ["0%", "10%", "99.5%", "100%"], ["10", "101%", "-1%", "1000%", "10 %"]),
        (
            scalars.UnitName,
            ["chrony.service", "getty@tty1.service", "a.timer"],
            ["chrony", ".service.x", "a b.service"],
        ),
        (scalars.MacAddress, ["84:00:50:16:03:42"], ["84-00-50-16-03-42", "84:00:50:16:03", "84:00:50:16:03:4g"]),
        (scalars.Taint, ["gpu=true:NoSchedule", "gpu:NoExecute"], ["gpu=true", "gpu=true:Never", "=x:NoSchedule"]),
        (
            scalars.MirrorUrl,
            ["https://m.example/k3s", "file:mirror", "file:///srv"],
            ["ftp://x", "m.example", "https://a b"],
        ),
        (scalars.Jurisdiction, ["FR", "EU", "EEA"], ["fr", "FRA", "E"]),
        (scalars.RepositoryPath, ["a/b.csv"], ["/a", "", "a\nb"]),
    ],
)
def test_forms(kind: object, good: list[str], bad: list[str]) -> None:
    assert [msgspec.convert(text, kind) for text in good] == good
    for text in bad:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text, kind)


def test_patterns_are_plain_ecma() -> None:
    """What Python and JavaScript read alike: no `\\Z`, no named groups, no inline flags, no possessive quantifiers."""
    found = []
    for value in vars(scalars).values():
        for meta in getattr(value, "__metadata__", ()):
            if getattr(meta, "pattern", None):
                found.append(meta.pattern)
                assert meta.title, "a pattern has words for people"
    assert len(found) > 15
    assert not [pattern for pattern in found if re.search(r"\\[AZz]|\(\?[P<#aiLmsux]|[*+?}]\+", pattern)]
