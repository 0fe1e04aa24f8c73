"""A rollout whose controller died, and git went back to what nodes held before it: no plan has anything to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli.detaching import BOX, gone, until
from tests.cli.running import run

pytestmark = pytest.mark.timeout(240)


def change(shop: Path, old: str, new: str) -> None:
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace(old, new))


def story(shop: Path, rollout: str) -> list[str]:
    ran = run("rollout", "show", rollout, "--json", *BOX, cwd=shop)
    return [json.loads(line)["event"] for line in ran.out.splitlines()]


@pytest.fixture
def dead(applied_shop: Path, tmp_path: Path) -> tuple[Path, str]:
    """Killed with its first batch under way, of one node; and git went back."""
    shop = tmp_path / "shop"
    shutil.copytree(applied_shop, shop, symlinks=True)
    change(shop, "hello", "welcome")
    found = json.loads(run("apply", *BOX, "--forks", "1", "--detach", "--json", cwd=shop).out)
    until(lambda: "BatchStarted" in story(shop, found["rollout_id"]))
    os.kill(found["pid"], signal.SIGKILL)
    gone(found["pid"])
    assert "NodeApplied" not in story(shop, found["rollout_id"])
    change(shop, "welcome", "hello")
    return shop, found["rollout_id"]


def test_apply_names_it_and_how_it_is_ended(dead: tuple[Path, str]) -> None:
    shop, rollout = dead

    ran = run("apply", *BOX, cwd=shop)

    assert ran.code == 0
    told = ran.out.splitlines()
    at = told.index(
        f"rollout {rollout} has not ended (running, 1 node under way): waits for somebody to go on (nobody drives it)"
    )
    assert told[at + 1] == (
        f"fleet rollout resume {rollout} --sandbox nodes goes on; fleet rollout cancel {rollout} --sandbox nodes ends it"
    )
    ran = run("apply", "--json", *BOX, cwd=shop)
    assert ran.out == ""
    assert f"rollout {rollout} has not ended" in ran.err


def test_it_does_not_go_on_with_what_git_does_not_want_any_more(dead: tuple[Path, str]) -> None:
    shop, rollout = dead

    ran = run("rollout", "resume", rollout, *BOX, cwd=shop)

    assert ran.code == 2
    assert f"git wants something else of lyon-a than rollout {rollout} does" in ran.err
    assert f"fleet rollout cancel {rollout}" in ran.err
    assert run("rollout", "cancel", rollout, *BOX, cwd=shop).code == 0
    assert run("rollout", "resume", rollout, *BOX, cwd=shop).code in (0, 4)
    assert story(shop, rollout)[-1] == "RolloutCancelled"
    assert run("apply", *BOX, cwd=shop).code == 0
    after = run("apply", *BOX, cwd=shop)
    assert "has not ended" not in after.out
    for name in ("lyon-a", "lyon-b", "paris-a"):
        assert (shop / f"nodes/{name}/etc/shop.conf").read_text() == f"greeting = hello {name}\n"
