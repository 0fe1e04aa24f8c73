"""`--policy`: another RolloutPolicy of the spec, for one plan and its rollout."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.detaching import gone, rollout, row, until
from tests.cli.running import Ran, run

POLICIES = """\
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves: [{name: all-at-once}]
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  waves:
    - {name: first, limit: 1}
    - {name: second, limit: 1}
  maxFailures: 1
"""
BOX = ("--sandbox", "nodes")


@pytest.fixture
def ruled(shop: Path) -> Path:
    """The shop, under the policy `standard`."""
    path = shop / "fleet.yaml"
    text = path.read_text().replace("  profiles: [base]\n", "  profiles: [base]\n  rolloutPolicy: standard\n")
    path.write_text(text + POLICIES)
    return shop


def waves(ran: Ran) -> list[str]:
    return [line for line in ran.out.splitlines() if line.startswith(("Policy", "Waves"))]


def events(ran: Ran) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def followed(told: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The policy of a rollout, and its waves."""
    (policy,) = [event["policy"] for event in told if event["event"] == "PolicyFollowed"]
    return policy, [event["wave"] for event in told if event["event"] == "WaveStarted"]


def test_a_plan_shows_the_policy_that_was_asked_for_and_its_waves(ruled: Path):
    own = run("plan", *BOX, cwd=ruled)
    other = run("plan", *BOX, "--policy", "careful", cwd=ruled)

    assert (own.code, other.code) == (3, 3)
    assert waves(own) == ["Waves    all-at-once 3 nodes, servers before agents"]
    assert waves(other) == [
        "Policy   careful, for this plan alone",
        "Waves    first 1 node, second 1, everyone 1, servers before agents",
    ]


def times(ran: Ran) -> list[str]:
    return [line for line in ran.out.splitlines() if line.startswith("Time")]


def test_a_plan_says_how_long_it_takes_and_how_that_is_known(ruled: Path):
    assumed = run("plan", *BOX, "--policy", "careful", "--forks", "7", cwd=ruled)
    assert times(assumed) == ["Time     about 6 min: 7 nodes at once, 2 min a batch (assumed)"]

    assert run("apply", *BOX, "--site", "lyon", cwd=ruled).code == 0
    known = run("plan", *BOX, cwd=ruled)
    (time,) = times(known)
    assert re.fullmatch(r"Time     about \d+ s: 20 nodes at once, \d+ s a batch \(as the last one\)", time)
    report = json.loads(run("plan", *BOX, "--json", cwd=ruled).out)["forecast"]
    assert 1 <= report["seconds"] == report["batch_seconds"] < 60
    assert (report["measured"], report["forks"], report["windows"], report["approvals"]) == (1, 20, 0, 0)
    assert time == f"Time     about {round(report['seconds'])} s: 20 nodes at once, " + time.partition("at once, ")[2]


def test_a_plan_says_of_nodes_that_can_never_begin(ruled: Path):
    (ruled / "fleet.yaml").write_text((ruled / "fleet.yaml").read_text() + FROZEN)
    ran = run("plan", *BOX, "--policy", "frozen", cwd=ruled)
    assert times(ran) == ["Time     none of 3 nodes can begin"]


def test_without_a_policy_a_plan_says_nothing_of_time(shop: Path):
    assert times(run("plan", *BOX, cwd=shop)) == []
    assert json.loads(run("plan", *BOX, "--json", cwd=shop).out)["forecast"] is None


def test_a_plan_as_json_names_it(ruled: Path):
    own = json.loads(run("plan", *BOX, "--json", cwd=ruled).out)
    other = json.loads(run("plan", *BOX, "--json", "--policy", "careful", cwd=ruled).out)

    assert (own["policy"], other["policy"]) == ("", "careful")
    assert [wave["name"] for wave in other["waves"]] == ["first", "second", "everyone"]


def test_a_rollout_follows_it_and_the_next_one_does_not(ruled: Path):
    told = events(run("apply", *BOX, "--policy", "careful", "--json", cwd=ruled))
    assert followed(told) == ("careful", ["first", "second", "everyone"])

    path = ruled / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", "welcome"))
    assert followed(events(run("apply", *BOX, "--json", cwd=ruled))) == ("standard", ["all-at-once"])


def test_a_saved_plan_keeps_it(ruled: Path):
    assert run("plan", *BOX, "--policy", "careful", "--out", "plan.json", cwd=ruled).code == 3

    assert followed(events(run("apply", "plan.json", "--json", cwd=ruled)))[0] == "careful"


def test_a_saved_plan_of_an_older_fleet_has_none_and_still_holds(ruled: Path):
    assert run("plan", *BOX, "--out", "plan.json", cwd=ruled).code == 3
    saved = json.loads((ruled / "plan.json").read_text())
    assert saved["plan"].pop("policy") == ""
    (ruled / "plan.json").write_text(json.dumps(saved))

    assert followed(events(run("apply", "plan.json", "--json", cwd=ruled)))[0] == "standard"


def test_a_saved_plan_takes_no_other_policy(ruled: Path):
    assert run("plan", *BOX, "--out", "plan.json", cwd=ruled).code == 3

    ran = run("apply", "plan.json", "--policy", "careful", cwd=ruled)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[0] == "error: a saved plan has its own scope and policy"
    assert not (ruled / "nodes" / "lyon-a").exists()


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("carefull", "Did you mean `careful`? There are careful, standard."),
        ("x", "There are careful, standard."),
    ],
)
def test_one_that_is_not_there(ruled: Path, verb: str, name: str, hint: str):
    ran = run(verb, *BOX, "--policy", name, cwd=ruled)

    assert ran == (2, "", f"error: no RolloutPolicy is called {name}\nhint: {hint}\n")


def test_a_spec_without_any(shop: Path):
    ran = run("plan", "--policy", "careful", cwd=shop)

    assert ran == (2, "", "error: no RolloutPolicy is called careful\nhint: The spec has none.\n")


def test_a_fleet_that_names_none_may_follow_one_once(shop: Path):
    path = shop / "fleet.yaml"
    path.write_text(path.read_text() + POLICIES)

    ran = run("plan", *BOX, "--policy", "careful", cwd=shop)

    assert waves(ran)[0] == "Policy   careful, for this plan alone"


FROZEN = """\
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: frozen}
spec:
  freezes: [{from: 2020-01-01, to: 2099-12-31, reason: for ever}]
"""


def test_freezes_are_overruled_for_a_reason_that_is_kept(shop: Path):
    path = shop / "fleet.yaml"
    path.write_text(path.read_text() + FROZEN)

    told = events(run("apply", *BOX, "--policy", "frozen", "--break-glass", "CVE-2026-1", "--json", cwd=shop))

    (broken,) = [event for event in told if event["event"] == "GlassBroken"]
    assert broken["reason"] == "CVE-2026-1"
    assert told[-1]["counts"]["applied"] == 3


def test_a_freeze_holds_without_one(shop: Path):
    path = shop / "fleet.yaml"
    path.write_text(path.read_text() + FROZEN)

    ran = run("apply", *BOX, "--policy", "frozen", "--detach", "--json", cwd=shop)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    try:
        waits = "2100-01-01 00:00 UTC: 3 nodes wait for the end of a freeze: for ever"
        until(lambda: row(found, shop)["waits_for"] == waits)
        assert f"it waits for {waits}" in rollout("show", found, shop).out.splitlines()
    finally:
        assert rollout("cancel", found, shop).code == 0
        gone(found["pid"])
    assert row(found, shop)["status"] == "cancelled"
    assert not (shop / "nodes" / "lyon-a" / "etc" / "shop.conf").exists()
