"""Pages hold: their links lead somewhere, and what they tell readers to type exists."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from fleet.cli.command import VerbGroup
from fleet.cli.root import root
from tests.unit.docs.pages import PAGES, ROOT, anchors, fleet_calls, links, name, typed

DOCS = ROOT / "docs"
OURS = [page for page in PAGES if "docs/rules" not in name(page)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path):
    broken = []
    for link in links(page):
        target, _, fragment = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (fragment and fragment not in anchors(path)):
            broken.append(link)

    assert broken == []


def test_a_broken_link_and_a_broken_fragment_would_be_seen(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n\n[a](gone.md) [b](#one-two) [c](page.md#three)\n\n```\n[d](in-a-block.md)\n```\n")

    assert links(page) == ["gone.md", "#one-two", "page.md#three"]
    assert anchors(page) == {"one-two"}


def test_every_page_of_docs_is_reached_from_the_first():
    seen: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            targets = ((page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link)
            waiting += [path for path in targets if path.suffix == ".md" and path.exists()]

    assert sorted(name(page) for page in DOCS.rglob("*.md") if page not in seen) == []


def test_every_verb_is_in_the_map_of_the_docs():
    called = {" ".join(call[:2]) for call in fleet_calls(DOCS / "README.md")}
    called |= {call[0] for call in fleet_calls(DOCS / "README.md") if call}
    context = click.Context(root)
    verbs = set()
    for verb in root.list_commands(context):
        found = root.get_command(context, verb)
        assert found is not None
        group = found.list_commands(click.Context(found)) if isinstance(found, VerbGroup) else ()
        verbs |= {f"{verb} {each}" for each in group} or {verb}

    assert verbs - called == set()


@pytest.mark.parametrize("page", OURS, ids=name)
def test_what_pages_tell_to_type_exists(page: Path):
    wrong = [" ".join(call) for call in fleet_calls(page) if call and not exists(call)]

    assert wrong == []


def exists(call: list[str]) -> bool:
    """Whether the verb is there and takes these options. A lone option, as in `fleet --version`, is one of the root."""
    command: click.Command = root
    rest = list(call)
    while isinstance(command, VerbGroup) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest.pop(0))
        if found is None:
            return False
        command = found
    context = click.Context(command)
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    return all(word.partition("=")[0] in known for word in rest if word.startswith("--"))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("plan --sandbox DIR", True),
        ("--version", True),
        ("node show NAME --origin", True),
        ("plan --sandbx DIR", False),
        ("node distrust NAME", False),
        ("drift", False),
    ],
)
def test_a_verb_or_an_option_that_is_not_there_would_be_seen(call: str, expected: bool):  # noqa: FBT001 - a table
    assert exists(call.split()) is expected


@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)], ids=name)
def test_what_is_typed_parses_as_shell(page: Path):
    done = subprocess.run(["bash", "-n"], input="\n".join(typed(page)), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_room_of_the_code_is_in_the_architecture():
    text = (DOCS / "architecture.md").read_text()
    rooms = {
        path.stem for path in (ROOT / "fleet").iterdir() if not path.name.startswith("_") and path.suffix != ".typed"
    }

    assert {room for room in rooms if f"`{room}`" not in text} == set()


def test_pre_commit_runs_what_the_static_lane_runs():
    spec = importlib.util.spec_from_file_location("static_lane", ROOT / "tests" / "static.py")
    assert spec is not None
    assert spec.loader is not None
    lane = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lane)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["name"]: hook["entry"].split() for repo in config["repos"] for hook in repo["hooks"]}

    assert {title: [Path(entry[0]).name.replace("python", "-"), *entry[1:]] for title, entry in hooks.items()} == {
        title: ["-" if "/" in command[0] else command[0], *command[1:]] for title, command in lane.TOOLS.items()
    }
