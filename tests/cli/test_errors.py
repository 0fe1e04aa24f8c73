"""What goes wrong: a few lines on stderr, the mend, and the exit code that scripts rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, ROOT, environment, run

BROKEN_VERB = """
import sys, types
import click
from fleet.cli.command import verb
from fleet.cli.main import main
from fleet.cli.root import root

@verb("broken", examples=["fleet broken"])
def command():
    secret = "hunter2"
    raise KeyError("https://ops:hunter2@git.example/fleet password=hunter2")

module = types.ModuleType("fleet.cli.verbs.broken")
module.command = command
sys.modules["fleet.cli.verbs.broken"] = module
root.verbs["broken"] = "Fail."
sys.exit(main())
"""


def broken(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with a verb that raises what nobody foresaw."""
    return subprocess.run(
        [sys.executable, "-c", BROKEN_VERB, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_every_mistake_of_a_spec_at_once(shop: Path):
    path = shop / "sites" / "lyon.yaml"
    path.write_text(path.read_text().replace("10.20.1.11", "10.20.1.12").replace("role: none", "rolle: none", 1))

    ran = run("validate", cwd=shop)

    assert ran.code == 2
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert lines[0].startswith("sites/lyon.yaml:6:")
    assert "unknown field. Did you mean `role`?" in lines[0]
    assert lines[-1].endswith("in 1 of 4 documents.")


@pytest.mark.parametrize("verb", [["plan"], ["apply"], ["node", "list"], ["inventory", "--list"], ["render", "out"]])
def test_every_verb_that_reads_the_spec_ends_with_2_when_it_is_wrong(shop: Path, verb: list[str]):
    (shop / "fleet.yaml").write_text("apiVersion: fleet/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspek: {}\n")

    ran = run(*verb, cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "fleet.yaml:4:1" in ran.err


def test_a_folder_that_is_not_there(tmp_path: Path):
    ran = run("-C", str(tmp_path / "none"), "plan")

    assert ran.code == 2
    assert ran.err.startswith(f"error: {tmp_path}/none is no folder\nhint: ")


def test_what_nobody_foresaw_ends_with_1_and_tells_no_secret():
    done = broken("broken")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: fleet failed by a mistake of its own: KeyError in ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_v_shows_the_traceback_without_secrets():
    done = broken("-v", "--log-format", "json", "broken")

    assert done.returncode == 1
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["level"] == "error"
    assert "Traceback (most recent call last)" in told["text"]
    assert "https://(hidden)@git.example/fleet password=(hidden)" in told["text"]


def test_a_reader_that_goes_away_ends_nothing(shop: Path):
    """As `fleet schema | head -1`: the pipe is closed long before everything is written."""
    child = subprocess.Popen(
        [*COMMAND, "schema"], cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.read(1)
    child.stdout.close()

    assert child.stderr.read() == b""
    assert child.wait(timeout=30) == 0
    child.stderr.close()


def test_the_exit_code_stands_even_if_nobody_reads(shop: Path):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(COMMAND)} plan | true"],
        cwd=shop, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (3, "")


def test_a_full_disk_behind_stdout(shop: Path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "validate"], cwd=shop, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip

    assert done.returncode == 5
    assert done.stderr == "error: cannot write the output: No space left on device\n"


def test_texts_of_a_repository_reach_no_terminal(shop: Path):
    """A name in a spec, or a reason from a node, may hold what a terminal obeys."""
    path = shop / "sites" / "lyon.yaml"
    path.write_text(path.read_text().replace("role: none", 'role: "no\\e[2Jne"', 1))

    ran = run("validate", cwd=shop)

    assert ran.code == 2
    assert "\x1b" not in ran.err
