"""`fleet simulate`: its answer, its JSON, its picture, and what it says to options that mean nothing."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import run

POLICY = """\
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves: [{name: pilot, selector: {matchLabels: {ring: pilot}}, successThreshold: 100%}]
  disruptionBudget: {groupBy: [site], maxUnavailable: 1}
"""


@pytest.fixture
def policed(shop: Path) -> Path:
    """The shop with two waves, and a budget of one node a site."""
    spec = shop / "fleet.yaml"
    spec.write_text(
        spec.read_text().replace("profiles: [base]", "profiles: [base]\n  rolloutPolicy: standard") + POLICY
    )
    return shop


def answer(folder: Path, *options: str) -> dict[str, Any]:
    ran = run("simulate", "--json", *options, cwd=folder)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_answer_comes_first_and_the_next_command_last(policed: Path):
    ran = run("simulate", "--spread", "1", cwd=policed)

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == (
        "fleet shop at a folder outside git, rehearsed: 3 pretend nodes at 2 sites, RolloutPolicy standard, 20 at once"
    )
    assert lines[2] == "0% failures: finished after 3 min, 3 applied"
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        "WAVE NODES BEGINS TAKES OUTCOME",
        "pilot 2 at once 2 min passed: 2 applied",
        "everyone 1 after 2 min 60 s passed: 1 applied",
        "Away at most 1 of 1 node at once (site=paris); its budget allows 1",
    ]
    assert lines[-1] == "nothing was touched; --svg FILE draws it; fleet plan shows what would change"


def test_it_writes_nothing_of_the_fleet(policed: Path):
    before = files(policed)

    assert run("simulate", "--all", "--resume", "0s", cwd=policed).code == 0

    assert files(policed) == before
    assert not (policed / ".fleet").exists()


def test_it_writes_nothing_of_a_fleet_that_has_a_history(applied_shop: Path, tmp_path: Path):
    folder = tmp_path / "shop"
    shutil.copytree(applied_shop, folder)
    before = run("rollout", "list", "--sandbox", "nodes", "--json", cwd=folder).out

    assert run("simulate", "--all", "--sandbox", "nodes", cwd=folder).code == 0

    assert run("rollout", "list", "--sandbox", "nodes", "--json", cwd=folder).out == before
    assert run("plan", "--sandbox", "nodes", cwd=folder).code == 0, "records are as they were"


def test_the_same_question_has_the_same_bytes(policed: Path):
    options = ("--all", "--failures", "30%", "--offline", "20%", "--lying", "20%", "--resume", "1m")
    first, again = (run("simulate", "--json", *options, cwd=policed).out for _ in range(2))

    assert first == again
    assert run("simulate", "--json", *options, "--seed", "7", cwd=policed).out != first


def test_what_changes_now_or_everything(applied_shop: Path):
    nothing = run("simulate", "--sandbox", "nodes", cwd=applied_shop)

    assert nothing == (
        2, "",
        "error: nothing to rehearse: 3 nodes hold what git wants\nhint: --all rehearses a change of every node.\n",
    )  # fmt: skip
    assert answer(applied_shop, "--all", "--sandbox", "nodes")["nodes"] == 3
    assert answer(applied_shop, "--all", "--sandbox", "nodes", "--site", "lyon")["nodes"] == 2


def test_a_larger_fleet_is_so_many_copies(policed: Path):
    found = answer(policed, "--nodes", "10", "--failures", "0%")

    assert (found["nodes"], found["copies"], found["sites"], len(found["runs"])) == (12, 4, 8, 1)
    assert {group["name"] for group in found["runs"][0]["groups"]} >= {"site=lyon", "site=lyon~4", "site=paris~2"}


def test_forks_and_latency_make_it_longer(policed: Path):
    def seconds(*options: str) -> float:
        found: float = answer(policed, "--failures", "0%", "--spread", "1", *options)["runs"][0]["seconds"]
        return found

    assert seconds("--nodes", "300", "--forks", "1000") == 180
    assert seconds("--nodes", "300", "--forks", "50") == 60 * (2 + 2 + 2)
    assert seconds("--latency", "1m30s") == 270


def test_failures_pause_it_and_somebody_may_go_on(policed: Path):
    (fine, failing) = answer(policed, "--failures", "100%")["runs"]
    resumed = answer(policed, "--failures", "100%", "--resume", "30m")["runs"][1]

    assert (fine["failures"], fine["outcome"], fine["counts"]["applied"]) == (0, "finished", 3)
    assert (failing["failures"], failing["outcome"], failing["counts"]["waiting"]) == (100, "paused", 2)
    assert failing["pauses"] == [{"at": failing["seconds"], "reason": failing["reason"], "resumed_at": None}]
    assert (resumed["outcome"], resumed["counts"]["waiting"]) == ("halted", 0)
    assert resumed["pauses"][0]["resumed_at"] - resumed["pauses"][0]["at"] == 1800
    assert [quiet["why"] for quiet in resumed["quiet"]] == ["pause"]


def test_closed_shops_and_where_the_clock_stands(policed: Path):
    def offline(*options: str) -> int:
        found: int = answer(policed, "--failures", "0%", *options)["runs"][0]["counts"]["unreachable"]
        return found

    assert offline("--closed", "22-6") == 0
    assert offline("--closed", "22-6", "--at", "2026-12-01T02:00") > 0
    assert offline("--closed", "22-6", "--at", "2026-12-01T02:00-08:00") == 0


def test_who_is_known_to_be_offline_is_told_to_budgets(policed: Path):
    options = ("--all", "--nodes", "300", "--offline", "30%", "--failures", "0%")

    groups, known = (answer(policed, *options, *more)["runs"][0]["groups"] for more in ((), ("--known-offline",)))

    assert any(group["away"] > group["known"] for group in groups)
    assert all(group["away"] == group["known"] for group in known)


def test_the_picture_says_what_the_answer_says(policed: Path, tmp_path: Path):
    picture = tmp_path / "timeline.svg"
    ran = run("simulate", "--failures", "60%", "--svg", str(picture), "--json", cwd=policed)

    assert (ran.code, ran.err) == (0, "")
    root = ET.fromstring(picture.read_text())
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    for found in json.loads(ran.out)["runs"]:
        assert {f"applied {found['counts']['applied']}", f"failed {found['counts']['failed']}"} <= words
    told = run("simulate", "--failures", "60%", "--svg", str(picture), cwd=policed).out
    assert f"{picture} shows it" in told.splitlines()[-1]
    assert {line for line in told.splitlines() if " failures: " in line} <= words


def test_a_picture_that_cannot_be_written(policed: Path):
    ran = run("simulate", "--svg", "nowhere/timeline.svg", cwd=policed)

    assert ran == (2, "", "error: there is no folder nowhere for the picture\nhint: mkdir nowhere\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--failures", "120%"], "expected a percentage from 0% to 100%, found `120%`"),
        (["--offline", "-1%"], "expected a percentage from 0% to 100%, found `-1%`"),
        (["--lying", "few"], "expected a percentage from 0% to 100%, found `few`"),
        (["--flapping", "1e9%"], "expected a percentage from 0% to 100%, found `1e9%`"),
        (["--latency", "0s"], "expected 1 s to 366 days, found `0s`"),
        (["--latency", "60"], "expected a duration such as `90s`, `1m30s` or `2h`, found `60`"),
        (["--resume", "9000h"], "expected 0 s to 366 days, found `9000h`"),
        (["--spread", "0.5"], "expected a number from 1 to 100, found `0.5`"),
        (["--spread", "nan"], "expected a number from 1 to 100, found `nan`"),
        (["--closed", "22"], "expected two hours of the day such as `22-6`, found `22`"),
        (["--closed", "6-6"], "expected two hours of the day such as `22-6`, found `6-6`"),
        (["--closed", "22-25"], "expected two hours of the day such as `22-6`, found `22-25`"),
        (["--at", "tomorrow"], "expected `now` or a time such as `2026-12-01T02:00`, found `tomorrow`"),
        (["--at", "1950-01-01"], "expected a year from 1971 to 2200, found `1950-01-01`"),
        (["--nodes", "2"], "--nodes 2 is less than the 3 nodes that change"),
        (["--nodes", "0"], "0 is not in the range"),
        (["--site", "rome"], "rome"),
        (["--all", "--selector", "ring=none"], "no node is in this scope"),
    ],
)
def test_what_means_nothing_is_told(shop: Path, options: list[str], message: str):
    ran = run("simulate", *options, cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert message in ran.err


def test_now_is_a_time_too(policed: Path):
    found = answer(policed, "--at", "now", "--failures", "0%")

    assert found["world"]["begins_at"] > 1_767_600_000


def test_a_folder_without_a_fleet(tmp_path: Path):
    ran = run("simulate", cwd=tmp_path)

    assert ran.code == 2
    assert ran.err.startswith("error: ") or "error" in ran.err


def test_a_fleet_without_nodes(shop: Path):
    shutil.rmtree(shop / "sites")

    assert run("simulate", "--all", cwd=shop) == (
        2, "", "error: fleet shop has no node to rehearse with\nhint: Add a Site that has nodes.\n",
    )  # fmt: skip


def test_an_approval_that_the_policy_wants_is_given(policed: Path):
    spec = policed / "fleet.yaml"
    spec.write_text(spec.read_text().replace("successThreshold: 100%", "successThreshold: 100%, approval: true"))

    late = answer(policed, "--failures", "0%", "--approve", "2h")["runs"][0]

    assert (late["approvals"], late["quiet"][0]) == (1, {"begins": 0.0, "ends": 7200.0, "why": "approval"})
    assert "approves of a wave at once" in run("simulate", cwd=policed).out
