"""What READMEs say that commands print is what they print: each is run, up to the first apply."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, blocks, transcript

BIN = Path(sys.executable).parent
QUIET = ("init", "render")
"""Verbs that are run without a look at what they print: pages leave it out, or it is too much to write to disk."""


class Reader:
    """Types what a page says, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        password = folder / "vault-password"
        password.write_text("only for this test\n")
        self.environment = {
            "PATH": f"{BIN}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(folder),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Docs",
            "GIT_AUTHOR_EMAIL": "docs@acme.example",
            "GIT_COMMITTER_NAME": "Docs",
            "GIT_COMMITTER_EMAIL": "docs@acme.example",
        }

    def type(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout


def same(text: str) -> str:
    """Without what differs each time: commits, and where the sandbox is."""
    return re.sub(r"(?<=sandbox )/\S+", "FOLDER", re.sub(r"\b[0-9a-f]{7}\b", "COMMIT", text)).strip()


def checked(page: Path, folder: Path) -> list[str]:
    """Runs the page's commands until the first apply. Gives those whose output was held against the page."""
    reader = Reader(folder)
    held = []
    for command, printed in transcript(page):
        words = shlex.split(command)
        if words[:2] == ["fleet", "apply"]:
            break
        if words[0] == "cd":
            reader.folder /= words[1]
        elif words[0] in ("git", "sed"):
            reader.type(command)
        elif words[0] == "fleet" and words[1] != "render":
            told = reader.type(command)
            if words[1] not in QUIET:
                assert same(told) == same(printed), command
                held.append(" ".join(words[1:3]))
    return held


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("examples/two-sites/README.md", ["lock", "secret generate", "validate", "plan --sandbox"]),
        ("examples/gpu-sites/README.md", ["secret generate", "validate"]),
        ("examples/retail/README.md", ["validate", "plan", "plan --selector", "node list"]),
        ("docs/start.md", ["--version", "lock", "secret generate", "validate", "plan --sandbox", "validate"]),
    ],
)
def test_commands_print_what_the_page_says(page: str, expected: list[str], tmp_path: Path):
    assert checked(ROOT / page, tmp_path)[: len(expected)] == expected


def test_secrets_are_kept_as_their_page_says(tmp_path: Path):
    (tmp_path / "registry-password").write_text("hunter2\n")
    (tmp_path / "new-password").write_text("another one\n")

    held = checked(ROOT / "docs" / "secrets.md", tmp_path)

    assert [words for words in held if words != "lock"] == [
        f"secret {verb}" for verb in ("generate", "set", "set", "get", "list", "rotate", "rotate", "rotate", "rekey")
    ]


def test_rehearsals_say_and_draw_what_their_page_shows(tmp_path: Path):
    held = checked(ROOT / "docs" / "simulate.md", tmp_path)

    assert held == ["simulate --all", "simulate --all", "simulate --all"]
    drawn = (tmp_path / "shops" / "timeline.svg").read_text()
    assert drawn == (ROOT / "docs" / "simulate.svg").read_text(), "the page's last command makes it anew"


def test_the_import_prints_what_its_page_says(tmp_path: Path):
    page = ROOT / "docs" / "import.md"
    reader = Reader(tmp_path)
    (tmp_path / "inventory" / "group_vars").mkdir(parents=True)
    for path, text in zip(("hosts.yml", "group_vars/tills.yml"), blocks(page, "yaml"), strict=True):
        (tmp_path / "inventory" / path).write_text(text)

    typed = transcript(page)

    assert [command.split()[1] for command, _ in typed] == ["import", "-C"]
    for command, printed in typed:
        assert sorted(reader.type(command).splitlines()) == sorted(printed.strip().splitlines()), command


def test_a_page_that_says_otherwise_would_be_seen(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ fleet init shop --example two-sites\n$ cd shop\n$ fleet validate\nall is well\n```\n"
    )

    with pytest.raises(AssertionError, match="all is well"):
        checked(page, tmp_path)


def test_the_sandbox_inventory_is_what_its_readme_shows(tmp_path: Path):
    said = dict(transcript(ROOT / "inventories" / "README.md"))
    command = "ansible-inventory -i inventories/sandbox/hosts.py --graph"
    reader = Reader(tmp_path)
    (tmp_path / "inventories").symlink_to(ROOT / "inventories")

    assert reader.type(command) == said[command]


@pytest.mark.parametrize(("environment", "nodes"), [("sandbox", 3), ("lab", 6)])
def test_an_inventory_source_says_to_ansible_what_fleet_says(environment: str, nodes: int, tmp_path: Path):
    reader = Reader(tmp_path)
    folder = ROOT / "inventories" / environment
    told = json.loads(reader.type(f"ansible-inventory -i {folder}/hosts.py --list"))
    own = json.loads(reader.type(f"fleet -C {folder} inventory --list"))
    groups = {name: sorted(group["hosts"]) for name, group in own.items() if "hosts" in group}

    assert len(told["_meta"]["hostvars"]) == nodes
    assert told["_meta"]["hostvars"] == own["_meta"]["hostvars"]
    assert {name: sorted(group["hosts"]) for name, group in told.items() if "hosts" in group} == groups


def test_an_inventory_source_asks_for_the_command_where_it_is_not(tmp_path: Path):
    python = tmp_path / "python"  # beside it is no `edgefleet`
    python.symlink_to(Path(sys.executable).resolve())
    done = subprocess.run(
        [str(python), str(ROOT / "inventories" / "sandbox" / "hosts.py"), "--list"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == "the command `edgefleet` is not on the PATH: pip install edgefleet\n"


def test_both_inventory_sources_are_the_same_program():
    sandbox, lab = ((ROOT / "inventories" / each / "hosts.py").read_text() for each in ("sandbox", "lab"))

    assert sandbox.replace("inventories/sandbox/", "inventories/lab/") == lab
