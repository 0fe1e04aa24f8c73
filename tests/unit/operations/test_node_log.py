"""What rollouts did to one node, newest last, with what was printed of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.node_log import NodeLog, NodeRun
from fleet.operations.node_log import node_log, rollbacks, undone_by
from fleet.ports.journal import Lease, Step
from fleet.testing import MemoryClock, MemoryJournal, MemoryOutputs
from fleet.testing.clock import START
from fleet.testing.orders import plain, rollout

C = "4be1f02"


class Ground:
    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.journal = MemoryJournal(self.clock)
        self.lease: Lease = self.journal.acquire("ops@desk")

    def rolled(self, rollout_id: str, *steps: Sequence[Event]) -> None:
        """A minute between two steps."""
        self.journal.begin(self.lease, rollout(plain("a", "b"), id=rollout_id))
        for events in steps:
            self.journal.append(self.lease, rollout_id, Step(tuple(events)))
            self.clock.advance(60)

    def log(self, name: str = "a", last: int = 0) -> NodeLog:
        return node_log(self.journal, MemoryOutputs(), name, last=last)


@pytest.fixture
def ground() -> Ground:
    ground = Ground()
    ground.rolled(
        "7f3c",
        [ev.RolloutStarted("7f3c", "acme", C, "ops", 1, 2, 1), ev.BatchStarted("7f3c-0001", ("a", "b"))],
        [
            ev.NodeApplied("a", "yard", "7f3c-0001", "b1:a", 3, ("chrony.service",), ("slow disk",), 2, rebooted=True),
            ev.NodeFailed("b", "yard", "7f3c-0001", "no disk", 1),
            ev.BatchEnded("7f3c-0001"),
        ],
        [ev.NodeUnhealthy("a", "yard", "7f3c-c1", "http: 503")],
    )
    return ground


def run_of(**changed: object) -> NodeRun:
    made = {
        "at": START + 60, "rollout": "7f3c", "outcome": "applied", "commit": C, "batch": "7f3c-0001", "began": START, "changed": 3,
        "restarted": ("chrony.service",), "warnings": ("slow disk",), "updated": 2, "rebooted": True,
    }  # fmt: skip
    return NodeRun(**{**made, **changed})  # type: ignore[arg-type]


def test_runs_of_a_node_and_what_a_gate_found_after_them(ground: Ground) -> None:
    gate = NodeRun(START + 120, "7f3c", "unhealthy", commit=C, reason="http: 503")
    assert ground.log() == NodeLog("a", (run_of(), gate), kept_rollouts=20)
    failed = NodeRun(START + 60, "7f3c", "failed", C, "7f3c-0001", START, "no disk", 1)
    assert ground.log("b") == NodeLog("b", (failed,), kept_rollouts=20)
    assert ground.log("c") == NodeLog("c", (), kept_rollouts=20)


def test_what_took_a_rollout_back_and_what_it_took_back(ground: Ground) -> None:
    ground.rolled(
        "8a4d",
        [
            ev.RolloutStarted("8a4d", "acme", C, "ops", 1, 2, 1), ev.RollbackBegun("8a4d", "7f3c"),
            ev.BatchStarted("8a4d-0001", ("a",)),
        ],
        [ev.NodeApplied("a", "yard", "8a4d-0001", "b1:old"), ev.BatchEnded("8a4d-0001")],
    )  # fmt: skip
    assert [(each.rollout, each.outcome, each.undoes, each.undone_by) for each in ground.log().runs] == [
        ("7f3c", "applied", "", "8a4d"),
        ("7f3c", "unhealthy", "", "8a4d"),
        ("8a4d", "applied", "7f3c", ""),
    ]
    undone = rollbacks(ground.journal)
    assert undone == {"8a4d": "7f3c"}
    assert (undone_by(undone, "7f3c"), undone_by(undone, "8a4d")) == ("8a4d", "")


def test_what_runs_what_was_run_again_and_what_was_never_begun(ground: Ground) -> None:
    ground.rolled(
        "beef",
        [ev.BatchStarted("beef-0001", ("a",)), ev.NodeBlocked("b", "yard", "a", "server a failed: no disk")],
        [ev.BatchRequeued("beef-0001", ("a",), "the controller died"), ev.BatchStarted("beef-0002", ("a",))],
    )
    began = START + 180
    assert ground.log().runs[2:] == (
        NodeRun(began + 60, "beef", "unknown", C, "beef-0001", began, "the controller died"),
        NodeRun(0.0, "beef", "running", C, "beef-0002", began + 60),
    )
    assert ground.log("b").runs[-1] == NodeRun(began, "beef", "blocked", C, reason="server a failed: no disk")


def test_the_last_ones_only(ground: Ground) -> None:
    ground.rolled("beef", [ev.NodeUnreachable("a", "yard", "beef-0001", "timed out")])
    assert [each.outcome for each in ground.log(last=2).runs] == ["unhealthy", "unreachable"]
    assert ground.log(last=2).has_more
    assert ground.log(last=1).has_more
    assert not ground.log(last=3).has_more


def test_output_is_of_each_batch_where_it_is_kept(ground: Ground) -> None:
    ground.rolled("beef", [ev.NodeUnreachable("a", "yard", "beef-0001", "timed out")])
    outputs = MemoryOutputs({"beef-0001": {"a": ("fatal: [a]: UNREACHABLE!",)}}, kept=1)
    log = node_log(ground.journal, outputs, "a", with_output=True)
    assert [each.output for each in log.runs] == [None, None, ("fatal: [a]: UNREACHABLE!",)]
    assert log.kept_rollouts == 1
