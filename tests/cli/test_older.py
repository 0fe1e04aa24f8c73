"""A node that comes back with an older bundle than it was last seen with: an image that was put back, a spare disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import run

BOX = ("--sandbox", "nodes")


def change(shop: Path, old: str, new: str) -> None:
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace(old, new))


def greetings(shop: Path) -> dict[str, str]:
    return {node.name: (node / "etc/shop.conf").read_text() for node in (shop / "nodes").glob("*-*")}


@pytest.fixture
def back(applied_shop: Path, tmp_path: Path) -> Path:
    """All said hello, then welcome; lyon-a's disk is that of hello again, and git wants a third greeting."""
    shop = tmp_path / "shop"
    shutil.copytree(applied_shop, shop, symlinks=True)
    shutil.copytree(shop / "nodes/lyon-a", tmp_path / "image", symlinks=True)
    change(shop, "hello", "welcome")
    assert run("apply", *BOX, cwd=shop).code == 0
    shutil.rmtree(shop / "nodes/lyon-a")
    shutil.copytree(tmp_path / "image", shop / "nodes/lyon-a", symlinks=True)
    change(shop, "welcome", "good day")
    return shop


def test_it_is_not_written_to_blindly_and_the_reason_is_said(back: Path) -> None:
    ran = run("apply", "--json", *BOX, cwd=back)

    assert ran.code == 4, ran
    events = [json.loads(line) for line in ran.out.splitlines()]
    (failed,) = (event for event in events if event["event"] == "NodeFailed")
    assert failed["node"] == "lyon-a"
    assert "the node was to hold b1:" in failed["reason"]
    assert " and holds b1:" in failed["reason"]
    assert greetings(back) == {
        "lyon-a": "greeting = hello lyon-a\n",
        "lyon-b": "greeting = good day lyon-b\n",
        "paris-a": "greeting = good day paris-a\n",
    }


def test_once_it_was_looked_at_it_is_brought_forward(back: Path) -> None:
    assert run("apply", *BOX, cwd=back).code == 4
    plan = run("plan", "--refresh", "--json", *BOX, cwd=back)
    assert (plan.code, [node["node"] for node in json.loads(plan.out)["nodes"]]) == (3, ["lyon-a"])

    assert run("apply", *BOX, cwd=back).code == 0

    assert set(greetings(back).values()) == {
        f"greeting = good day {name}\n" for name in ("lyon-a", "lyon-b", "paris-a")
    }


def test_where_git_has_not_moved_a_look_finds_it(back: Path) -> None:
    """The records of the controller alone would say that nothing is to do."""
    change(back, "good day", "welcome")
    assert run("plan", *BOX, cwd=back).code == 0
    assert run("plan", "--refresh", *BOX, cwd=back).code == 3
    assert run("apply", *BOX, cwd=back).code == 0
    assert greetings(back)["lyon-a"] == "greeting = welcome lyon-a\n"
