"""AnsibleHand: the suite that every Hand passes, and what a task's playbook is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.adapters.ansible import AnsibleHand, Settings
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.testing.contracts.hand import HandContract

PLAYBOOKS = Path(__file__).parents[4] / "playbooks"
RETIRE = """\
- hosts: all
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Give back
      fleet_bundle:
        home: "{{ home }}"
        node: "{{ said | default(inventory_hostname) }}"
        expect: "{{ fleet_expect }}"
        controller: "{{ fleet_controller }}"
        epoch: 0
"""


@pytest.fixture
def hand(project: Any, run_dir: Path) -> AnsibleHand:
    project.add("lyon-a", "lyon-b")
    project.extra["retire.yml"] = RETIRE
    return AnsibleHand(Settings(run_dir, controller="ops@{{ laptop }}"), project.write, None)


class TestHand(HandContract):
    @pytest.fixture
    def task(self) -> NodeTask:
        return NodeTask("retire")

    @pytest.fixture
    def told(self, project: Any, hand: AnsibleHand) -> Iterator[tuple[NodeAnswer, ...]]:  # noqa: ARG002 - it adds nodes
        project.put("lyon-b", "fail", {"msg": "the disk is gone", "step": "room"})
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            project.add("pau-1", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=port)
            refused = f"ssh: connect to host 127.0.0.1 port {port}: Connection refused"
            yield (
                NodeAnswer("lyon-a", "done", result={"digest": "b1:new"}),
                NodeAnswer("lyon-b", "failed", "the disk is gone"),
                NodeAnswer("pau-1", "unreachable", refused),
            )


def told(project: Any, node: str) -> dict[str, Any]:
    record = json.loads((project.nodes_dir / node / "record").read_text())
    return {**record, **json.loads(record["manifest"])}


def test_each_node_is_told_the_digest_that_it_is_expected_to_hold(project: Any, hand: AnsibleHand) -> None:
    """none for a node without a record; nothing where nothing is expected."""
    project.add("lyon-c")
    task = NodeTask("retire", expect={"lyon-a": "b1:{{ x }}", "lyon-b": ""})
    assert {answer.outcome for answer in hand.run(task, ["lyon-a", "lyon-b", "lyon-c"])} == {"done"}
    assert [told(project, f"lyon-{at}")["expect"] for at in "abc"] == ["b1:{{ x }}", "none", ""]


def test_texts_are_no_templates(project: Any, hand: AnsibleHand) -> None:
    """Neither those of a list, a map in a map, or a key."""
    text = "{{ 1 + 1 }}: 'x'"
    project.extra["retire.yml"] = RETIRE.replace("said |", "(said.here + [said.there[keyed] | string]) | join('/') |")
    variables = {"said": {"here": [text], "there": {text: True}}, "keyed": text}
    list(hand.run(NodeTask("retire", variables), ["lyon-a"]))
    assert told(project, "lyon-a")["node"] == f"{text}/True"
    assert told(project, "lyon-a")["controller"] == "ops@{{ laptop }}"


def test_texts_stay_texts(project: Any, hand: AnsibleHand) -> None:
    """Of the tag !unsafe alone, Ansible makes a number, a date, or nothing that it could read."""
    texts = ["*", "!", "&", "1", "1e3", "yes", "null", "2026-11-28", "", "=", "#jinja2: x", "{1}", "{{ x", "a: b"]
    project.extra["retire.yml"] = RETIRE.replace("said |", "((said | map('type_debug') | unique) + said) | join(',') |")
    list(hand.run(NodeTask("retire", {"said": texts}), ["lyon-a"]))
    kind, *found = told(project, "lyon-a")["node"].split(",")
    assert (kind, found) == ("str", texts)


def test_where_it_failed_and_when_it_ran(project: Any, hand: AnsibleHand) -> None:
    project.put("lyon-b", "fail", {"msg": "no room", "step": "write", "at": "/etc/motd"})
    answers = {answer.node: answer for answer in hand.run(NodeTask("retire"), ["lyon-a", "lyon-b"])}
    assert (answers["lyon-b"].step, answers["lyon-b"].at) == ("write", "/etc/motd")
    assert 1_500_000_000 < answers["lyon-a"].began <= answers["lyon-a"].ended


def test_a_module_that_crashed_is_a_failure_of_its_node(project: Any, hand: AnsibleHand) -> None:
    project.put("lyon-a", "crash")
    answers = {answer.node: answer for answer in hand.run(NodeTask("retire"), ["lyon-a", "lyon-b"])}
    assert {node: answer.outcome for node, answer in answers.items()} == {"lyon-a": "failed", "lyon-b": "done"}
    assert "the disk of this node is gone" in answers["lyon-a"].reason


def test_a_run_that_breaks_is_told_of_each_node(project: Any, hand: AnsibleHand) -> None:
    project.extra["retire.yml"] = "- hosts: all\n  tasks: [{no_such_module: {}}]\n"
    answers = list(hand.run(NodeTask("retire"), ["lyon-a", "lyon-b"]))
    assert {(answer.node, answer.outcome) for answer in answers} == {("lyon-a", "failed"), ("lyon-b", "failed")}
    assert all("no_such_module" in answer.reason for answer in answers)


def test_nothing_of_it_is_left_behind(hand: AnsibleHand, run_dir: Path) -> None:
    list(hand.run(NodeTask("retire"), ["lyon-a"]))
    assert list(run_dir.iterdir()) == []


def test_who_stops_listening_ends_it(project: Any, hand: AnsibleHand, run_dir: Path) -> None:
    project.put("lyon-b", "hold")
    answers = hand.run(NodeTask("retire"), ["lyon-a", "lyon-b"])
    assert next(answers).node == "lyon-a"
    answers.close()  # type: ignore[attr-defined]
    assert list(run_dir.iterdir()) == []
    assert not (project.nodes_dir / "lyon-b" / "record").exists()


def test_it_stops_at_once_when_it_is_told_to(project: Any, hand: AnsibleHand, run_dir: Path) -> None:
    """From another thread, while nobody answers."""
    project.put("lyon-b", "hold")
    answers = hand.run(NodeTask("retire"), ["lyon-a", "lyon-b"])
    assert next(answers).node == "lyon-a"
    threading.Timer(0.3, hand.stop_now).start()
    assert list(answers) == [NodeAnswer("lyon-b", "failed", "it was stopped")]
    assert list(run_dir.iterdir()) == []
    assert not (project.nodes_dir / "lyon-b" / "record").exists()


def test_a_host_that_never_answers_has_a_time_of_its_own(project: Any, hand: AnsibleHand) -> None:
    """As probe.yml asks: a disk that is dead lets nothing end, and the others are not to wait for it."""
    ((play,),) = (yaml.safe_load(path.read_text()) for path in [PLAYBOOKS / "probe.yml"])
    timeout = f'      timeout: "{play["tasks"][0]["timeout"]}"\n'
    project.extra["retire.yml"] = RETIRE.replace("      fleet_b", f"{timeout}      fleet_b")
    project.put("lyon-b", "hold")
    task = NodeTask("retire", {"fleet_run_timeout": 2})
    answers = {answer.node: answer for answer in hand.run(task, ["lyon-a", "lyon-b"])}
    assert answers["lyon-a"].outcome == "done"
    assert (answers["lyon-b"].outcome, answers["lyon-b"].reason) == ("failed", "Timed out after 2 second(s).")
