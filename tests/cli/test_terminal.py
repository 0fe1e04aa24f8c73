"""A terminal gets colour, a question and a progress line; a pipe gets none of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run, run_on_terminal

ESCAPE = "\x1b["


def test_a_terminal_gets_colour(shop: Path):
    ran = run_on_terminal("plan", cwd=shop)

    assert ran.code == 3
    assert f"{ESCAPE}1m3 nodes change, 0 stay, 0 go{ESCAPE}0m" in ran.out


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["plan"], {"NO_COLOR": "1"}),
        (["--no-color", "plan"], {}),
        (["plan", "--no-color"], {}),
        (["plan"], {"TERM": "dumb"}),
    ],
)
def test_colour_can_be_refused(shop: Path, arguments: list[str], env: dict[str, str]):
    ran = run_on_terminal(*arguments, cwd=shop, env=env)

    assert ran.code == 3
    assert "3 nodes change" in ran.out
    assert ESCAPE not in ran.out


def test_an_empty_no_color_refuses_nothing(shop: Path):
    assert ESCAPE in run_on_terminal("plan", cwd=shop, env={"NO_COLOR": ""}).out


def test_colour_never_carries_meaning_alone(shop: Path):
    """Without its escapes, a terminal's text is a pipe's text."""
    plain = run("plan", cwd=shop).out
    coloured = run_on_terminal("plan", cwd=shop).out.replace("\r\n", "\n")
    for code in ("0", "1", "31", "32", "33", "36"):
        coloured = coloured.replace(f"{ESCAPE}{code}m", "")

    assert coloured == plain


def test_a_table_fits_the_terminal_and_cuts_no_name(shop: Path):
    ran = run_on_terminal("node", "list", cwd=shop, env={"COLUMNS": "30", "NO_COLOR": "1"})

    lines = ran.out.replace("\r\n", "\n").splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["NODE", "lyon-a", "lyon-b", "paris-a"]
    assert max(map(len, lines[:4])) <= 30


def test_apply_asks_on_a_terminal_and_no_means_no(shop: Path):
    ran = run_on_terminal("apply", "--sandbox", "nodes", cwd=shop, answers={"[y/N]": "n"})

    assert ran.code == 130
    assert "3 nodes change, 0 stay, 0 go" in ran.out
    assert f"Apply this to 3 nodes of fleet shop, in the sandbox {shop}/nodes?" in ran.out
    assert ran.out.rstrip().endswith("not applied")
    assert not (shop / "nodes" / "lyon-a").exists()


def test_apply_shows_a_line_for_each_wave(shop: Path):
    ran = run_on_terminal("apply", "--sandbox", "nodes", cwd=shop, answers={"[y/N]": "y"})

    assert ran.code == 0
    assert "3/3" in ran.out
    assert "3 ok" in ran.out
    assert "done: 3 applied" in ran.out
    assert (shop / "nodes" / "lyon-a" / "etc" / "shop.conf").read_text() == "greeting = hello lyon-a\n"


def test_watch_shows_what_apply_shows(applied_shop: Path):
    (rollout,) = json.loads(run("rollout", "list", "--json", "--sandbox", "nodes", cwd=applied_shop).out)["rollouts"]

    ran = run_on_terminal("rollout", "watch", rollout["id"], "--sandbox", "nodes", cwd=applied_shop)

    assert ran.code == 0
    assert "3/3" in ran.out
    assert "3 ok" in ran.out
    assert "done: 3 applied" in ran.out


def test_yes_asks_nothing_and_no_color_is_kept_to_by_the_bars_too(shop: Path):
    ran = run_on_terminal("apply", "--yes", "--sandbox", "nodes", cwd=shop, env={"NO_COLOR": "1"})

    assert ran.code == 0
    assert "[y/N]" not in ran.out
    assert f"{ESCAPE}32m" not in ran.out
    assert f"{ESCAPE}38" not in ran.out


def test_json_asks_nothing_on_a_terminal(shop: Path):
    ran = run_on_terminal("apply", "--json", "--sandbox", "nodes", cwd=shop)

    assert ran.code == 0
    assert "[y/N]" not in ran.out
    assert ran.out.startswith('{"format":"fleet.event/v1","event":"RolloutStarted"')
