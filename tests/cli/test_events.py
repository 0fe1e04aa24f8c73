"""Events as lines: what a pipe reads while a rollout runs."""

from __future__ import annotations

from typing import get_args

import pytest

from fleet.cli.lines.events import EventLines
from fleet.model import event as happened
from fleet.model.event import Event, NodeApplied, NodeBlocked, NodeFailed, NodeUnreachable
from fleet.model.gate import GateAnswer
from fleet.model.rollout import RolloutCounts

COUNTS = RolloutCounts(applied=98, failed=1, unreachable=3)
ONE_OF_EACH: dict[type[Event], tuple[Event, list[str]]] = {
    type(event): (event, lines)
    for event, lines in [
        (
            happened.RolloutStarted(
                rollout_id="7f3c", fleet="shop", commit="4be1f02aa", controller="ops@hq", epoch=1, nodes=3120, waves=3
            ),
            ["rollout 7f3c of 4be1f02, 3 waves, 3,120 nodes"],
        ),
        (
            happened.PolicyFollowed(rollout_id="7f3c", policy="standard", groups=311, stop_at=5),
            ["follows RolloutPolicy standard, budgets of 311 groups, pauses at 5 failures"],
        ),
        (
            happened.RolloutTakenOver(rollout_id="7f3c", controller="ops@b", epoch=2, batches=("7f3c-1", "7f3c-2")),
            ["rollout 7f3c is now driven by ops@b; 2 batches run again"],
        ),
        (happened.WaveStarted(wave="ramp", index=1, nodes=311), ["wave ramp: 311 nodes"]),
        (
            happened.WaveFinished(wave="ramp", index=1, counts=COUNTS),
            ["wave ramp over: 98 applied, 1 failed, 3 unreachable"],
        ),
        (
            happened.WaveFailed(wave="ramp", index=1, reason="1 failed", counts=COUNTS),
            ["wave ramp failed: 1 failed; 98 applied, 1 failed, 3 unreachable"],
        ),
        (
            happened.BatchStarted(batch_id="7f3c-1", nodes=("a", "b", "c", "d", "e")),
            ["started 5 nodes (a, b, c and 2 more)"],
        ),
        (
            happened.GlassBroken(rollout_id="7f3c", reason="CVE-2026-1", by="ops@hq"),
            ["ops@hq broke the glass, freezes do not hold: CVE-2026-1"],
        ),
        (
            happened.WaveSoaking(wave="pilot", index=0, until=1_750_000_600.0),
            ["wave pilot soaks until 2025-06-15 15:16 UTC"],
        ),
        (
            happened.ApprovalAwaited(rollout_id="7f3c", wave="ramp", index=1),
            ["wave ramp waits for an approval", "fleet rollout approve 7f3c lets it begin"],
        ),
        (
            happened.WaveApproved(wave="ramp", index=1, by="ops@hq", at=1_750_000_600.0),
            ["wave ramp approved by ops@hq"],
        ),
        (
            happened.WaitStarted(kind="window", reason="2 nodes wait for their window", until=1_750_000_600.0),
            ["2 nodes wait for their window: 2025-06-15 15:16 UTC"],
        ),
        (
            happened.NodesLongOffline(nodes=("a", "b", "c", "d")),
            ["offline for long, and no longer in budgets: a, b, c and 1 more"],
        ),
        (
            happened.SupersedeRequested(by="beef", in_flight=2),
            ["rollout beef takes over what has not begun; 2 nodes still running"],
        ),
        (
            happened.RolloutSuperseded(rollout_id="7f3c", by="beef", counts=RolloutCounts(applied=2, waiting=7)),
            ["rollout 7f3c superseded by beef; 2 applied, 7 waiting"],
        ),
        (
            happened.GatesAsked(check_id="7f3c-gates-0001", phase="before", wave="ramp", index=1),
            ["asking the gates before wave ramp"],
        ),
        (
            happened.GatesPassed(
                check_id="7f3c-gates-0001",
                phase="before",
                wave="ramp",
                index=1,
                answers=(
                    GateAnswer("command ./smoke.sh ramp", "passed", "exit 0 in 0.1 s"),
                    GateAnswer("node", "failed", "11 of 12 nodes are well"),
                ),
            ),
            [
                "gates before wave ramp: 1 of 2 passed",
                "  command ./smoke.sh ramp: exit 0 in 0.1 s",
                "  node: 11 of 12 nodes are well",
            ],
        ),
        (
            happened.GatesFailed(
                check_id="7f3c-gates-0001", phase="after", wave="ramp", index=1, reason="http http://a: it answered 503"
            ),
            ["gates after wave ramp did not pass: http http://a: it answered 503"],
        ),
        (
            happened.GatesFailed(check_id="x", phase="after", wave="ramp", index=1, reason="why", is_borne=True),
            ["gates after wave ramp did not pass: why; the policy goes on all the same"],
        ),
        (
            happened.NodeUnhealthy(node="till-007", site="s", check_id="x", reason="node: chrony.service is failed"),
            ["unhealthy till-007: node: chrony.service is failed (fleet node log till-007)"],
        ),
        (
            happened.NodesRollingBack(batch_id="7f3c-5", nodes=("a", "b")),
            ["going back 2 nodes (a, b): a gate is against what they hold"],
        ),
        (
            happened.NodeRolledBack(node="a", site="s", batch_id="7f3c-5", digest="b1:00"),
            ["back a: it holds what it held before"],
        ),
        (
            happened.NodeNotRolledBack(node="b", site="s", batch_id="7f3c-5", reason="no answer"),
            ["not back b: no answer"],
        ),
        (
            happened.RollbackRequested(reason="wave ramp failed", in_flight=1),
            ["the change is to be rolled back: wave ramp failed; 1 node still running"],
        ),
        (
            happened.RolloutWithdrawn(rollout_id="7f3c", reason="wave ramp failed", counts=RolloutCounts(applied=2)),
            [
                "rollout 7f3c withdrawn: wave ramp failed; 2 applied",
                "fleet rollout retry 7f3c brings it all the same",
            ],
        ),
        (
            happened.RollbackBegun(rollout_id="beef", undoes="7f3c", stays=("new-1",)),
            [
                "rolls back rollout 7f3c: nodes go back to what they held before it",
                "held nothing before, and stay as they are: new-1",
            ],
        ),
        (happened.BatchEnded(batch_id="7f3c-1"), []),
        (
            happened.BatchRequeued(batch_id="7f3c-1", nodes=("a",), reason="the controller died"),
            ["batch of 1 node (a) ended without a result: the controller died"],
        ),
        (NodeApplied(node="a", site="s", batch_id="7f3c-1", digest="b1:00"), []),
        (
            NodeFailed(node="till-007", site="s", batch_id="7f3c-1", reason="chrony.service did not start: exit 1"),
            ["failed till-007: chrony.service did not start: exit 1 (fleet node log till-007)"],
        ),
        (
            NodeUnreachable(node="till-008", site="s", batch_id="7f3c-1", reason="connection timed out"),
            ["unreachable till-008: connection timed out (fleet node log till-008)"],
        ),
        (
            NodeBlocked(node="till-009", site="s", by="lyon-1-a", reason="server lyon-1-a failed: exit 1"),
            ["blocked till-009: server lyon-1-a failed: exit 1"],
        ),
        (happened.PauseRequested(reason="stopped", in_flight=2), ["pausing: stopped; 2 nodes still running"]),
        (happened.CancelRequested(reason="", in_flight=1), ["cancelling; 1 node still running"]),
        (
            happened.RolloutPaused(rollout_id="7f3c", reason="stopped", counts=RolloutCounts(applied=2, waiting=7)),
            ["rollout 7f3c paused: stopped; 2 applied, 7 waiting", "fleet rollout resume 7f3c goes on"],
        ),
        (
            happened.RolloutResumed(rollout_id="7f3c", counts=RolloutCounts(applied=2, waiting=7)),
            ["rollout 7f3c goes on: 2 applied, 7 waiting"],
        ),
        (
            happened.RolloutFinished(rollout_id="7f3c", counts=RolloutCounts(applied=9)),
            ["rollout 7f3c done: 9 applied"],
        ),
        (
            happened.RolloutHalted(rollout_id="7f3c", counts=COUNTS),
            [
                "rollout 7f3c ended: 98 applied, 1 failed, 3 unreachable",
                "fleet apply tries the rest again",
            ],
        ),
        (
            happened.RolloutCancelled(rollout_id="7f3c", reason="wrong version", counts=RolloutCounts(blocked=1)),
            ["rollout 7f3c cancelled: wrong version; 0 applied, 1 blocked"],
        ),
    ]
}


def again(words: str) -> str:
    return f"fleet {words}"


def test_every_event_has_words():
    assert set(get_args(Event)) == set(ONE_OF_EACH)


@pytest.mark.parametrize("kind", ONE_OF_EACH, ids=lambda kind: kind.__name__)
def test_the_words_of_an_event(kind: type[Event]):
    event, lines = ONE_OF_EACH[kind]

    assert [line.text for line in EventLines(again).of(event)] == lines


def applied(node: str, **values: object) -> NodeApplied:
    return NodeApplied(node=node, site="s", batch_id="b", digest="b1:00", **values)  # type: ignore[arg-type]


def test_applied_nodes_of_a_batch_are_told_at_once():
    lines = EventLines(again)
    for number in range(50):
        assert lines.of(applied(f"till-{number:03d}", restarted=("k3s-agent.service",) if number < 12 else ())) == []

    told = [line.text for line in lines.of(happened.BatchEnded(batch_id="b"))]

    assert told == ["applied 50 nodes (till-000, till-001, till-002 and 47 more), k3s-agent.service restarted on 12"]
    assert lines.of(happened.BatchEnded(batch_id="b")) == []


def test_batches_are_told_apart():
    lines = EventLines(again)
    lines.of(applied("a"))
    lines.of(NodeApplied(node="z", site="s", batch_id="other", digest="b1:00"))

    assert [line.text for line in lines.of(happened.BatchEnded(batch_id="b"))] == ["applied 1 node (a)"]
    assert [line.text for line in lines.of(happened.BatchEnded(batch_id="other"))] == ["applied 1 node (z)"]


def test_equal_warnings_of_a_batch_are_told_once():
    lines = EventLines(again)
    for node in ("a", "b", "c", "d"):
        lines.of(applied(node, warnings=("the clock is 40 s off",)))

    assert [line.text for line in lines.of(happened.BatchEnded(batch_id="b"))][1:] == [
        "warning: the clock is 40 s off (a, b, c and 1 more)"
    ]


def test_a_reason_from_a_node_cannot_drive_the_terminal():
    event = NodeFailed(node="a", site="s", batch_id="b", reason="\x1b[2J\x1b]0;owned\x07\r\nrollout done")

    (line,) = EventLines(again).of(event)

    assert line.text == "failed a: \\x1b[2J\\x1b]0;owned\\x07\\r\\nrollout done (fleet node log a)"


def test_where_a_gate_alone_is_against_it_the_way_back_is_named():
    halted = happened.RolloutHalted(rollout_id="7f3c", counts=RolloutCounts(applied=9))
    assert [line.text for line in EventLines(again).of(halted)] == [
        "rollout 7f3c ended: 9 applied",
        "every node has it, and a gate is against it: fleet rollout rollback 7f3c brings back what they held",
    ]
