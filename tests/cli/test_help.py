"""Help: every verb has examples, and finding a verb needs no guessing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from fleet.cli.command import VerbGroup
from fleet.cli.root import VERBS, root
from tests.cli.running import ROOT, run


def commands(group: VerbGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*path, name), found
        if isinstance(found, VerbGroup):
            yield from commands(found, (*path, name))


EVERY = dict(commands(root))


def test_the_verbs_of_this_version():
    assert {" ".join(path) for path in EVERY} == {
        "init", "validate", "schema", "lock", "render", "plan", "simulate", "apply", "status", "rollout", "rollout list",
        "rollout show", "rollout watch", "rollout pause", "rollout resume", "rollout approve", "rollout cancel", "rollout rollback", "rollout retry", "rollout catch-up", "journal", "journal check", "journal export", "node", "node list", "node show", "node log", "node trust", "node seed", "node adopt",
        "node replace", "node retire", "secret", "secret generate", "secret set", "secret get",
        "secret list", "secret rotate", "secret rekey", "import", "import ansible",
        "inventory", "doctor", "completion",
    }  # fmt: skip


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_has_an_example_that_calls_the_verb(path: tuple[str, ...]):
    command = EVERY[path]
    text = command.get_help(click.Context(command, info_name=f"fleet {' '.join(path)}"))

    examples = text.split("Examples:\n")[1]
    assert f"fleet {' '.join(path)}" in examples.replace("-C shop ", "").replace("-C /srv/shop ", "")


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_option_says_what_it_does(path: tuple[str, ...]):
    options = [parameter for parameter in EVERY[path].params if isinstance(parameter, click.Option)]

    assert [option.name for option in options if not option.help] == []


def test_the_line_of_a_verb_in_the_list_is_the_first_line_of_its_help():
    for path, command in EVERY.items():
        parent = root if len(path) == 1 else EVERY[path[:-1]]
        assert isinstance(parent, VerbGroup)
        assert (command.help or "").split("\n")[0] == parent.verbs[path[-1]], path


def test_the_root_lists_its_verbs_examples_and_exit_codes():
    ran = run("--help")

    assert ran.code == 0
    assert ran.err == ""
    assert all(f"\n  {name} " in ran.out for name in VERBS)
    assert "fleet init shop --example two-sites" in ran.out
    assert "3 differences" in " ".join(ran.out.split())


def test_no_verb_shows_the_help():
    ran = run()

    assert ran.code == 2
    assert "Verbs:" in ran.err


def test_the_version():
    assert run("--version") == (0, "fleet 0.1.0\n", "")


@pytest.mark.parametrize("module", ["fleet.cli", "fleet.cli.main"])
def test_the_command_as_a_module(module: str):
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "fleet 0.1.0\n")


def test_an_unknown_verb_is_met_with_the_nearest_one():
    assert run("aply") == (
        2,
        "",
        "error: no verb called `aply`. Did you mean `apply`?\nhint: fleet --help\n",
    )


def test_an_unknown_verb_of_a_group_too():
    ran = run("node", "lst")

    assert ran.code == 2
    assert ran.err == "error: no verb called `lst`. Did you mean `list`?\nhint: fleet node --help\n"


def test_an_unknown_option_names_the_verb_whose_help_to_read():
    ran = run("plan", "--sites", "lyon")

    assert ran.code == 2
    assert ran.err.startswith("error: No such option '--sites'.")
    assert ran.err.endswith("hint: fleet plan --help\n")


def test_global_options_work_before_and_after_the_verb(shop):
    before = run("-C", str(shop), "-v", "validate")
    after = run("validate", "-v", "-C", str(shop))

    assert before.code == after.code == 0
    assert before.out == after.out
    assert "left alone" in before.out
