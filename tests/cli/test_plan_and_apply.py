"""plan, apply and what looks at them, on sandbox nodes: the words and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import run


@pytest.fixture
def living(applied_shop: Path, tmp_path: Path) -> Path:
    """A copy of the applied shop, to change."""
    folder = tmp_path / "shop"
    shutil.copytree(applied_shop, folder, symlinks=True)
    return folder


def greet(folder: Path, text: str) -> None:
    path = folder / "fleet.yaml"
    path.write_text(path.read_text().replace("hello", text))


def test_a_plan_with_changes_ends_with_3_and_writes_nothing_on_nodes(shop: Path):
    ran = run("plan", "--sandbox", "nodes", cwd=shop)

    assert (ran.code, ran.err) == (3, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("fleet shop at a folder outside git against 3 nodes of which none has reported yet")
    assert lines[2] == "3 nodes change, 0 stay, 0 go"
    assert not (shop / "nodes" / "lyon-a").exists()


def test_a_plan_without_changes_ends_with_0(applied_shop: Path):
    ran = run("plan", "--sandbox", "nodes", cwd=applied_shop)

    assert ran.code == 0
    assert "Nothing to do: 3 nodes hold what git wants" in ran.out


def test_a_pipe_gets_lines_and_no_question(shop: Path):
    ran = run("apply", "--sandbox", "nodes", cwd=shop)

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    rollout = lines[0].split()[1]
    assert lines[0] == f"rollout {rollout} of a folder outside git, 1 wave, 3 nodes"
    assert "applied 3 nodes (lyon-a, lyon-b, paris-a)" in lines
    assert lines[-1] == f"rollout {rollout} done: 3 applied"
    assert (shop / "nodes" / "paris-a" / "etc" / "shop.conf").read_text() == "greeting = hello paris-a\n"


def test_a_changed_line_is_shown_and_brought_to_all(living: Path):
    greet(living, "welcome")

    plan = run("plan", "--sandbox", "nodes", cwd=living)
    assert plan.code == 3
    assert "- greeting = hello " in plan.out
    assert "+ greeting = welcome " in plan.out

    assert run("apply", "--sandbox", "nodes", cwd=living).code == 0
    assert (living / "nodes" / "lyon-b" / "etc" / "shop.conf").read_text() == "greeting = welcome lyon-b\n"
    assert run("plan", "--sandbox", "nodes", cwd=living).code == 0


@pytest.mark.parametrize(
    ("narrowing", "nodes"),
    [
        (["--site", "lyon"], ["lyon-a", "lyon-b"]),
        (["--site", "lyon", "--site", "paris"], ["lyon-a", "lyon-b", "paris-a"]),
        (["--selector", "ring=pilot"], ["lyon-a", "lyon-b"]),
        (["--node", "lyon-b"], ["lyon-b"]),
        (["--limit", "1"], ["lyon-a"]),
        (["--site", "lyon", "--limit", "1"], ["lyon-a"]),
    ],
)
def test_narrowing(shop: Path, narrowing: list[str], nodes: list[str]):
    plan = json.loads(run("plan", *narrowing, "--json", cwd=shop).out)
    listed = json.loads(run("node", "list", *narrowing, "--json", cwd=shop).out)

    assert [node["node"] for node in plan["nodes"]] == nodes
    assert [node["name"] for node in listed["nodes"]] == nodes


def test_apply_is_narrowed_as_plan_is(shop: Path):
    assert run("apply", "--sandbox", "nodes", "--node", "lyon-b", cwd=shop).code == 0

    states = json.loads(run("node", "list", "--sandbox", "nodes", "--json", cwd=shop).out)["nodes"]
    assert {node["name"]: node["state"] for node in states} == {
        "lyon-a": "never", "lyon-b": "current", "paris-a": "never",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("narrowing", "said"),
    [(["--site", "lyn"], "lyn"), (["--node", "lyon-z"], "lyon-z"), (["--selector", "=="], "==")],
)
def test_narrowing_to_what_is_not_there_is_a_mistake(shop: Path, narrowing: list[str], said: str):
    ran = run("plan", *narrowing, cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_saved_plan_is_carried_out_where_it_was_made(shop: Path):
    assert run("plan", "--sandbox", "nodes", "--site", "paris", "--out", "plan.json", cwd=shop).code == 3
    assert (shop / "plan.json").stat().st_mode & 0o777 == 0o600

    ran = run("apply", "plan.json", cwd=shop)

    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (shop / "nodes").glob("*-*")) == ["paris-a"]


def test_a_saved_plan_that_no_longer_holds_is_refused(shop: Path):
    run("plan", "--sandbox", "nodes", "--out", "plan.json", cwd=shop)
    greet(shop, "welcome")

    ran = run("apply", "plan.json", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "hint: " in ran.err
    assert not (shop / "nodes" / "lyon-a").exists()


def test_a_saved_plan_has_its_own_scope(shop: Path):
    run("plan", "--out", "plan.json", cwd=shop)

    ran = run("apply", "plan.json", "--site", "lyon", cwd=shop)

    assert ran.code == 2
    assert ran.err == (
        "error: a saved plan has its own scope and policy\n"
        "hint: leave out --site, --selector, --node, --limit and --policy\n"
    )


@pytest.mark.parametrize("text", ["", "{}", '{"format": "fleet.plan/v9"}', "not json"])
def test_a_file_that_is_no_plan(shop: Path, text: str):
    (shop / "plan.json").write_text(text)

    ran = run("apply", "plan.json", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "plan.json" in ran.err


def test_hosts_are_changed_from_a_commit_only(shop: Path):
    ran = run("apply", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "error: hosts are changed from a commit, and this is a folder outside git\n"
        "hint: Commit first, or say --allow-dirty.\n"
    )


def test_a_node_that_fails_ends_with_4_and_its_reason(shop: Path):
    """A folder stands where the node's file is to be: the real module's own words come through."""
    (shop / "nodes" / "lyon-a" / "etc" / "shop.conf" / "in-the-way").mkdir(parents=True)

    ran = run("apply", "--sandbox", "nodes", cwd=shop)

    assert ran.code == 4, ran
    failed = [line for line in ran.out.splitlines() if line.startswith("failed lyon-a: ")]
    assert len(failed) == 1
    assert "shop.conf" in failed[0]
    assert "(fleet node log lyon-a --sandbox nodes)" in failed[0]
    assert ran.out.splitlines()[-1] == "fleet apply --sandbox nodes tries the rest again"
    log = run("node", "show", "lyon-a", "--log", "--sandbox", "nodes", cwd=shop).out
    assert "shop.conf" in log.splitlines()[-1]


def test_refresh_finds_what_the_folder_lost(living: Path):
    shutil.rmtree(living / "nodes" / ".fleet")
    assert run("plan", "--sandbox", "nodes", cwd=living).code == 3

    ran = run("plan", "--refresh", "--sandbox", "nodes", cwd=living)

    assert ran.code == 0, ran
    assert ran.err == ""
    assert "Nothing to do: 3 nodes hold what git wants" in ran.out


def test_detail_names_every_node_and_change(living: Path):
    greet(living, "welcome")

    ran = run("plan", "--detail", "--sandbox", "nodes", cwd=living)

    lines = ran.out.splitlines()
    named = [line for line in lines if line.startswith(("lyon-a (none at lyon): b1:", "paris-a (none at paris): b1:"))]
    assert len(named) == 2
    assert sum(line.startswith("  ~ file /etc/shop.conf") and "->" in line for line in lines) == 3


def test_status(applied_shop: Path):
    ran = run("status", "--sandbox", "nodes", cwd=applied_shop)

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == (
        f"git is at a folder outside git; 3 nodes have been applied in the sandbox {applied_shop}/nodes"
    )
    assert lines[3].split()[:3] == ["no", "commit", "3"]
    assert lines[3].endswith("lyon-a, lyon-b, paris-a")
    assert lines[6].split()[1] == "finished"
    assert lines[-1] == "fleet plan shows what would change"


def test_status_before_anything(shop: Path):
    ran = run("status", cwd=shop)

    assert ran.code == 0
    assert ran.out.splitlines()[0] == "git is at a folder outside git; 0 nodes have been applied"


def test_node_list(applied_shop: Path):
    ran = run("node", "list", "--sandbox", "nodes", cwd=applied_shop)

    assert ran.code == 0
    assert ran.err == "3 nodes: 3 as wanted\n"
    lines = ran.out.splitlines()
    assert lines[0].split() == ["NODE", "SITE", "ROLE", "STATE", "K3S", "COMMIT", "ADDRESS", "ARCH"]
    assert lines[1].split()[:5] == ["lyon-a", "lyon", "none", "as", "wanted"]


def test_node_show_with_origins(applied_shop: Path):
    ran = run("node", "show", "lyon-a", "--origin", "--sandbox", "nodes", cwd=applied_shop)

    assert ran.code == 0
    assert ran.out.startswith("lyon-a: none at lyon, as wanted\n  address  10.20.1.11\n")
    rows = {line.split()[0]: line.split()[1] for line in ran.out.splitlines() if ".yaml:" in line}
    assert rows["os.files[/etc/shop.conf].content"] == "fleet.yaml:13"


def test_each_origin_is_the_place_of_its_own_value(shop: Path):
    path = shop / "fleet.yaml"
    path.write_text(
        path.read_text().replace(
            '- {path: /etc/shop.conf, content: "greeting = hello {{ node.name }}\\n"}',
            "- path: /etc/shop.conf\n        mode: '0640'\n        content: hello\n  vars: {b: 2}",
        )
    )
    site = shop / "sites" / "lyon.yaml"
    site.write_text(site.read_text() + "  vars: {a: 1}\n")

    found = json.loads(run("node", "show", "lyon-a", "--origin", "--json", cwd=shop).out)

    where = {origin["path"]: origin["where"] for origin in found["origins"]}
    assert {path: where[path] for path in where if path.startswith(("vars", "os"))} == {
        "os.files[/etc/shop.conf].path": "fleet.yaml:13",
        "os.files[/etc/shop.conf].mode": "fleet.yaml:14",
        "os.files[/etc/shop.conf].content": "fleet.yaml:15",
        "vars.a": "sites/lyon.yaml:8",
        "vars.b": "fleet.yaml:16",
    }


def test_node_show_of_a_name_that_is_not_there(shop: Path):
    ran = run("node", "show", "lyon-z", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "lyon-z" in ran.err


def test_rollout_list_and_show(applied_shop: Path):
    listed = run("rollout", "list", "--sandbox", "nodes", cwd=applied_shop)
    rollout = listed.out.splitlines()[1].split()[0]

    shown = run("rollout", "show", rollout, "--sandbox", "nodes", cwd=applied_shop)

    assert shown.code == 0
    assert shown.out.splitlines()[-1] == f"rollout {rollout} done: 3 applied"
    unknown = run("rollout", "show", "ffff", "--sandbox", "nodes", cwd=applied_shop)
    assert unknown.code == 2
    assert "ffff" in unknown.err


def test_render_says_what_it_wrote_and_touches_nothing_twice(shop: Path, tmp_path: Path):
    folder = tmp_path / "rendered"
    first = run("render", str(folder), cwd=shop)
    second = run("render", str(folder), cwd=shop)

    written = int(first.out.split()[1].replace(",", ""))
    assert first.out == f"{folder}: {written:,} files written, 0 unchanged, 0 removed\n"
    assert second.out == f"{folder}: 0 files written, {written:,} unchanged, 0 removed\n"


def test_validate_counts(shop: Path):
    ran = run("validate", cwd=shop)

    assert ran == (0, "fleet shop is valid: 3 nodes at 2 sites in 0 clusters, from 4 documents\n", "")
