"""`fleet journal`: whether the file is whole, what is saved of it, and that other verbs name it where they meet damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.cli.running import run
from tests.cli.test_json import schema

STATE = "nodes/.fleet/state.db"


@pytest.fixture
def copy(applied_shop: Path, tmp_path: Path) -> Path:
    return shutil.copytree(applied_shop, tmp_path / "copy")


def damage(shop: Path) -> None:
    """Every second page but the first: one of each table, or what leads to it."""
    path = shop / STATE
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 8192):
        data[at : at + 4096] = bytes(4096)
    path.write_bytes(data)


def test_a_whole_journal(copy: Path):
    before = {path: path.read_bytes() for path in (copy / "nodes/.fleet").glob("state.db*")}

    ran = run("journal", "check", "--sandbox", "nodes", cwd=copy)

    assert ran.code == 0, ran.out
    assert ran.out == f"{copy}/{STATE} is whole: 1 rollout, 9 events, 3 records\n"
    assert {path: path.read_bytes() for path in (copy / "nodes/.fleet").glob("state.db*")} == before


def test_nothing_was_kept_yet(shop: Path):
    ran = run("journal", "check", cwd=shop)
    assert (ran.code, ran.out) == (0, f"nothing was kept yet: there is no {shop}/.fleet/state.db\n")
    assert run("journal", "export", cwd=shop) == (0, "", "nothing was kept yet, so there is nothing to save\n")
    assert not (shop / ".fleet").exists()


def test_a_damaged_journal(copy: Path):
    damage(copy)

    ran = run("journal", "check", "--sandbox", "nodes", cwd=copy)

    assert ran.code == 5
    assert ran.out.startswith(f"{copy}/{STATE} is damaged: ")
    assert "wrong   pages: SQLite finds: " in ran.out
    assert "fleet journal export saves what can still be read" in ran.out
    found = json.loads(run("journal", "check", "--json", "--sandbox", "nodes", cwd=copy).out)
    jsonschema.validate(found, schema("journal"))
    assert found["is_whole"] is False


@pytest.mark.parametrize("verb", [("rollout", "list"), ("status",), ("plan",)], ids=" ".join)
def test_where_other_verbs_meet_damage_they_name_the_check(copy: Path, verb: tuple[str, ...]):
    data = (copy / STATE).read_bytes()
    (copy / STATE).write_bytes(data[:4096] + bytes(len(data) - 4096))

    ran = run(*verb, "--sandbox", "nodes", cwd=copy)

    assert ran.code == 5
    assert "is damaged" in ran.err
    assert "hint: fleet journal check says what of it is damaged." in ran.err


def test_an_export_to_stdout_is_lines_of_its_schema(copy: Path):
    ran = run("journal", "export", "--sandbox", "nodes", cwd=copy)

    assert ran.code == 0
    assert ran.err == "saved: 1 rollout, 9 events, 3 records\n"
    lines = [json.loads(line) for line in ran.out.splitlines()]
    rules = schema("journal-line")
    for line in lines:
        jsonschema.validate(line, rules)
    kinds = [line["line"] for line in lines]
    assert {kind: kinds.count(kind) for kind in kinds} == {"rollout": 1, "event": 9, "record": 3, "table": 14}
    rollout = lines[0]["id"]
    shown = run("rollout", "show", rollout, "--json", "--sandbox", "nodes", cwd=copy).out.splitlines()
    assert [line["event"] for line in lines if line["line"] == "event"] == [
        {key: value for key, value in json.loads(event).items() if key != "format"} for event in shown
    ]


def test_an_export_to_a_file_is_private_and_overwrites_nothing(copy: Path):
    ran = run("journal", "export", "saved.jsonl", "--sandbox", "nodes", cwd=copy)

    file = copy / "saved.jsonl"
    assert (ran.code, ran.out, ran.err) == (0, "", "saved to saved.jsonl: 1 rollout, 9 events, 3 records\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == run("journal", "export", "--sandbox", "nodes", cwd=copy).out

    file.write_text("mine")
    again = run("journal", "export", "saved.jsonl", "--sandbox", "nodes", cwd=copy)
    assert again.code == 2
    assert again.err == "error: saved.jsonl is there already\nhint: Name another file, or replace it with --force.\n"
    assert file.read_text() == "mine"
    assert run("journal", "export", "saved.jsonl", "--force", "--sandbox", "nodes", cwd=copy).code == 0
    assert len(file.read_text().splitlines()) == 27


def test_an_export_of_a_damaged_journal_saves_the_rest_and_says_what_is_lost(copy: Path):
    whole = run("journal", "export", "--sandbox", "nodes", cwd=copy).out.splitlines()
    damage(copy)

    ran = run("journal", "export", "saved.jsonl", "--sandbox", "nodes", cwd=copy)

    assert ran.code == 5
    left = (copy / "saved.jsonl").read_text().splitlines()
    events = [line for line in left if '"line":"event"' in line or '"line":"rollout"' in line]
    assert set(events) <= set(whole)
    assert "page cannot be read" in ran.err
