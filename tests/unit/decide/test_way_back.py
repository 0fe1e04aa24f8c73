"""Nodes that a gate was against go back while the rollout goes on: which, when, how many at once, and what is owed at the end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from fleet.decide import decide, decode_snapshot, encode_snapshot, evolve_all, initial, restore, snapshot, undoing
from fleet.model import event as ev
from fleet.model.batch import BatchOrder, NodeResult
from fleet.model.effect import RunBatch
from fleet.model.event import Event
from fleet.model.gate import GateAnswer, NodeGate
from fleet.model.rollout import GroupBudget, RolloutNode, RolloutOrder
from fleet.model.signal import (
    BatchFinished,
    BatchLost,
    Begin,
    Cancel,
    GatesAnswered,
    Pause,
    Resume,
    Signal,
    TakeOver,
    Tick,
)
from fleet.model.window import Timing
from fleet.testing.orders import cluster, plain, rollout

OLD = "b1:old"
WELL = GateAnswer("node", "passed")


class Rolling:
    """A rollout of waves that bear most of their nodes ill, and rolls those back."""

    def __init__(self, *waves: Any, **changes: Any) -> None:
        order = rollout(*waves)
        borne = tuple(replace(each, success_threshold=Decimal(20), min_finished=Decimal(0)) for each in order.waves)
        changes = {"gates": (NodeGate(timeout=9),), "on_failure": "rollback", **changes}
        self.order: RolloutOrder = replace(order, policy="standard", offline="defer", waves=borne, **changes)
        self.state = initial(self.order)
        self.orders: dict[str, BatchOrder] = {}
        self.events: list[Event] = []
        self.hear(Begin(1))

    def hear(self, signal: Signal) -> list[str]:
        decision = decide(self.state, signal)
        self.state = evolve_all(self.state, decision.events)
        self.orders |= {
            effect.order.batch_id: effect.order for effect in decision.effects if isinstance(effect, RunBatch)
        }
        self.events += decision.events
        kept = decode_snapshot(encode_snapshot(snapshot(self.state)))
        assert restore(self.order, kept) == self.state
        return [type(event).__name__ for event in decision.events]

    def all_applied(self) -> list[str]:
        """Everything that is under way forwards comes through, until gates are asked."""
        told: list[str] = []
        while batch := next((each for each in self.state.running if not each.is_back), None):
            results = tuple(NodeResult(name, "applied", digest=f"b1:{name}") for name in batch.nodes)
            told += self.hear(BatchFinished(batch.batch_id, results))
        return told

    def applied(self, name: str) -> list[str]:
        (batch,) = (each for each in self.state.running if each.nodes == (name,) and not each.is_back)
        return self.hear(BatchFinished(batch.batch_id, (NodeResult(name, "applied", digest=f"b1:{name}"),)))

    def forward(self) -> tuple[str, ...]:
        return tuple(name for batch in self.state.running if not batch.is_back for name in batch.nodes)

    def ill(self, *names: str) -> list[str]:
        assert self.state.checking
        answer = replace(WELL, outcome="failed", ill=dict.fromkeys(names, "ill")) if names else WELL
        return self.hear(GatesAnswered(check_id=self.state.checking.check_id, answers=(answer,)))

    def going_back(self) -> tuple[str, ...]:
        return tuple(name for batch in self.state.running if batch.is_back for name in batch.nodes)

    def back(self, outcome: str = "applied", digest: str = OLD) -> list[str]:
        batch = next(each for each in self.state.running if each.is_back)
        results = (NodeResult(name, outcome, digest=digest, changed=2) for name in batch.nodes)  # type: ignore[arg-type]
        return self.hear(BatchFinished(batch.batch_id, tuple(results)))

    def names(self, bits: int) -> list[str]:
        return [node.name for i, node in enumerate(self.state.layout.nodes) if bits >> i & 1]


def old(*names: str) -> tuple[RolloutNode, ...]:
    return plain(*names, base=OLD)


def test_it_goes_back_to_what_it_held_before_while_the_next_wave_begins() -> None:
    it = Rolling(
        [replace(node, sent=("b1:earlier",)) for node in old("a", "b")], old("c"), upkeep=True, updates_now=True
    )
    it.all_applied()
    told = it.ill("b")
    assert told == ["NodeUnhealthy", "GatesPassed", "NodesRollingBack", "WaveFinished", "WaveStarted", "BatchStarted"]
    (order,) = (each for each in it.orders.values() if each.undo)
    assert (order.nodes, order.undo, order.wanted, order.expect) == (
        ("b",), {"b": OLD}, {"b": OLD}, {"b": f"b1:b,b1:earlier,{OLD}"},
    )  # fmt: skip
    assert (order.upkeep, order.updates_now) == (False, False)
    assert [each.upkeep for each in it.orders.values() if not each.undo] == [True, True]
    assert it.back() == ["NodeRolledBack", "BatchEnded"]
    assert (it.names(it.state.undone), it.names(it.state.failed), it.going_back()) == (["b"], ["b"], ())
    it.all_applied()
    assert it.ill() == ["GatesPassed", "WaveFinished", "RolloutHalted"]


@pytest.mark.parametrize("on_failure", ["pause", "continue"])
def test_only_where_the_policy_rolls_back(on_failure: str) -> None:
    it = Rolling(old("a", "b"), old("c"), on_failure=on_failure)
    it.all_applied()
    assert "NodesRollingBack" not in it.ill("b")
    it.all_applied()
    assert it.ill()[-1] == "RolloutHalted"


def test_what_held_nothing_before_has_nothing_to_go_back_to() -> None:
    it = Rolling([*old("a"), *plain("new")])
    it.all_applied()
    assert it.ill("new") == ["NodeUnhealthy", "GatesPassed", "WaveFinished", "RolloutHalted"]


def test_the_rollout_does_not_end_before_they_are_back() -> None:
    it = Rolling(old("a", "b"))
    it.all_applied()
    assert it.ill("b")[-1] == "WaveFinished"
    assert it.state.status == "running"
    assert it.back()[-2:] == ["BatchEnded", "RolloutHalted"]
    last = it.events[-1]
    assert isinstance(last, ev.RolloutHalted)
    assert (last.counts.applied, last.counts.failed) == (1, 1)


@pytest.mark.parametrize(
    ("outcome", "digest", "reason"),
    [
        ("failed", "b1:b", "why"),
        ("unreachable", "", "why"),
        ("applied", "b1:b", "it holds b1:b after the batch, and held b1:old before"),
    ],
)
def test_what_cannot_go_back_says_why_and_is_not_tried_again(outcome: str, digest: str, reason: str) -> None:
    it = Rolling(old("a", "b"))
    it.all_applied()
    it.ill("b")
    (batch,) = (each for each in it.state.running if each.is_back)
    result = NodeResult("b", outcome, digest=digest, reason="why" if reason == "why" else "")  # type: ignore[arg-type]
    assert it.hear(BatchFinished(batch.batch_id, (result,))) == ["NodeNotRolledBack", "BatchEnded", "RolloutHalted"]
    stuck = it.events[-3]
    assert isinstance(stuck, ev.NodeNotRolledBack)
    assert (stuck.node, stuck.reason) == ("b", reason)
    assert (it.names(it.state.stuck), it.state.undone) == (["b"], 0)


def test_no_more_of_a_group_at_once_than_may_be_away() -> None:
    nodes = [replace(node, groups=("yard",)) for node in old("a", "b", "c", "d", "e", "f")]
    it = Rolling(nodes, budgets=(GroupBudget("yard", 2),), batch_size=1)
    it.all_applied()
    it.ill("a", "b", "c")
    seen = [it.going_back()]
    while it.going_back():
        it.back()
        seen.append(it.going_back())
    assert seen == [("a", "b"), ("b", "c"), ("c",), ()]
    assert it.state.has_ended


def test_what_is_in_flight_is_of_the_group_too() -> None:
    """The budget of two: c of the next wave has begun beside a, and b waits."""
    first = [replace(node, groups=("yard",)) for node in old("a", "b", "x", "y", "z")]
    second = [replace(node, groups=("yard",)) for node in old("c")]
    it = Rolling(first, second, budgets=(GroupBudget("yard", 1),), batch_size=1)
    it.all_applied()
    it.ill("a", "b")
    assert it.going_back() == ("a",)
    assert not [each for each in it.state.running if not each.is_back], "a and b use the budget up"
    it.back()
    assert it.going_back() == ("b",)
    it.back()
    assert [each.nodes for each in it.state.running] == [("c",)], "they are away no more"


def test_who_is_under_way_forward_takes_the_place_of_one_that_goes_back() -> None:
    """The wave has passed with a and b, so gates are asked about them while c is under way."""
    nodes = [replace(node, groups=("yard",)) for node in old("a", "b", "c")]
    it = Rolling(nodes, old("d"), budgets=(GroupBudget("yard", 1),), batch_size=1)
    it.applied("a")
    it.applied("b")
    it.ill("b")
    assert (it.going_back(), it.forward()[0]) == ((), "c")
    it.applied("c")
    assert it.going_back() == ("b",)


def test_no_server_begins_beside_one_that_goes_back() -> None:
    it = Rolling(cluster("lyon", 3, 0, OLD), old("d"), batch_size=1)
    it.applied("lyon-s0")
    it.ill("lyon-s0")
    assert (it.going_back(), it.forward()) == ((), ("lyon-s1",)), "one server at a time"
    (batch,) = it.state.running
    it.hear(BatchLost(batch.batch_id, "died"))
    assert it.going_back() == ("lyon-s0",)
    assert "lyon-s1" not in it.forward()
    it.back()
    assert "lyon-s1" in it.forward()


def test_servers_one_at_a_time_and_before_their_agents() -> None:
    it = Rolling(cluster("lyon", 5, 2, OLD), budgets=(GroupBudget("servers of lyon", 2, is_quorum=True),))
    it.all_applied()
    it.ill("lyon-s0", "lyon-s1", "lyon-a0")
    seen = []
    while it.going_back():
        seen.append(it.going_back())
        it.back()
    assert seen == [("lyon-s0",), ("lyon-s1",), ("lyon-a0",)]


def test_rates_are_not_waited_for() -> None:
    it = Rolling(old("a", "b"), old("c"), timing=Timing(rate=1.0))
    it.all_applied()
    it.hear(Tick(at=it.state.paced_until))
    it.all_applied()
    told = it.ill("b")
    assert "NodesRollingBack" in told
    assert "BatchStarted" not in told, "c waits for the rate"


def test_a_pause_starts_no_way_back_and_who_goes_on_does() -> None:
    it = Rolling(old("a", "b"), old("c"), forks=1)
    while it.state.checking is None:
        it.all_applied()
    it.ill("b")
    assert it.going_back() == ("b",)
    (batch,) = (each for each in it.state.running if each.is_back)
    assert it.hear(Pause("lunch")) == ["PauseRequested"]
    assert it.hear(BatchLost(batch.batch_id, "died"))[-1] == "RolloutPaused"
    assert (it.going_back(), it.state.undone, it.state.ready & it.state.failed) == ((), 0, 0)
    assert "NodesRollingBack" in it.hear(Resume())
    assert it.going_back() == ("b",)


def test_who_takes_over_goes_on_with_it() -> None:
    it = Rolling(old("a", "b"))
    it.all_applied()
    it.ill("b")
    kept = restore(it.order, decode_snapshot(encode_snapshot(snapshot(it.state))))
    assert kept == it.state
    (order,) = (each for each in it.orders.values() if each.undo)
    decision = decide(kept, TakeOver(2, "ops@other"))
    (effect,) = decision.effects
    assert effect.order == replace(order, epoch=2)


def test_a_cancel_begins_nothing_more() -> None:
    nodes = [replace(node, groups=("yard",)) for node in old("a", "b", "c", "d")]
    it = Rolling(nodes, budgets=(GroupBudget("yard", 1),))
    it.all_applied()
    while it.state.checking is None:
        it.all_applied()
    it.ill("a", "b")
    assert it.hear(Cancel("enough")) == ["CancelRequested"]
    assert it.back() == ["NodeRolledBack", "BatchEnded", "RolloutCancelled"]


def test_a_wave_that_fails_takes_all_of_it_back_and_not_twice() -> None:
    it = Rolling(old("a", "b", "c"), old("d", "e"))
    it.all_applied()
    it.ill("b")
    it.back()
    it.all_applied()
    told = it.ill("d", "e")
    assert told[-2:] == ["RollbackRequested", "RolloutWithdrawn"]
    assert "NodesRollingBack" not in told
    undo = undoing(it.state, "8a4d")
    assert undo
    assert sorted(node.name for node in undo.nodes) == ["a", "c", "d", "e"]
