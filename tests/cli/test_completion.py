"""Completion: the scripts that shells evaluate, and the names they offer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.detaching import BOX, gone, rollout, row, until
from tests.cli.running import environment, run
from tests.cli.test_detach import GATED

BASH = """
eval "$(%(name)s completion bash)"
COMP_WORDS=(%(words)s)
COMP_CWORD=%(at)d
_%(name)s_completion %(name)s
printf '%%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with the command under both of its names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("fleet", "edgefleet"):
        script = folder / name
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom fleet.cli.main import main\nsys.exit(main())\n")
        script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def complete(words: str, *, cwd: Path, path: str) -> list[str]:
    """What bash offers for the last of `words`, by really evaluating the script."""
    name = words.split(maxsplit=1)[0]
    script = BASH % {"name": name, "words": words, "at": len(words.split()) - 1}
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=environment({"PATH": path}), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes_verbs(shop: Path, path: str):
    assert complete("fleet re", cwd=shop, path=path) == ["render"]
    assert complete("fleet s", cwd=shop, path=path) == ["schema", "simulate", "status", "secret"]


def test_bash_completes_verbs_of_groups(shop: Path, path: str):
    assert complete("fleet node ''", cwd=shop, path=path) == [
        *("list", "show", "log", "seed", "trust", "adopt", "replace", "retire"),
    ]


def test_bash_completes_a_verb_that_is_a_word_of_pythons(shop: Path, path: str):
    assert complete("fleet im", cwd=shop, path=path) == ["import"]
    assert complete("fleet import ''", cwd=shop, path=path) == ["ansible"]
    assert complete("fleet import ansible --s", cwd=shop, path=path) == ["--site-group", "--server-group"]


def test_bash_completes_options(shop: Path, path: str):
    assert complete("fleet plan --s", cwd=shop, path=path) == ["--site", "--selector", "--sandbox"]


def test_bash_completes_names_of_nodes_and_sites(shop: Path, path: str):
    assert complete("fleet node show ''", cwd=shop, path=path) == ["lyon-a", "lyon-b", "paris-a"]
    assert complete("fleet node show lyon-", cwd=shop, path=path) == ["lyon-a", "lyon-b"]
    assert complete("fleet plan --site ''", cwd=shop, path=path) == ["lyon", "paris"]


def test_bash_completes_names_of_the_fleet_that_c_names(shop: Path, path: str):
    assert complete("fleet -C shop plan --node par", cwd=shop.parent, path=path) == ["paris-a"]


def test_bash_completes_rollouts_of_the_sandbox(applied_shop: Path, path: str):
    (rollout,) = json.loads(run("rollout", "list", "--json", "--sandbox", "nodes", cwd=applied_shop).out)["rollouts"]

    for verb in ("show", "watch", "pause", "resume", "approve", "cancel", "rollback", "retry"):
        assert complete(f"fleet rollout {verb} --sandbox nodes ''", cwd=applied_shop, path=path) == [rollout["id"]]
    assert complete("fleet rollout pause ''", cwd=applied_shop, path=path) == [""]


def test_bash_completes_policies(shop: Path, path: str):
    assert complete("fleet plan --policy ''", cwd=shop, path=path) == [""]
    (shop / ".fleet").mkdir()
    (shop / "policy.yaml").write_text(GATED + GATED.replace("gated", "careful"))

    assert complete("fleet plan --policy ''", cwd=shop, path=path) == ["careful", "gated"]
    assert complete("fleet apply --policy ga", cwd=shop, path=path) == ["gated"]
    assert complete("fleet plan --site ''", cwd=shop, path=path) == ["lyon", "paris"]


def test_bash_completes_the_wave_that_waits(shop: Path, path: str):
    (shop / "policy.yaml").write_text(GATED)
    ran = run("apply", *BOX, "--policy", "gated", "--detach", "--json", cwd=shop)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    approve = f"fleet rollout approve {found['rollout_id']} --sandbox nodes --wave"
    try:
        until(lambda: row(found, shop)["waits_for"] == "an approval of wave ramp")
        assert complete(f"{approve} ''", cwd=shop, path=path) == ["ramp"]
        assert complete(f"{approve} p", cwd=shop, path=path) == [""]
        assert complete("fleet rollout approve dead --sandbox nodes --wave ''", cwd=shop, path=path) == [""]
    finally:
        rollout("cancel", found, shop)
        gone(found["pid"])
    assert complete(f"{approve} ''", cwd=shop, path=path) == [""]


def test_names_that_an_older_fleet_kept_are_made_anew(shop: Path, path: str):
    (shop / ".fleet").mkdir()
    complete("fleet node show par", cwd=shop, path=path)
    kept = shop / ".fleet" / "names.json"
    kept.write_text(json.dumps({"key": json.loads(kept.read_text())["key"], "names": {"old": "old"}}))

    assert complete("fleet node show ''", cwd=shop, path=path) == ["lyon-a", "lyon-b", "paris-a"]


def test_a_spec_that_is_wrong_gives_no_names_and_no_noise(shop: Path, path: str):
    (shop / "fleet.yaml").write_text("{")

    assert complete("fleet node show ''", cwd=shop, path=path) == [""]


def test_kept_names_are_renewed_when_the_spec_changes(shop: Path, path: str):
    (shop / ".fleet").mkdir()
    assert complete("fleet node show par", cwd=shop, path=path) == ["paris-a"]
    assert (shop / ".fleet" / "names.json").stat().st_mode & 0o777 == 0o600

    site = shop / "sites" / "paris.yaml"
    site.write_text(site.read_text().replace("paris-a", "paris-bis"))

    assert complete("fleet node show par", cwd=shop, path=path) == ["paris-bis"]


def test_completion_leaves_no_folder_behind(shop: Path, path: str):
    before = sorted(shop.rglob("*"))
    complete("fleet plan --site ''", cwd=shop, path=path)

    assert [each for each in sorted(shop.rglob("*")) if each not in before and ".fleet" not in each.parts] == []


@pytest.mark.parametrize(
    ("shell", "marks"),
    [
        ("bash", ["_fleet_completion() {", "_FLEET_COMPLETE=bash_complete $1", "-F _fleet_completion fleet"]),
        ("zsh", ["#compdef fleet", "_FLEET_COMPLETE=zsh_complete", "compdef _fleet_completion fleet"]),
        ("fish", ["function _fleet_completion", "_FLEET_COMPLETE=fish_complete", "--command fleet"]),
    ],
)
def test_the_script_of_each_shell(shell: str, marks: list[str]):
    ran = run("completion", shell)

    assert ran.code == 0
    assert [mark for mark in marks if mark not in ran.out] == []


@pytest.mark.parametrize("shell", [name for name in ("bash", "zsh") if shutil.which(name)])
def test_shells_that_are_here_accept_their_script(shell: str):
    script = run("completion", shell).out

    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_second_name_completes_too(shop: Path, path: str):
    assert complete("edgefleet node show par", cwd=shop, path=path) == ["paris-a"]
