"""`fleet rollout rollback`, and what stays held back after it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.cli.running import run
from tests.cli.test_json import schema

BOX = ("--sandbox", "nodes")


@pytest.fixture
def changed(applied_shop: Path, tmp_path: Path) -> tuple[Path, str]:
    """A new greeting has reached every node; and the id of that rollout."""
    folder = tmp_path / "shop"
    shutil.copytree(applied_shop, folder, symlinks=True)
    path = folder / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", "welcome"))
    ran = run("apply", *BOX, cwd=folder)
    assert ran.code == 0, ran
    return folder, ran.out.split()[1]


def greeting(shop: Path) -> str:
    return (shop / "nodes/lyon-a/etc/shop.conf").read_text()


def test_nodes_go_back_and_are_held_back(changed: tuple[Path, str]):
    shop, rollout = changed
    assert greeting(shop) == "greeting = welcome lyon-a\n"
    ran = run("rollout", "rollback", rollout, "--yes", "--json", *BOX, cwd=shop)
    assert ran.code == 0, ran
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["undoes"] for event in told if event["event"] == "RollbackBegun"] == [rollout]
    assert told[-1]["event"] == "RolloutFinished"
    assert greeting(shop) == "greeting = hello lyon-a\n"

    plan = run("plan", "--json", *BOX, cwd=shop)
    assert plan.code == 0
    document = json.loads(plan.out)
    assert list(document["held_back"]) == [rollout]
    assert (document["changing"], document["nodes"]) == (0, [])
    ran = run("apply", *BOX, cwd=shop)
    assert ran.code == 0
    assert greeting(shop) == "greeting = hello lyon-a\n"

    ran = run("rollout", "list", *BOX, cwd=shop)
    assert [line.split()[1] for line in ran.out.splitlines()[1:3]] == ["finished", "finished"]


def test_twice_changes_nothing_the_second_time(changed: tuple[Path, str]):
    shop, rollout = changed
    assert run("rollout", "rollback", rollout, "--yes", *BOX, cwd=shop).code == 0
    ran = run("rollout", "rollback", rollout, "--yes", "--json", *BOX, cwd=shop)
    assert ran.code == 0, ran
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert {event["changed"] for event in told if event["event"] == "NodeApplied"} == {0}
    assert greeting(shop) == "greeting = hello lyon-a\n"


def test_a_rollback_is_a_rollout_that_can_be_rolled_back(changed: tuple[Path, str]):
    shop, rollout = changed
    ran = run("rollout", "rollback", rollout, "--yes", *BOX, cwd=shop)
    back = ran.out.split()[1]
    ran = run("rollout", "rollback", back, "--yes", *BOX, cwd=shop)
    assert ran.code == 0, ran
    assert greeting(shop) == "greeting = welcome lyon-a\n"


def test_what_did_not_change_anything_has_nothing_to_go_back_to(applied_shop: Path, tmp_path: Path):
    folder = tmp_path / "shop"
    shutil.copytree(applied_shop, folder, symlinks=True)
    listed = json.loads(run("rollout", "list", "--json", *BOX, cwd=folder).out)["rollouts"]
    first = listed[-1]["id"]
    ran = run("rollout", "rollback", first, "--yes", *BOX, cwd=folder)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"no node has anything to go back to; what rollout {first} brings is held back\n"
    assert greeting(folder) == "greeting = hello lyon-a\n", "a node that is new stays as it is"


def test_a_rollout_that_is_not_known_is_told(changed: tuple[Path, str]):
    ran = run("rollout", "rollback", "beefbeef", "--yes", *BOX, cwd=changed[0])
    assert ran.code == 2
    assert "there is no rollout beefbeef in this folder" in ran.err
    assert changed[1] in ran.err, "it names those there are"


def test_a_node_that_left_the_spec_cannot_be_reached(changed: tuple[Path, str]):
    shop, rollout = changed
    site = next(path for path in shop.rglob("*.yaml") if "lyon-a" in path.read_text() and "nodes" not in path.parts)
    site.write_text(site.read_text().replace("lyon-a", "lyon-z"))
    before = greeting(shop)
    ran = run("rollout", "rollback", rollout, "--yes", *BOX, cwd=shop)
    assert ran.code == 2
    assert "lyon-a left the spec since" in ran.err
    assert greeting(shop) == before


def test_what_came_of_each_node_says_that_it_went_back(changed: tuple[Path, str]):
    shop, rollout = changed
    before = run("rollout", "show", rollout, "--nodes", *BOX, cwd=shop)
    assert (before.code, before.out.splitlines()[-1]) == (0, "3 nodes: 3 succeeded")
    back = run("rollout", "rollback", rollout, "--yes", *BOX, cwd=shop).out.split()[1]

    told = run("rollout", "show", rollout, "--nodes", *BOX, cwd=shop).out.splitlines()

    assert told[0].split() == ["NODE", "WAVE", "RESULT", "WHEN", "(UTC)", "BY", "REASON"]
    assert [line.split()[0] for line in told[1:-1]] == ["lyon-a", "lyon-b", "paris-a"]
    assert all("  rolled-back  2" in line and f"  {back}  " in line for line in told[1:-1]), told
    assert told[-1] == "3 nodes: 3 rolled-back"
    document = json.loads(run("rollout", "show", rollout, "--nodes", "--json", *BOX, cwd=shop).out)
    jsonschema.validate(document, schema("results"))
    assert document["counts"] == {"rolled-back": 3}
    assert {(each["node"], each["by"]) for each in document["nodes"]} == {
        (name, back) for name in ("lyon-a", "lyon-b", "paris-a")
    }
    only = json.loads(run("rollout", "show", rollout, "--nodes", "--result", "failed", "--json", *BOX, cwd=shop).out)
    assert (only["nodes"], only["counts"]) == ([], {"rolled-back": 3})


def test_a_result_is_asked_of_nodes_only(changed: tuple[Path, str]):
    shop, rollout = changed
    ran = run("rollout", "show", rollout, "--result", "failed", *BOX, cwd=shop)
    assert (ran.code, ran.out) == (2, "")
    assert "--result goes with --nodes" in ran.err
    ran = run("rollout", "show", "0000", "--nodes", *BOX, cwd=shop)
    assert ran.code == 2
    assert rollout in ran.err


def test_a_node_alone_goes_back_and_is_held_back_alone(changed: tuple[Path, str]):
    shop, rollout = changed
    ran = run("rollout", "rollback", rollout, "--node", "lyon-b", "--yes", *BOX, cwd=shop)
    assert ran.code == 0, ran
    back = ran.out.split()[1]
    found = {
        name: (shop / f"nodes/{name}/etc/shop.conf").read_text().split()[2] for name in ("lyon-a", "lyon-b", "paris-a")
    }
    assert found == {"lyon-a": "welcome", "lyon-b": "hello", "paris-a": "welcome"}
    document = json.loads(run("plan", "--json", *BOX, cwd=shop).out)
    assert (document["changing"], document["held_back"]) == (0, {rollout: ["lyon-b"]})
    results = json.loads(run("rollout", "show", rollout, "--nodes", "--json", *BOX, cwd=shop).out)
    assert results["counts"] == {"succeeded": 2, "rolled-back": 1}
    shown = run("rollout", "show", rollout, *BOX, cwd=shop).out.splitlines()
    assert shown[-1] == f"rolled back by rollout {back}: 1 node (fleet rollout show {back} --sandbox nodes)"
    assert "rolled back" not in run("node", "log", "lyon-a", *BOX, cwd=shop).out
    assert f"rolled back by {back}" in run("node", "log", "lyon-b", *BOX, cwd=shop).out


def test_a_part_that_the_rollout_does_not_have_is_refused_whole(changed: tuple[Path, str]):
    shop, rollout = changed
    ran = run("rollout", "rollback", rollout, "--wave", "ramp", "--node", "lyon-c", "--yes", *BOX, cwd=shop)
    assert (ran.code, ran.out) == (2, "")
    assert f"rollout {rollout} has no wave ramp, no node lyon-c" in ran.err
    assert "Did you mean lyon-" in ran.err
    assert greeting(shop) == "greeting = welcome lyon-a\n"
