"""The verbs that only K3s needs (lock, secret generate), and what apply refuses, on a copy of examples/two-sites."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from tests.cli.running import ROOT, Ran, run

PASSWORD = "hunter2"


def fresh(folder: Path) -> Path:
    """Without what `fleet lock` and `fleet secret generate` are to make."""
    shutil.copytree(ROOT / "examples" / "two-sites", folder, ignore=shutil.ignore_patterns("fleet.lock", "secrets*"))
    (folder.parent / "password").write_text(PASSWORD)
    return folder


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return fresh(tmp_path / "fleet")


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fresh(tmp_path_factory.mktemp("applied") / "fleet")
    for arguments in (["lock"], secret("generate"), secret("apply", "--sandbox", "../nodes")):
        done = run(*arguments, cwd=folder)
        assert done.code == 0, done
    return folder


@pytest.fixture
def living(applied: Path, tmp_path: Path) -> Path:
    """A copy of the applied fleet, of its password and of its nodes, to change."""
    shutil.copytree(applied.parent, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "fleet"


def secret(*arguments: str) -> list[str]:
    words = ["secret", *arguments] if arguments == ("generate",) else list(arguments)
    return [*words, "--vault-password-file", "../password"]


def lines(ran: Ran, output: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in ran.out.splitlines()]
    for each in found:
        jsonschema.validate(each, OUTPUTS[output].json_schema())
    return found


def test_a_version_has_to_be_locked_before_it_is_planned(fleet: Path):
    validated = run("validate", cwd=fleet)
    planned = run("plan", cwd=fleet)

    assert validated.code == 0
    assert validated.out.splitlines()[-1] == "fleet.lock does not pin v1.36.3+k3s1. Next: fleet lock"
    assert planned.code == 2
    assert planned.err.startswith("error: fleet.lock does not pin v1.36.3+k3s1\nhint: Run `fleet lock`")


def test_lock_pins_and_says_what_to_commit(fleet: Path):
    first = run("lock", cwd=fleet)
    before = (fleet / "fleet.lock").read_bytes()
    second = run("lock", cwd=fleet)

    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        "pinned v1.36.3+k3s1 from file:mirror",
        "fleet.lock pins 1 release",
        "git add fleet.lock && git commit: plans read nothing else",
    ]
    assert second == (0, "fleet.lock stays as it is: 1 release\n", "")
    assert (fleet / "fleet.lock").read_bytes() == before


def test_lock_as_json(fleet: Path):
    found = lines(run("lock", "--json", cwd=fleet), "lock-event")

    assert [each["type"] for each in found] == ["ReleasePinned", "Locked"]
    assert found[-1]["changed"] is True


def test_a_mirror_that_is_away_ends_with_5(fleet: Path):
    shutil.rmtree(fleet / "mirror")

    ran = run("lock", cwd=fleet)

    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("error: no mirror holds K3s v1.36.3+k3s1: ")
    assert not (fleet / "fleet.lock").exists()


def test_an_upgrade_of_a_channel_that_nobody_uses(fleet: Path):
    ran = run("lock", "--upgrade", "latest", cwd=fleet)

    assert ran == (2, "", "error: no node uses the channel `latest`\nhint: channels in use: none\n")


def test_secrets_are_made_once_and_never_shown(fleet: Path):
    first = run(*secret("generate"), cwd=fleet)
    before = (fleet / "secrets" / "lyon-1.yaml").read_bytes()
    second = run(*secret("generate"), cwd=fleet)

    assert first.code == 0
    assert first.out.splitlines() == [
        "secrets/lyon-1.yaml: lyon-1.k3s-token, lyon-1.k3s-agent-token",
        "secrets/turin-1.yaml: turin-1.k3s-token, turin-1.k3s-agent-token",
        "4 new secrets for 2 clusters",
        "git add secrets && git commit: apply never makes a secret",
    ]
    assert second == (0, "nothing to make: 2 clusters have their tokens\n", "")
    assert (fleet / "secrets" / "lyon-1.yaml").read_bytes() == before


def test_secrets_as_json(fleet: Path):
    found = lines(run(*secret("generate"), "--json", cwd=fleet), "secret-event")

    assert [each["type"] for each in found] == ["SecretsMade", "SecretsMade", "SecretsComplete"]


def test_secrets_need_a_password(fleet: Path):
    ran = run("secret", "generate", cwd=fleet)

    assert (ran.code, ran.out) == (2, "")
    assert "--vault-password-file" in ran.err
    assert list(fleet.rglob("secrets/*")) == []


def test_apply_makes_no_secret(fleet: Path):
    run("lock", cwd=fleet)

    ran = run(*secret("apply", "--sandbox", "../nodes"), cwd=fleet)

    assert (ran.code, ran.out) == (2, "")
    assert "hint: Run `fleet secret generate`" in ran.err
    assert not (fleet / "secrets").exists()


def test_a_wrong_password_changes_no_node(living: Path):
    shutil.rmtree(living.parent / "nodes")
    (living / "wrong").write_text("wrong")

    ran = run("apply", "--sandbox", "../nodes", "--vault-password-file", "wrong", cwd=living)

    assert (ran.code, ran.out) == (2, ""), ran
    assert "secrets/fleet.yaml: the password of vault id `default` does not open it" in ran.err
    assert not (living.parent / "nodes" / "lyon-1-a").exists()


def test_a_refused_plan_ends_with_2_and_is_not_applied(living: Path):
    site = living / "sites" / "lyon-1.yaml"
    site.write_text(
        site.read_text().replace("\nspec:\n", '\nspec:\n  k3s: {config: {cluster-cidr: "10.52.0.0/16"}}\n', 1)
    )

    plan = run("plan", "--sandbox", "../nodes", cwd=living)
    apply = run(*secret("apply", "--sandbox", "../nodes"), cwd=living)

    assert plan.code == apply.code == 2
    assert "docs/rules/immutable-keys.md" in plan.out
    assert "cluster-cidr" in plan.out
    assert apply.out == ""
    assert apply.err.startswith("error: ")
    assert "immutable-keys" in apply.err


def test_a_plan_that_is_refused_and_changes_no_node_ends_with_2_as_well(living: Path):
    (living / "sites" / "lyon-1.yaml").unlink()

    plan = run("plan", "--sandbox", "../nodes", cwd=living)
    apply = run(*secret("apply", "--sandbox", "../nodes"), cwd=living)

    assert "0 nodes change, 2 stay, 4 go" in plan.out
    assert (plan.code, apply.code, apply.out) == (2, 2, "")
    assert "refused, the first by max-removed" in apply.err


def test_what_is_declared_and_not_enforced_is_applied_only_when_told_so(living: Path):
    (living / "segmentation.yaml").write_text(
        "apiVersion: fleet/v1alpha1\nkind: Segmentation\nmetadata: {name: default}\n"
        "spec: {mode: enforce, zones: [{name: internet, cidrs: [0.0.0.0/0]}], flows: []}\n"
    )
    site = living / "profiles.yaml"
    site.write_text(site.read_text().replace("vm.swappiness: 10", "vm.swappiness: 20"))

    plan = run("plan", "--sandbox", "../nodes", cwd=living)
    refused = run(*secret("apply", "--sandbox", "../nodes"), cwd=living)

    assert plan.code == 3
    assert "not enforced yet" in plan.out
    assert refused.code == 2
    assert "--unenforced applies the rest all the same." in refused.err
    assert run(*secret("apply", "--sandbox", "../nodes", "--unenforced"), cwd=living).code == 0
