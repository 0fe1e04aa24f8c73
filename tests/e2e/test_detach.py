"""A detached rollout with vaults, as a person starts it on a terminal: its password, its end by kill -9, and resume."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.cli.detaching import gone
from tests.cli.running import run_on_terminal
from tests.e2e.command import Repository

pytestmark = pytest.mark.timeout(400)
PASSWORD = "only for this test"
ASKED = {"Vault password": PASSWORD}
BOX = ("--sandbox", "../nodes")


def detached(repository: Repository, *words: str) -> tuple[str, int]:
    """The rollout's id and the process that drives it. The password is typed."""
    ran = run_on_terminal(
        *words, "--detach", *BOX, cwd=repository.folder, answers=ASKED, env={"NO_COLOR": "1", "COLUMNS": "300"}
    )
    assert ran.code == 0, ran.out
    assert ran.out.count("Vault password") == 1, "asked once, and here"
    told = re.search(r"rollout (\w+) goes on by itself \(process (\d+)\)", ran.out)
    assert told, ran.out
    return told[1], int(told[2])


def row(repository: Repository) -> dict[str, object]:
    ran = repository.fleet("rollout", "list", "--json", *BOX)
    return dict(json.loads(ran.out)["rollouts"][0])


def kept(folder: Path) -> list[Path]:
    """Files below a folder that hold the password."""
    return [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_killed_and_resumed_it_ends_as_if_nothing_had_been(repository: Repository) -> None:
    name, pid = detached(repository, "apply", "--yes", "--forks", "1")
    process = Path(f"/proc/{pid}")
    assert PASSWORD.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"apply" in (process / "cmdline").read_bytes().split(b"\0")
    wait_for_the_first_node(repository)

    os.kill(pid, signal.SIGKILL)
    gone(pid)

    found = row(repository)
    assert (found["status"], found["driver"]) == ("running", "")
    assert found["waits_for"] == "somebody to go on (nobody drives it)"
    watched = repository.fleet("rollout", "watch", name, *BOX, code=4)
    assert watched.err.startswith(f"nobody drives rollout {name} any more: fleet rollout resume {name}")
    assert "nobody drives it" in repository.fleet("rollout", "show", name, *BOX).out.splitlines()[-2]
    paused = repository.fleet("rollout", "pause", name, *BOX)
    assert paused.out.startswith(f"nobody drives rollout {name}: nothing new starts until somebody goes on\n")

    again, pid = detached(repository, "rollout", "resume", name, "--forks", "1")

    assert again == name
    ended = repository.fleet("rollout", "watch", name, *BOX)
    assert ended.out.splitlines()[-1] == f"rollout {name} done: 6 applied"
    assert ended.out.count("applied 1 node") == 6, "each node once"
    gone(pid)
    repository.plan(code=0)
    logs = sorted(path.name for path in (repository.nodes / ".fleet/detached").iterdir())
    assert logs == [f"{name}-2.log", f"{name}.log"]
    assert kept(repository.nodes / ".fleet") == []


def wait_for_the_first_node(repository: Repository) -> None:
    for _ in range(300):
        if row(repository)["counts"] != {"applied": 0, "failed": 0, "unreachable": 0, "blocked": 0, "waiting": 6}:
            return
        time.sleep(0.2)
    raise AssertionError("no node came through")


def wait_for_its_child(repository: Repository, name: str) -> None:
    """The batch's own process lives, and brings its node forward whoever ordered it."""
    for _ in range(300):
        if (repository.nodes / f".fleet/runs/{name}-0001/child.json").exists():
            return
        time.sleep(0.1)
    raise AssertionError("no batch began")


def test_a_cancel_of_a_killed_one_starts_nothing_new_and_resume_ends_it_wherever_git_is(repository: Repository) -> None:
    name, pid = detached(repository, "apply", "--yes", "--site", "turin-1")
    wait_for_its_child(repository, name)
    os.kill(pid, signal.SIGKILL)
    gone(pid)

    told = repository.fleet("rollout", "cancel", name, *BOX).out.splitlines()

    assert told[0] == f"rollout {name} is cancelling: nothing new starts"
    resume = f"fleet rollout resume {name} --sandbox ../nodes"
    assert told[1] == f"its controller died with 1 node under way: {resume} finds out how far, and ends it"
    assert row(repository)["status"] == "cancelling"
    repository.edit("profiles.yaml", "do not edit by hand", "do not edit by hand!")
    repository.commit("Git moves on")

    ended = repository.fleet(*resume.split()[1:], code=4)

    assert ended.out.splitlines()[-1].startswith(f"rollout {name} cancelled: by ")
    assert ended.out.splitlines()[-1].endswith("; 1 applied, 1 waiting")
    assert not (repository.nodes / "turin-1-till-001").exists()
    repository.apply("--site", "turin-1")
    assert repository.read("turin-1-till-001", "/etc/motd").startswith("turin-1-till-001 at turin-1")
    assert "!" in repository.read("turin-1-till-001", "/etc/motd")


def test_a_paused_one_is_cancelled_while_another_one_is_driven(repository: Repository) -> None:
    """Of the same commit, and of one site alone: it leaves the paused one as it is."""
    paused, pid = detached(repository, "apply", "--yes", "--forks", "1")
    os.kill(pid, signal.SIGTERM)
    gone(pid)
    assert row(repository)["status"] == "paused"
    other, pid = detached(repository, "apply", "--yes", "--site", "turin-1", "--forks", "1")

    told = repository.fleet("rollout", "cancel", paused, "--reason", "wrong version", *BOX).out

    watched = repository.fleet("rollout", "watch", other, *BOX)
    assert re.fullmatch(rf"\S+ is asked to cancel rollout {paused}\n.*\n|rollout {paused} is cancelled\n", told)
    gone(pid)
    assert watched.out.splitlines()[-1].startswith(f"rollout {other} done")
    shown = repository.fleet("rollout", "show", paused, *BOX).out.splitlines()[-1]
    assert shown.startswith(f"rollout {paused} cancelled: wrong version; ")


def test_a_wrong_password_is_told_here_and_nothing_is_started(repository: Repository) -> None:
    ran = run_on_terminal(
        "apply", "--yes", "--detach", *BOX, cwd=repository.folder, answers={"Vault password": "not this one"}
    )

    assert ran.code == 2, ran.out
    assert "error: " in ran.out
    assert "not this one" not in ran.out
    assert not (repository.nodes / ".fleet/detached").exists()
