"""Gates: nothing of a wave begins before those before it have passed, and no wave is over before those after it have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from fleet.decide import decide, decode_snapshot, encode_snapshot, evolve_all, initial, restore, snapshot
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.event import Event
from fleet.model.gate import ClusterGate, CommandGate, Gate, GateAnswer, GateOrder, HttpGate, NodeGate, PrometheusGate
from fleet.model.rollout import RolloutOrder
from fleet.model.signal import (
    Approve,
    BatchFinished,
    Begin,
    Cancel,
    GatesAnswered,
    Pause,
    Resume,
    Signal,
    Supersede,
    TakeOver,
    Tick,
)
from fleet.model.window import Timing
from fleet.testing.orders import cluster, plain, rollout

SMOKE = CommandGate(timeout=60, command=("./smoke.sh",))
NODE = NodeGate(timeout=60)
CLUSTER = ClusterGate(timeout=60)
A, B = plain("a", base="b1:old"), plain("b", base="b1:old")


class Gated:
    """A rollout whose gates answer when they are told to."""

    def __init__(self, order: RolloutOrder) -> None:
        self.state = initial(order)
        self.asked: GateOrder | None = None
        self.events: tuple[Event, ...] = ()
        self.hear(Begin(1))

    def hear(self, signal: Signal, at: float = 0.0) -> list[str]:
        decision = decide(self.state, replace(signal, at=at))
        self.state = evolve_all(self.state, decision.events)
        self.asked = decision.gates
        self.events = decision.events
        return kinds(decision.events)

    def became(self, outcome: str, *names: str, at: float = 0.0) -> list[str]:
        (batch,) = [batch.batch_id for batch in self.state.running if set(names) == set(batch.nodes)]
        found = (NodeResult(name, outcome, digest=f"b1:{name}", reason="why") for name in names)  # type: ignore[arg-type]
        return self.hear(BatchFinished(batch, tuple(found)), at)

    def answer(self, *answers: GateAnswer, check_id: str = "", at: float = 0.0) -> list[str]:
        assert self.state.checking
        return self.hear(GatesAnswered(check_id=check_id or self.state.checking.check_id, answers=answers), at)


def kinds(events: tuple[Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def gated(*waves: Any, gates: tuple[Gate, ...] = (SMOKE,), **changes: Any) -> Gated:
    return Gated(replace(rollout(*waves), policy="standard", offline="defer", gates=gates, **changes))


def passed(gate: str = "command ./smoke.sh", **changes: Any) -> GateAnswer:
    return replace(GateAnswer(gate, "passed", measured="exit 0"), **changes)


def failed(outcome: str = "failed", **changes: Any) -> GateAnswer:
    return replace(passed(outcome=outcome, measured="exit 1", reason="it ended with 1"), **changes)


def judged(*waves: Any, threshold: str = "100", finished: str = "0", **changes: Any) -> Gated:
    """Waves with a threshold."""
    order = rollout(*waves)
    asked = tuple(
        replace(each, success_threshold=Decimal(threshold), min_finished=Decimal(finished)) for each in order.waves
    )
    return Gated(replace(order, policy="standard", offline="defer", waves=asked, **changes))


def test_before_the_first_wave_between_waves_and_after_the_last_one() -> None:
    it = gated(A, B)
    assert kinds(it.events) == ["RolloutStarted", "PolicyFollowed", "GatesAsked"]
    assert it.asked == GateOrder("7f3c-gates-0001", "7f3c", 1, "before", "w0", ("a",), (SMOKE,))
    assert it.answer(passed()) == ["GatesPassed", "WaveStarted", "BatchStarted"]
    assert it.became("applied", "a") == ["NodeApplied", "BatchEnded", "GatesAsked"]
    assert it.asked == GateOrder("7f3c-gates-0002", "7f3c", 1, "after", "w0", ("a",), (SMOKE,))
    assert it.answer(passed()) == ["GatesPassed", "WaveFinished", "GatesAsked"]
    assert it.asked == GateOrder("7f3c-gates-0003", "7f3c", 1, "before", "w1", ("b",), (SMOKE,))
    assert it.answer(passed()) == ["GatesPassed", "WaveStarted", "BatchStarted"]
    assert it.became("applied", "b") == ["NodeApplied", "BatchEnded", "GatesAsked"]
    assert it.answer(passed()) == ["GatesPassed", "WaveFinished", "RolloutFinished"]


def test_what_was_measured_is_kept() -> None:
    it = gated(A)
    it.answer(passed())
    assert it.events[0] == ev.GatesPassed(
        check_id="7f3c-gates-0001", phase="before", wave="w0", index=0, answers=(passed(),)
    )


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_no_wave_begins_where_a_gate_has_not_passed(outcome: str) -> None:
    it = gated(A, B)
    assert it.answer(failed(outcome)) == ["GatesFailed", "PauseRequested", "RolloutPaused"]
    assert it.state.reason == "the gates before wave w0 do not let it begin"
    told = it.events[0]
    assert isinstance(told, ev.GatesFailed)
    assert (told.reason, told.is_borne) == ("command ./smoke.sh: it ended with 1", False)


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_gate_after_a_wave_fails_it(outcome: str) -> None:
    it = gated(A, B)
    it.answer(passed())
    it.became("applied", "a")
    assert it.answer(failed(outcome)) == ["GatesFailed", "WaveFailed", "PauseRequested", "RolloutPaused"]
    failure = it.events[1]
    assert isinstance(failure, ev.WaveFailed)
    assert failure.reason == "command ./smoke.sh: it ended with 1"


def test_who_goes_on_has_the_gates_asked_again() -> None:
    it = gated(A, B)
    it.answer(passed())
    it.became("applied", "a")
    it.answer(failed())
    assert it.hear(Resume()) == ["RolloutResumed", "GatesAsked"]
    assert it.asked
    assert it.asked.check_id == "7f3c-gates-0003"
    assert it.answer(failed()) == ["GatesFailed", "WaveFailed", "PauseRequested", "RolloutPaused"]
    it.hear(Resume())
    assert it.answer(passed())[:2] == ["GatesPassed", "WaveFinished"]


def test_the_last_gates_fail_the_rollout() -> None:
    it = gated(A)
    it.answer(passed())
    it.became("applied", "a")
    assert it.answer(failed()) == ["GatesFailed", "WaveFailed", "WaveFinished", "RolloutHalted"]


def test_continue_bears_it_and_does_not_forget_it() -> None:
    it = gated(A, B, on_failure="continue")
    assert it.answer(failed()) == ["GatesFailed", "WaveStarted", "BatchStarted"]
    assert it.events[0].is_borne  # type: ignore[union-attr]
    it.became("applied", "a")
    assert it.answer(failed()) == ["GatesFailed", "WaveFailed", "WaveFinished", "GatesAsked"]
    it.answer(passed())
    it.became("applied", "b")
    assert it.answer(passed()) == ["GatesPassed", "WaveFinished", "RolloutHalted"]


def test_one_gate_of_two_is_not_enough() -> None:
    it = gated(A, gates=(SMOKE, CLUSTER))
    assert it.answer(passed()) == ["GatesFailed", "PauseRequested", "RolloutPaused"]
    assert it.events[0].reason == "not every gate has answered"  # type: ignore[union-attr]


def test_before_a_wave_nobody_asks_its_nodes() -> None:
    each = HttpGate(timeout=9, url="http://{node.address}/")
    fleet = HttpGate(timeout=9, url="http://shop.example/{wave}")
    number = PrometheusGate(timeout=9, url="http://p", query="up", least=1)
    it = gated(A, gates=(NODE, each, fleet, CLUSTER, number))
    assert it.asked
    assert it.asked.gates == (fleet, CLUSTER, number)
    it.answer(passed(), passed(), passed())
    it.became("applied", "a")
    assert it.asked.gates == (NODE, each, fleet, CLUSTER, number)


def test_gates_that_ask_nodes_alone_come_after_waves_alone() -> None:
    it = gated(A, gates=(NODE,))
    assert kinds(it.events)[-2:] == ["WaveStarted", "BatchStarted"]
    assert it.became("applied", "a")[-1] == "GatesAsked"


def test_what_was_not_ready_before_is_told_to_those_who_ask_after() -> None:
    """Of each cluster as it was before its own wave."""
    it = gated(cluster("lyon", 1, base="b1:old"), cluster("nice", 1, base="b1:old"), gates=(CLUSTER,))
    assert it.asked
    assert it.asked.unready == ()
    it.answer(passed(unready=("lyon/x", "lyon/y")))
    it.became("applied", "lyon-s0")
    assert it.asked
    assert it.asked.unready == ("lyon/x", "lyon/y")
    it.answer(passed())
    it.answer(passed(unready=("nice/z",)))
    it.became("applied", "nice-s0")
    assert it.asked
    assert it.asked.unready == ("lyon/x", "lyon/y", "nice/z")


def test_what_has_become_ready_before_a_wave_is_to_stay_so() -> None:
    servers = cluster("lyon", 2, base="b1:old")
    it = gated(servers[:1], servers[1:], gates=(CLUSTER,))
    it.answer(passed(unready=("lyon/x",)))
    it.became("applied", "lyon-s0")
    it.answer(passed())
    it.answer(passed())
    it.became("applied", "lyon-s1")
    assert it.asked
    assert it.asked.unready == ()


def test_what_was_not_ready_is_known_although_another_gate_is_borne() -> None:
    it = gated(cluster("lyon", 1, base="b1:old"), gates=(CLUSTER, SMOKE), on_failure="continue")
    it.answer(passed(unready=("lyon/x",)), failed())
    it.became("applied", "lyon-s0")
    assert it.asked
    assert it.asked.unready == ("lyon/x",)


def test_a_wave_soaks_first() -> None:
    it = gated(A, B, timing=Timing(soak=600.0))
    it.answer(passed())
    assert it.became("applied", "a", at=100.0)[-1] == "WaveSoaking"
    assert it.hear(Tick(), at=699.0) == []
    assert it.hear(Tick(), at=700.0) == ["GatesAsked"]


def test_a_person_first_then_the_gates() -> None:
    order = rollout(A, B)
    waves = (order.waves[0], replace(order.waves[1], needs_approval=True))
    it = Gated(replace(order, policy="standard", waves=waves, gates=(SMOKE,)))
    it.answer(passed())
    it.became("applied", "a")
    assert it.answer(passed()) == ["GatesPassed", "WaveFinished", "ApprovalAwaited"]
    assert it.hear(Approve("ops")) == ["WaveApproved", "GatesAsked"]
    assert it.answer(passed())[:2] == ["GatesPassed", "WaveStarted"]


def test_nothing_to_show_nothing_to_ask() -> None:
    it = gated(A, B, gates=(NODE,))
    assert it.became("unreachable", "a")[-3:] == ["WaveFinished", "WaveStarted", "BatchStarted"]


def test_a_node_that_is_ill_counts_as_failed() -> None:
    it = judged([*A, *B], plain("c"), gates=(NODE,))
    it.became("applied", "a", "b")
    ill = failed(gate="node", ill={"b": "chrony.service is failed"})
    told = it.answer(ill)
    assert told == ["NodeUnhealthy", "GatesPassed", "WaveFailed", "PauseRequested", "RolloutPaused"]
    assert it.events[0] == ev.NodeUnhealthy(
        node="b", site="yard", check_id="7f3c-gates-0001", reason="node: chrony.service is failed"
    )
    assert it.state.counts().applied == 1
    assert it.state.counts().failed == 1
    passing = it.events[1]
    assert isinstance(passing, ev.GatesPassed)
    assert passing.answers[0].ill == {}


def test_a_wave_bears_as_many_as_its_threshold_does() -> None:
    it = judged([*A, *B], plain("c"), threshold="50", gates=(NODE,))
    it.became("applied", "a", "b")
    told = it.answer(failed(gate="node", ill={"b": "chrony.service is failed"}))
    assert told == ["NodeUnhealthy", "GatesPassed", "WaveFinished", "WaveStarted", "BatchStarted"]
    it.became("applied", "c")
    assert it.answer(passed(gate="node")) == ["GatesPassed", "WaveFinished", "RolloutHalted"]


def test_those_who_are_ill_count_for_max_failures() -> None:
    it = gated([*A, *B], plain("c"), gates=(NODE,), stop_at=1)
    it.became("applied", "a", "b")
    told = it.answer(failed(gate="node", ill={"b": "ill"}))
    assert told == ["NodeUnhealthy", "GatesPassed", "PauseRequested", "RolloutPaused"]


def test_a_node_that_nobody_knows_cannot_be_ill() -> None:
    it = gated(A, gates=(NODE,))
    it.became("applied", "a")
    told = it.answer(failed(gate="node", ill={"stranger": "ill"}))
    assert told == ["GatesPassed", "WaveFinished", "RolloutFinished"]


def test_who_comes_late_is_asked_about_after_the_next_wave() -> None:
    """Half of w0 is enough: c is still under way when gates are asked about a and b, and goes on beside w1."""
    order = rollout(plain("a", "b", "c", base="b1:old"), plain("d", base="b1:old"), batch_size=1)
    waves = (replace(order.waves[0], success_threshold=Decimal(50), min_finished=Decimal(50)), order.waves[1])
    it = Gated(replace(order, policy="standard", offline="defer", waves=waves, gates=(NODE,)))
    it.became("applied", "a")
    it.became("applied", "b")
    assert it.asked
    assert it.asked.nodes == ("a", "b")
    it.became("applied", "c")
    assert it.answer(passed())[:3] == ["GatesPassed", "WaveFinished", "WaveStarted"]
    it.became("applied", "d")
    assert it.asked
    assert it.asked.nodes == ("c", "d")
    assert it.answer(failed(gate="node", ill={"c": "chrony.service is failed"}))[0] == "NodeUnhealthy"
    assert it.state.counts().failed == 1


def test_who_comes_late_is_asked_about_even_where_no_wave_follows_that_changes_anything() -> None:
    order = rollout(plain("a", "b", base="b1:old"), (), batch_size=1)
    waves = (replace(order.waves[0], success_threshold=Decimal(50), min_finished=Decimal(50)), order.waves[1])
    it = Gated(replace(order, policy="standard", offline="defer", waves=waves, gates=(NODE,)))
    it.became("applied", "a")
    it.answer(passed())
    assert it.became("applied", "b")[-1] == "GatesAsked"
    assert it.asked
    assert it.asked.nodes == ("b",)
    assert it.answer(passed())[-1] == "RolloutFinished"


def test_an_ill_server_blocks_its_agents_in_later_waves() -> None:
    nodes = cluster("lyon", 1, 1, "b1:old")
    it = Gated(replace(rollout(nodes[:1], nodes[1:]), policy="standard", on_failure="continue", gates=(NODE,)))
    it.became("applied", "lyon-s0")
    told = it.answer(failed(gate="node", ill={"lyon-s0": "k3s.service is failed"}))
    assert told[:3] == ["NodeUnhealthy", "NodeBlocked", "GatesPassed"]
    blocked = it.events[1]
    assert isinstance(blocked, ev.NodeBlocked)
    assert (blocked.node, blocked.by) == ("lyon-a0", "lyon-s0")
    assert blocked.reason == "server lyon-s0 is not healthy: node: k3s.service is failed"


def test_what_an_ill_server_blocked_does_not_begin_when_the_one_before_it_comes_through() -> None:
    """Gates are asked about s0 and s1 while s2 is under way, as its wave has passed; the agent waits for s2."""
    it = judged(cluster("lyon", 3, 1, "b1:old"), plain("z", base="b1:old"), threshold="50", gates=(NODE,))
    it.became("applied", "lyon-s0")
    assert it.became("applied", "lyon-s1")[-1] == "GatesAsked"
    it.answer(failed(gate="node", ill={"lyon-s1": "k3s.service is failed"}))
    assert [it.state.layout.nodes[i].name for i in range(5) if it.state.blocked >> i & 1] == ["lyon-a0"]
    told = it.became("applied", "lyon-s2")
    assert "lyon-a0" not in [name for batch in it.state.running for name in batch.nodes], told
    assert it.state.ready & it.state.blocked == 0


@pytest.mark.parametrize(
    ("signal", "end"),
    [(Pause("lunch"), "RolloutPaused"), (Cancel(), "RolloutCancelled"), (Supersede("8a4d"), "RolloutSuperseded")],
)
def test_nobody_waits_for_gates_to_come_to_rest(signal: Signal, end: str) -> None:
    it = gated(A, B)
    assert it.hear(signal)[-1] == end
    assert it.state.checking is None


def test_an_answer_to_what_a_pause_ended_means_nothing() -> None:
    it = gated(A, B)
    it.hear(Pause("lunch"))
    it.hear(Resume())
    assert it.answer(passed(), check_id="7f3c-gates-0001") == []
    assert it.answer(passed(), check_id="7f3c-gates-0002")[0] == "GatesPassed"


def test_gates_are_asked_once() -> None:
    it = gated(A, B)
    assert it.hear(Tick()) == []
    assert it.asked is None


def test_who_takes_over_asks_again() -> None:
    it = gated(A, B)
    asked = it.state.checking
    assert it.hear(TakeOver(7, "other")) == ["RolloutTakenOver"]
    assert it.state.checking == asked
    assert it.asked == GateOrder("7f3c-gates-0001", "7f3c", 7, "before", "w0", ("a",), (SMOKE,))


def test_a_snapshot_holds_what_gates_said() -> None:
    it = gated([*A, *B], plain("c"), gates=(CLUSTER, NODE), on_failure="continue")
    it.answer(passed(unready=("lyon/x",)))
    it.became("applied", "a", "b")
    assert restore(it.state.order, decode_snapshot(encode_snapshot(snapshot(it.state)))) == it.state
    it.answer(failed(), failed(gate="node", ill={"b": "ill"}))
    assert it.state.unhealthy
    assert it.state.doubted >= 0
    assert restore(it.state.order, decode_snapshot(encode_snapshot(snapshot(it.state)))) == it.state


class TestRollback:
    def test_a_wave_that_fails_ends_the_rollout_to_be_rolled_back(self) -> None:
        it = judged(A, B, on_failure="rollback")
        told = it.became("failed", "a")
        assert told[-3:] == ["WaveFailed", "RollbackRequested", "RolloutWithdrawn"]
        assert it.state.has_ended
        assert it.state.reason == "wave w0 failed"

    def test_also_after_the_last_wave(self) -> None:
        it = gated(A, on_failure="rollback")
        it.answer(passed())
        it.became("applied", "a")
        assert it.answer(failed()) == ["GatesFailed", "WaveFailed", "RollbackRequested", "RolloutWithdrawn"]

    def test_what_runs_ends_first(self) -> None:
        order = replace(rollout([*A, *B], forks=2, batch_size=1), policy="standard", on_failure="rollback", stop_at=1)
        it = Gated(order)
        assert it.became("failed", "a")[-1] == "RollbackRequested"
        assert it.became("applied", "b")[-2:] == ["BatchEnded", "RolloutWithdrawn"]

    def test_nothing_new_begins(self) -> None:
        order = replace(
            rollout([*A, *B], plain("c"), forks=1, batch_size=1), policy="standard", on_failure="rollback", stop_at=1
        )
        it = Gated(order)
        assert it.became("failed", "a") == ["NodeFailed", "BatchEnded", "RollbackRequested", "RolloutWithdrawn"]

    def test_where_nothing_came_there_is_nothing_to_bring_back(self) -> None:
        it = judged(A, B, finished="100", on_failure="rollback")
        assert it.became("unreachable", "a")[-2:] == ["PauseRequested", "RolloutPaused"]

    def test_before_a_wave_a_gate_pauses(self) -> None:
        """What came before it has passed its own gates: it may be the world."""
        it = gated(A, B, on_failure="rollback")
        it.answer(passed())
        it.became("applied", "a")
        it.answer(passed())
        assert it.answer(failed()) == ["GatesFailed", "PauseRequested", "RolloutPaused"]
