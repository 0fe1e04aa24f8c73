"""What `--json` prints is what `fleet schema --output` says, and its formats have stable names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from tests.cli.running import run


def schema(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(OUTPUTS[output].json_schema()))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_schema_prints_the_schema_of_an_output():
    ran = run("schema", "--output", "status")

    assert ran.code == 0
    assert json.loads(ran.out) == schema("status")


def test_the_formats_by_name():
    assert {name: output.format for name, output in OUTPUTS.items()} == {
        "plan": "fleet.plan-report/v1",
        "status": "fleet.status/v1",
        "certificates": "fleet.certificates/v1",
        "event": "fleet.event/v1",
        "validation": "fleet.validation/v1",
        "nodes": "fleet.nodes/v1",
        "node": "fleet.node/v1",
        "node-log": "fleet.node-log/v1",
        "results": "fleet.results/v1",
        "offline": "fleet.offline/v1",
        "rollouts": "fleet.rollouts/v1",
        "answer": "fleet.answer/v1",
        "detached": "fleet.detached/v1",
        "simulation": "fleet.simulation/v1",
        "lock-event": "fleet.lock-event/v1",
        "secret-event": "fleet.secret-event/v1",
        "secrets": "fleet.secret-list/v1",
        "import": "fleet.import/v1",
        "journal": "fleet.journal/v1",
        "journal-line": "fleet.journal-line/v1",
        "render": "fleet.render/v1",
        "keys": "fleet.keys/v1",
        "host-event": "fleet.host-event/v1",
        "doctor": "fleet.doctor/v1",
    }


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_schema_asks_for_its_format(output: str):
    found = schema(output)

    assert found["title"] == OUTPUTS[output].format
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": "fleet.other/v1"}, found)


@pytest.mark.parametrize(
    ("arguments", "output", "code"),
    [
        (["plan", "--sandbox", "elsewhere"], "plan", 3),
        (["plan", "--sandbox", "nodes"], "plan", 0),
        (["status", "--sandbox", "nodes"], "status", 0),
        (["status", "--certificates", "--sandbox", "nodes"], "certificates", 0),
        (["simulate", "--sandbox", "nodes", "--all"], "simulation", 0),
        (["validate"], "validation", 0),
        (["node", "list", "--sandbox", "nodes"], "nodes", 0),
        (["node", "show", "lyon-a", "--sandbox", "nodes", "--origin", "--log"], "node", 0),
        (["node", "log", "lyon-a", "--sandbox", "nodes", "--output"], "node-log", 0),
        (["status", "--offline", "--sandbox", "nodes"], "offline", 0),
        (["rollout", "list", "--sandbox", "nodes"], "rollouts", 0),
        (["journal", "check", "--sandbox", "nodes"], "journal", 0),
        (["render", "{tmp}/rendered"], "render", 0),
    ],
)
def test_a_document(applied_shop: Path, tmp_path: Path, arguments: list[str], output: str, code: int):
    ran = run(*[text.format(tmp=tmp_path) for text in arguments], "--json", cwd=applied_shop)

    assert ran.code == code, ran.err
    found = json.loads(ran.out)
    assert found["format"] == OUTPUTS[output].format
    jsonschema.validate(found, schema(output))


def test_the_lines_of_a_rollout(applied_shop: Path):
    rollouts = json.loads(run("rollout", "list", "--json", "--sandbox", "nodes", cwd=applied_shop).out)["rollouts"]

    ran = run("rollout", "show", rollouts[0]["id"], "--json", "--sandbox", "nodes", cwd=applied_shop)

    events = [json.loads(line) for line in ran.out.splitlines()]
    rules = schema("event")
    for event in events:
        jsonschema.validate(event, rules)
    assert (events[0]["event"], events[-1]["event"]) == ("RolloutStarted", "RolloutFinished")
    assert sum(event["event"] == "NodeApplied" for event in events) == 3


def test_apply_prints_the_events_that_the_journal_keeps(shop: Path):
    ran = run("apply", "--sandbox", "nodes", "--json", cwd=shop)

    assert ran.code == 0, ran.err
    rollout = json.loads(ran.out.splitlines()[0])["rollout_id"]
    assert run("rollout", "show", rollout, "--json", "--sandbox", "nodes", cwd=shop).out == ran.out


def test_apply_with_nothing_to_do_prints_no_event(applied_shop: Path):
    ran = run("apply", "--sandbox", "nodes", "--json", cwd=applied_shop)

    assert (ran.code, ran.out) == (0, "")
    assert "Nothing to do: 3 nodes hold what git wants" in ran.err


def test_mistakes_as_a_document(shop: Path):
    (shop / "sites" / "paris.yaml").write_text(
        "apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: PARIS}\nspec: {}\n"
    )

    ran = run("validate", "--json", cwd=shop)

    assert ran.code == 2
    found = json.loads(ran.out)
    jsonschema.validate(found, schema("validation"))
    assert found["is_valid"] is False
    assert [(problem["file"], problem["line"], problem["column"]) for problem in found["problems"]] == [
        ("sites/paris.yaml", 3, 18)
    ]


def test_the_spec_has_a_schema_too(applied_shop: Path):
    rules = json.loads(run("schema").out)

    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.validate({"apiVersion": "fleet/v1alpha1", "kind": "Site", "metadata": {"name": "a"}, "spec": {}}, rules)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"apiVersion": "fleet/v1alpha1", "kind": "Sitee", "metadata": {"name": "a"}}, rules)


def test_an_output_that_nobody_prints():
    ran = run("schema", "--output", "plam")

    assert ran == (2, "", "error: no verb prints `plam`\nhint: did you mean `plan`?\n")


def test_the_inventory_is_what_ansible_reads(applied_shop: Path, tmp_path: Path):
    listed = json.loads(run("inventory", "--list", cwd=applied_shop).out)
    host = json.loads(run("inventory", "--host", "lyon-a", cwd=applied_shop).out)

    assert sorted(listed["_meta"]["hostvars"]) == ["lyon-a", "lyon-b", "paris-a"]
    assert sorted(listed["site_lyon"]["hosts"]) == ["lyon-a", "lyon-b"]
    assert host == listed["_meta"]["hostvars"]["lyon-a"]


@pytest.mark.parametrize("arguments", [[], ["--list", "--host", "lyon-a"]])
def test_the_inventory_wants_one_question(shop: Path, arguments: list[str]):
    assert run("inventory", *arguments, cwd=shop) == (2, "", "error: expected one of --list and --host NAME\n")


def test_a_host_that_is_not_there(shop: Path):
    ran = run("inventory", "--host", "lyon-z", cwd=shop)

    assert ran == (2, "", "error: the fleet has no node called lyon-z\nhint: fleet node list\n")


def test_events_of_a_damaged_journal_are_told(applied_shop: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(applied_shop, copy)
    for path in (copy / "nodes" / ".fleet").glob("*.db*"):
        path.write_bytes(b"no database at all" * 400)

    ran = run("status", "--sandbox", "nodes", cwd=copy)

    assert ran.code in {2, 5}
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
