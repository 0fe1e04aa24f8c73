"""`fleet rollout retry` and `catch-up`: what a rollout left, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import run

BOX = ("--sandbox", "nodes")


@pytest.fixture
def broken(applied_shop: Path, tmp_path: Path) -> tuple[Path, str]:
    """A new greeting has reached all but lyon-a, where a folder stands in its way; and the id of that rollout."""
    folder = tmp_path / "shop"
    shutil.copytree(applied_shop, folder, symlinks=True)
    path = folder / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", "welcome"))
    inside = folder / "nodes/lyon-a/etc/shop.conf"
    inside.unlink()
    inside.mkdir()
    (inside / "mine").write_text("keep")
    ran = run("apply", *BOX, cwd=folder)
    assert ran.code == 4, ran
    return folder, ran.out.split()[1]


def test_what_failed_is_tried_again_once_its_cause_is_gone(broken: tuple[Path, str]):
    shop, rollout = broken
    again = run("rollout", "retry", rollout, *BOX, "--json", cwd=shop)
    assert again.code == 4, "the folder is still in its way"
    shutil.rmtree(shop / "nodes/lyon-a/etc/shop.conf")

    ran = run("rollout", "retry", rollout, *BOX, "--json", cwd=shop)
    assert ran.code == 0, ran
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["wave"] for event in told if event["event"] == "WaveStarted"] == ["retry"]
    assert [event["node"] for event in told if event["event"] == "NodeApplied"] == ["lyon-a"]
    assert (shop / "nodes/lyon-a/etc/shop.conf").read_text() == "greeting = welcome lyon-a\n"

    ran = run("rollout", "retry", rollout, *BOX, cwd=shop)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"no node that failed in {rollout} still wants what it brought\n"


def test_what_git_wants_otherwise_by_now_is_not_tried_again(broken: tuple[Path, str]):
    shop, rollout = broken
    path = shop / "fleet.yaml"
    path.write_text(path.read_text().replace("welcome", "farewell"))

    ran = run("rollout", "retry", rollout, *BOX, cwd=shop)
    assert (ran.code, ran.out) == (0, "")
    assert (shop / "nodes/lyon-a/etc/shop.conf").is_dir()


def test_a_failure_is_no_deferral(broken: tuple[Path, str]):
    ran = run("rollout", "catch-up", *BOX, cwd=broken[0])
    assert (ran.code, ran.out, ran.err) == (0, "", "no node is deferred\n")


def test_a_rollout_that_is_not_known_is_told(broken: tuple[Path, str]):
    ran = run("rollout", "retry", "beefbeef", *BOX, cwd=broken[0])
    assert ran.code == 2
    assert "there is no rollout beefbeef in this folder" in ran.err
    assert broken[1] in ran.err, "it names those there are"
