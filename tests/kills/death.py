"""A controller that is killed at one of its points, and what is there at that moment; and how it is gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleet.adapters.ansible.process import is_alive
from fleet.adapters.ansible.workdir import Workdir
from fleet.model.rollout import ENDED
from tests.kills.ground import SECONDS, Ground, Process, alive, processes
from tests.kills.injected import CHILD, PAPERS

FROM_THE_START = ("apply", "--yes", "--json")


class Case(NamedTuple):
    """One point, and whether the children that run at that moment are killed with their controller."""

    kind: str
    when: str
    number: int
    with_child: bool

    @property
    def point(self) -> str:
        return f"{self.kind} {self.when} {self.number}"

    def __str__(self) -> str:
        return f"{self.kind}-{self.when}-{self.number}-{'child-too' if self.with_child else 'child-lives'}"


@dataclass(frozen=True)
class Scene:
    """By names of batches, when the killing is over. `open` is of the journal, the others are of their folders."""

    open: frozenset[str]
    intended: frozenset[str]
    spawned: frozenset[str]
    finished: frozenset[str]
    adoptable: frozenset[str]
    nameless: frozenset[str]
    """Ansible is at work, and nothing says under which child."""
    children: int
    """How many lived when their controller was killed."""


def kill(ground: Ground, case: Case, run: str, *words: str) -> Scene | None:
    """The controller stands still at its point, or its child does; then it is killed with SIGKILL. None where it came to its
    end without that point.
    """
    controller = ground.start(*words, run=run, at=case.point)
    at = _stopped(ground, controller, run)
    if not at:
        assert controller.returncode == 0, ground.said(controller.returncode)
        return None
    controller.send_signal(signal.SIGKILL)
    assert controller.wait(SECONDS) == -signal.SIGKILL
    papers = [name for name, kind in PAPERS.items() if kind == case.kind != "record"]
    if papers and run == "1":
        is_there = (ground.runs / at["batch"] / papers[0]).exists()
        assert is_there is (case.when == "after"), f"it did not stop {case.point}"
    living = processes(ground.runs)
    children = [one.pid for one in living if CHILD in one.command]
    if case.with_child:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        _wait(lambda: not any(map(alive, children)), "children do not die")
    hangs = case.with_child and case.kind == "record"  # a module that waits for its disk: whoever goes on must end it
    if alive(at["pid"]) and not hangs:
        os.kill(at["pid"], signal.SIGCONT)
    return _scene(ground, living)


def next_words(ground: Ground) -> tuple[str, ...]:
    """What a user types then; nothing where the rollout has ended."""
    found = ground.rollouts()
    if not found:
        return FROM_THE_START
    return () if found[0]["status"] in ENDED else ("rollout", "resume", found[0]["id"], "--json")


def _stopped(ground: Ground, controller: subprocess.Popen[str], run: str) -> dict[str, Any]:
    """The point at which a process stands still; empty where the controller has ended."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for line in ground.points():
            if line["stops"] and line["run"] == run and alive(line["pid"]) == "T":
                return line
        if controller.poll() is not None:
            return {}
        time.sleep(0.005)
    controller.kill()
    raise AssertionError(f"it does not end: {ground.said(controller.wait())}")


def _scene(ground: Ground, living: list[Process]) -> Scene:
    """`living` were there when the controller was killed."""
    folders = {path.name: Workdir(path) for path in ground.runs.iterdir()}
    told = {name: folder.child() for name, folder in folders.items()}
    spawned = {line["batch"] for line in ground.points() if line["kind"] == "spawn"}
    finished = {name for name, folder in folders.items() if folder.done()}
    return Scene(
        frozenset(ground.open_batches()),
        frozenset(name for name, folder in folders.items() if folder.intent()),
        frozenset(spawned),
        frozenset(finished),
        frozenset(name for name, child in told.items() if child and is_alive(child.identity)) - finished,
        frozenset(one.batch for one in living if "ansible-playbook" in one.command and not told.get(one.batch)),
        sum(CHILD in one.command for one in living),
    )


def _wait(is_over: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_over():
        assert time.monotonic() < deadline, words
        time.sleep(0.01)
