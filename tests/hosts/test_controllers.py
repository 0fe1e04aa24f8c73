"""More than one controller, and more than one working copy: nodes refuse what does not know what they hold."""

import json
from pathlib import Path

import pytest

from tests.hosts.ground import SOUTH, Ground


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "second"


def test_an_older_commit_of_a_second_controller_is_refused_by_the_nodes(ground: Ground, folder: Path) -> None:
    """The second one knew the nodes once, and has a change of its own on top of what it knew."""
    second = ground.checkout.clone(folder)
    second.plan("--refresh")
    ground.greet("south-a", "first")
    ground.checkout.fleet("apply", "--yes")
    ground.greet("south-a", "second", second)
    before = ground.moments()
    for _ in range(2):
        said = second.fleet("apply", "--yes", "--json", code=4)
        assert said.events("NodeApplied") == []
        (failed,) = said.events("NodeFailed")
        assert failed["node"] == "south-a"
        assert failed["reason"].startswith("expect: the node was to hold b1:")
        assert f"(commit {ground.checkout.head} by " in failed["reason"]
        assert "fleet plan --refresh" in failed["reason"]
        assert ground.touched_since(before) == {}

    said = second.fleet("apply", "--yes", "--json", "--take-over", "the first one is gone")
    assert [event["node"] for event in said.events("NodeApplied")] == list(SOUTH)
    record = json.loads(ground.hosts["south-a"].read("/var/lib/fleet/record.json"))
    assert record["taken_over"]["reason"] == "the first one is gone"
    assert record["commit"] == second.head
    assert ground.hosts["south-a"].read("/etc/motd") == "second to south-a at south\n"


def test_a_second_controller_that_knows_nothing_is_refused_too(ground: Ground, folder: Path) -> None:
    """Its look for what only nodes can tell (their architecture) does not make what they hold its own."""
    second = ground.checkout.clone(folder)
    ground.greet("south-a", "first again")
    ground.checkout.fleet("apply", "--yes")
    before = ground.moments()
    for _ in range(2):
        said = second.fleet("apply", "--yes", "--json", "--site", "south", code=4)
        assert said.events("NodeApplied") == []
        (failed,) = said.events("NodeFailed")
        assert failed["node"] == "south-a"
        assert "was to hold none and holds b1:" in failed["reason"]
        assert ground.touched_since(before) == {}
    report = second.plan("--refresh")
    assert report["changing"] == 2, "with a look, going back is what it plans, for all to see"


def test_hosts_are_changed_from_a_commit(ground: Ground) -> None:
    before = ground.moments()
    ground.checkout.edit("sites/south.yaml", f"greeting: {ground.greeting('south-a')}}}", "greeting: uncommitted}")
    said = ground.checkout.fleet("apply", "--yes", code=2)
    assert "Commit first, or say --allow-dirty" in said.err
    assert ground.touched_since(before) == {}
    ground.checkout.fleet("apply", "--yes", "--allow-dirty", "--site", "south")
    assert ground.hosts["south-a"].read("/etc/motd") == "uncommitted to south-a at south\n"


def test_a_saved_plan_is_carried_out_as_it_was_or_not_at_all(ground: Ground) -> None:
    ground.greet("south-a", "planned")
    ground.checkout.fleet("plan", "--out", "../plan.json", "--site", "south", code=3)
    ground.greet("south-a", "changed since")
    before = ground.moments()
    said = ground.checkout.fleet("apply", "../plan.json", "--yes", code=2)
    assert "changed since the plan was saved" in said.err
    assert ground.touched_since(before) == {}
    ground.checkout.fleet("plan", "--out", "../plan.json", "--site", "south", code=3)
    ground.checkout.fleet("apply", "../plan.json", "--yes")
    assert ground.hosts["south-a"].read("/etc/motd") == "changed since to south-a at south\n"
