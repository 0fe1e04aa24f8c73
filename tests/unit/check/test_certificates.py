"""certificate-horizon: what K3s signed runs out before anything restarts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fleet.check import certificate_horizon
from fleet.check.picture import Picture
from fleet.model.change import Change
from fleet.model.verdict import Verdict
from tests.unit.check.fleets import NODE_PLACE, changed, cluster, given, node

NOW = datetime(2026, 11, 29, tzinfo=UTC)
RESTART = Change("file", "edit", "/etc/rancher/k3s/config.yaml", "x", "y", ("k3s.service",))
QUIET = Change("file", "edit", "/etc/motd", "x", "y")


def day(days: int) -> str:
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def judged(
    told: dict[str, tuple[str, str]], *changes: tuple[str, Change], at: float = NOW.timestamp()
) -> list[Verdict]:
    """Servers a and b and agent c, what each told of its leaves and CAs, and what changes."""
    nodes = {name: node(name, "agent" if name == "c" else "server") for name in "abc"}
    picture = given(
        *nodes.values(),
        clusters=[cluster("ab", "c")],
        records="abc",
        changes=[changed(nodes[name], change) for name, change in changes],
    )
    records = {
        name: replace(record, learned={"k3s_leaf_end": told[name][0], "k3s_ca_end": told[name][1]})
        for name, record in picture.records.items()
        if name in told
    }
    return list(certificate_horizon.judge(Picture(replace(picture, records=records, at=at))))


FAR = day(3000)


def test_leaves_that_run_out_are_one_warning_with_the_first_of_them():
    assert judged({"a": (day(30), FAR), "b": (day(121), FAR), "c": (day(90), FAR)}) == [
        Verdict(
            "certificate-horizon",
            "warning",
            "a",
            "certificates of K3s run out on 2026-12-29, and those of 1 more node by and by, and nothing in this plan "
            "restarts K3s there",
            "K3s makes them anew when it starts within 120 days of their end: restart it, one server at a time. "
            "`fleet status --certificates` lists them.",
            NODE_PLACE,
        )
    ]


def test_a_plan_that_restarts_k3s_renews_them():
    told = {"a": (day(30), FAR)}
    assert judged(told, ("a", RESTART)) == []
    assert [verdict.subject for verdict in judged(told, ("a", QUIET))] == ["a"]
    assert [verdict.subject for verdict in judged(told, ("b", RESTART))] == ["a"]
    other = Change("file", "edit", "/etc/chrony.conf", "x", "y", ("chrony.service",))
    assert [verdict.subject for verdict in judged(told, ("a", other))] == ["a"], "another unit renews nothing"


@pytest.mark.parametrize(("days", "count"), [(-1, 1), (0, 1), (120, 1), (121, 0)])
def test_within_120_days_and_when_it_is_over(days: int, count: int):
    assert len(judged({"a": (day(days), FAR)})) == count


@pytest.mark.parametrize(("days", "count"), [(365, 1), (366, 0)])
def test_a_ca_within_a_year_of_its_end_once_for_a_cluster(days: int, count: int):
    found = judged({"a": (FAR, day(days)), "b": (FAR, day(days + 1)), "c": (FAR, day(days))}, ("a", RESTART))
    assert [(verdict.outcome, verdict.subject) for verdict in found] == [("warning", "lyon-1")] * count
    if found:
        assert found[0].message.startswith(f"a CA of the cluster ends on {day(days)[:10]}, ")
        assert "rotate-ca" in found[0].hint


def test_nothing_is_said_of_what_nobody_told_and_without_a_clock():
    assert judged({}) == judged({"a": ("", "")}) == judged({"a": ("soon", "never")}) == []
    assert judged({"a": (day(1), day(1))}, at=0.0) == []
