"""Nodes that do not answer when their batch begins: unreachable, and no run of Ansible knows of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import fleet
from fleet.adapters.ansible import AnsibleApplier, Settings
from fleet.adapters.ansible.process import end_marked
from fleet.model.batch import BatchOrder, BatchResult
from tests.contract.adapters.ansible.conftest import in_thread, until

Order = Callable[..., BatchOrder]
WHY = "no answer on 10.0.0.1:22 within 5 s"

CONTROLLER = """
import sys, time
from pathlib import Path
import msgspec
from fleet.adapters.ansible import AnsibleApplier, Settings
from fleet.model.batch import BatchOrder
order = msgspec.json.decode(sys.argv[2].encode(), type=BatchOrder)
def asks(nodes):
    Path(sys.argv[3]).touch()
    time.sleep(300)
AnsibleApplier(Settings(Path(sys.argv[1])), None, silent=asks).run_batch(order)
"""


class Asked:
    """Names nodes that are silent, and remembers who was asked about."""

    def __init__(self, *away: str) -> None:
        self.away = away
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, nodes: Sequence[str]) -> dict[str, str]:
        self.calls.append(tuple(nodes))
        return {node: WHY for node in nodes if node in self.away}


def told(result: BatchResult) -> list[tuple[str, str, str]]:
    return [(one.node, one.outcome, one.reason) for one in result.results]


def test_the_others_are_brought_forward_without_them(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a", "b", "c")
    written: list[Sequence[str]] = []

    def write(folder: Path, nodes: Sequence[str]) -> None:
        written.append(nodes)
        project.write(folder, nodes)

    result = AnsibleApplier(Settings(run_dir), write, silent=Asked("b")).run_batch(order("a", "b", "c"))

    assert told(result) == [("a", "applied", ""), ("b", "unreachable", WHY), ("c", "applied", "")]
    assert written == [("a", "c")]
    assert [project.runs(node) for node in "abc"] == [1, 0, 1]


def test_where_nobody_answers_nothing_is_run(run_dir: Path, order: Order) -> None:
    def write(folder: Path, nodes: Sequence[str]) -> None:
        raise AssertionError(f"{folder} is not to be written for {nodes}")

    asked = Asked("a", "b")
    applier = AnsibleApplier(Settings(run_dir), write, silent=asked)

    result = applier.run_batch(order("a", "b"))

    assert told(result) == [("a", "unreachable", WHY), ("b", "unreachable", WHY)]
    assert applier.run_batch(order("a", "b", epoch=2)) == result, "it is over, and nobody is asked again"
    assert len(asked.calls) == 1


def test_a_run_that_is_killed_leaves_them_unreachable(project: Any, run_dir: Path, order: Order) -> None:
    project.add("a", "b", "c")
    project.put("c", "hold")
    controller = AnsibleApplier(Settings(run_dir), project.write, silent=Asked("b"))
    thread, got = in_thread(lambda: controller.run_batch(order("a", "b", "c")))
    project.wait_for_run("c")
    until(lambda: '"a"' in (run_dir / "r1-0001" / "results.jsonl").read_text())
    end_marked(str(run_dir / "r1-0001"), grace=0.2)
    thread.join(90)

    (result,) = got
    assert isinstance(result, BatchResult)
    assert [(node, outcome) for node, outcome, _ in told(result)] == [
        ("a", "applied"), ("b", "unreachable"), ("c", "failed"),
    ]  # fmt: skip


def test_what_is_adopted_asks_nobody(project: Any, run_dir: Path, order: Order) -> None:
    """The question belongs to the run that was begun: who comes later waits for what that found."""
    project.add("a", "b")
    project.put("a", "hold")
    first = AnsibleApplier(Settings(run_dir), project.write, silent=Asked("b"))
    thread, got = in_thread(lambda: first.run_batch(order("a", "b", epoch=1)))
    project.wait_for_run("a")
    asked = Asked("a", "b")
    second = AnsibleApplier(Settings(run_dir), project.write, silent=asked)
    adopting, adopted = in_thread(lambda: second.run_batch(order("a", "b", epoch=2)))
    project.take("a", "hold")
    for each in (thread, adopting):
        each.join(90)

    assert got == adopted
    assert told(adopted[0]) == [("a", "applied", ""), ("b", "unreachable", WHY)]  # type: ignore[arg-type]
    assert asked.calls == []
    assert project.runs("a") == 1


def test_after_kill_9_in_the_middle_of_the_question_it_is_asked_again(
    project: Any, run_dir: Path, order: Order, tmp_path: Path
) -> None:
    project.add("a", "b")
    path = os.pathsep.join([str(Path(fleet.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    arguments = [str(run_dir), msgspec.json.encode(order("a", "b", epoch=4)).decode(), str(tmp_path / "asking")]
    controller = subprocess.Popen([sys.executable, "-c", CONTROLLER, *arguments], env=os.environ | {"PYTHONPATH": path})
    until((tmp_path / "asking").exists)
    controller.kill()
    controller.wait()

    asked = Asked("b")
    result = AnsibleApplier(Settings(run_dir), project.write, silent=asked).run_batch(order("a", "b", epoch=5))

    assert told(result) == [("a", "applied", ""), ("b", "unreachable", WHY)]
    assert asked.calls == [("a", "b")]
    assert project.runs("a") == 1
