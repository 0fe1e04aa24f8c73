"""`fleet doctor`: each thing that is made wrong is said, and nothing is when all is well."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleet.cli.documents import OUTPUTS
from tests.cli.running import ROOT, run

AUTHOR = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "ops") | dict.fromkeys(
    ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ops@acme.example"
)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """examples/two-sites, locked, in a repository that ignores .fleet/."""
    folder = tmp_path / "fleet"
    shutil.copytree(ROOT / "examples" / "two-sites", folder)
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text(".fleet/\n")
    assert run("lock", cwd=folder).code == 0
    return folder


def diagnoses(folder: Path, *words: str, code: int = 3, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    done = run("doctor", "--json", *words, cwd=folder, env={**AUTHOR, **(env or {})})
    assert done.code == code, done
    printed = json.loads(done.out)
    jsonschema.validate(printed, OUTPUTS["doctor"].json_schema())
    found: list[dict[str, Any]] = printed["diagnoses"]
    return found


def doubts(*arguments: Any, **more: Any) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in diagnoses(*arguments, **more) if each["outcome"] != "ok"}


def test_all_is_well_in_a_sandbox(fleet: Path) -> None:
    found = diagnoses(fleet, "--sandbox", "nodes", code=0)

    assert {each["outcome"] for each in found} == {"ok"}
    assert {"ansible", "git", "ssh", "path", "lock", "mirror", "clock", "room", "python"} <= {
        each["check"] for each in found
    }
    assert [path for path in fleet.rglob("nodes/**/*") if path.is_file() and ".fleet" not in path.parts] == []


def test_what_is_wrong_comes_with_what_to_do(fleet: Path) -> None:
    (fleet / "fleet.lock").unlink()
    (fleet / ".gitignore").unlink()

    done = run("doctor", "--no-nodes", cwd=fleet, env=AUTHOR)

    assert done.code == 3
    assert "wrong   lock: fleet.lock does not pin it (v1.36.3+k3s1)\n        fleet lock, and commit.\n" in done.out
    assert "warning repository: git does not ignore .fleet/\n        Add .fleet/ to .gitignore" in done.out
    assert "warning host-keys: no host key is pinned (lyon-1-a, lyon-1-b, lyon-1-c and 3 more)" in done.out
    assert done.out.splitlines()[-1].startswith("3 things to look at, ")


def test_a_mirror_that_lost_a_file(fleet: Path) -> None:
    shutil.rmtree(fleet / "mirror")

    found = doubts(fleet, "--sandbox", "nodes")["mirror"]

    assert (found["outcome"], found["subjects"]) == ("warning", ["file:mirror"])
    assert "k3s" in found["message"]


def test_another_program_named_fleet_on_path(fleet: Path, tmp_path: Path) -> None:
    other = tmp_path / "bin" / "fleet"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho Rancher\n")
    other.chmod(0o755)
    path = {"PATH": f"{other.parent}:/usr/bin:/bin"}

    found = doubts(fleet, "--sandbox", "nodes", env=path)

    assert set(found) == {"path"}
    assert (found["path"]["outcome"], found["path"]["subjects"]) == ("wrong", [str(other)])


def test_a_second_copy_of_this_program_is_no_other_one(fleet: Path, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "fleet"
    script.parent.mkdir()
    script.write_text("#!/usr/bin/python3\nfrom fleet.cli.main import main\nmain()\n")
    script.chmod(0o755)

    assert diagnoses(fleet, "--no-nodes", "--sandbox", "nodes", code=0, env={"PATH": f"{script.parent}:/usr/bin:/bin"})


def test_a_folder_of_that_name_is_no_program(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "work" / "fleet").mkdir(parents=True)

    diagnoses(fleet, "--no-nodes", "--sandbox", "nodes", code=0, env={"PATH": f"{tmp_path / 'work'}:/usr/bin:/bin"})


def test_a_machine_without_ssh_and_git(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    found = doubts(shop, "--no-nodes", "--sandbox", "nodes", env={"PATH": str(tmp_path / "empty")})

    assert {found[name]["message"] for name in ("git", "ssh")} == {"git is not there", "OpenSSH is not there"}


def test_a_node_that_does_not_answer(shop: Path) -> None:
    paris = shop / "sites" / "paris.yaml"
    paris.write_text(paris.read_text().replace("10.20.2.11", "127.0.0.1, connection: {port: 9}"))

    found = doubts(shop, "--node", "paris-a")["contact"]

    assert found["subjects"] == ["paris-a"]
    assert found["message"].endswith("; never answered yet")
