"""`fleet status --certificates`: what nodes told, from the records alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.adapters.sqlite import Database, SqliteRecords
from fleet.model.record import Record
from tests.cli.running import run

FAR = "2060-01-01T00:00:00Z"


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(name: str, leaf: str, ca: str) -> Record:
    return Record(name, "shop", "m", "b1:aa", learned={"k3s_leaf_end": leaf, "k3s_ca_end": ca})


def keep(shop: Path, *records: Record) -> None:
    database = Database(shop / "nodes" / ".fleet")
    SqliteRecords(database).save(records)
    database.close()


def test_what_runs_out_comes_first(shop: Path) -> None:
    soon, late, gone = day(119), day(121), day(-3)
    keep(
        shop,
        told("till-1", soon, FAR),
        told("till-2", late, FAR),
        told("till-3", gone, FAR),
        told("server", late, day(364)),
        Record("plain", "shop", "m", "b1:aa"),
    )
    ran = run("status", "--certificates", "--sandbox", "nodes", cwd=shop)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == (
        "4 nodes told of certificates of K3s: on 2 a leaf ends within 120 days, on 1 a CA within a year"
    )
    assert [line.split() for line in lines[2:6]] == [
        ["NODE", "LEAF", "ENDS", "CA", "ENDS"],
        ["till-3", gone[:10], "!", FAR[:10]],
        ["till-1", soon[:10], "!", FAR[:10]],
        ["server", late[:10], day(364)[:10], "!"],
    ]
    assert "1 node told of none: no K3s, or not asked since (fleet plan --refresh)" in lines
    assert lines[-2:] == [
        "a leaf is made anew when K3s starts within 120 days of its end: restart it, a server at a time",
        "no restart renews a CA: `k3s certificate rotate-ca` on a server does",
    ]
    found = json.loads(run("status", "--certificates", "--json", "--sandbox", "nodes", cwd=shop).out)
    assert [row["node"] for row in found["rows"]] == ["till-3", "till-1", "server"]
    assert (found["told"], found["silent"], found["first_leaf"]) == (4, 1, gone)


def test_thousands_are_not_thousands_of_lines(shop: Path) -> None:
    keep(shop, *(told(f"till-{n:04d}", day(5), FAR) for n in range(2000)))
    lines = run("status", "--certificates", "--sandbox", "nodes", cwd=shop).out.splitlines()
    assert len(lines) < 30
    assert "and 1,980 more: --json shows all" in lines


@pytest.mark.parametrize(
    ("records", "line"),
    [
        ([], "no node has told of certificates of K3s"),
        ([told("a", FAR, "2059-01-01T00:00:00Z")], "the first leaf ends on 2060-01-01, the first CA on 2059-01-01"),
    ],
)
def test_nothing_runs_out(shop: Path, records: list[Record], line: str) -> None:
    keep(shop, *records)
    assert line in run("status", "--certificates", "--sandbox", "nodes", cwd=shop).out.splitlines()
