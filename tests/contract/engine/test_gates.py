"""The local engine and gates: they are asked beside what runs, their answers are in the journal, and whoever takes over asks
again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial
from fleet.engine.local import LocalEngine, load
from fleet.errors import UnavailableError
from fleet.model import event as ev
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.event import Event
from fleet.model.gate import CommandGate, GateAnswer, GateOrder, NodeGate
from fleet.model.record import HeldBack
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.model.signal import BatchFinished, Begin, Pause
from fleet.ports.gates import Gates
from fleet.ports.journal import Journal, Step
from fleet.testing import MemoryApplier, MemoryGates, MemoryRecords
from fleet.testing.orders import plain, rollout, wanted

pytestmark = pytest.mark.timeout(60)
SMOKE, NODE = CommandGate(timeout=9, command=("./smoke.sh",)), NodeGate(timeout=9)
FAILED = GateAnswer("command ./smoke.sh", "failed", "exit 1", "it ended with 1")


def gated(**changes: object) -> RolloutOrder:
    parts = rollout(plain("a", base="b1:old"), plain("b", base="b1:old"))
    return replace(parts, policy="standard", gates=(SMOKE,), **changes)


def engine(
    journal: Journal, gates: Gates, applier: MemoryApplier | None = None, records: MemoryRecords | None = None
) -> LocalEngine:
    applier = applier or MemoryApplier(wanted(gated()))
    return LocalEngine(journal, applier, records or MemoryRecords(), gates=lambda: gates, poll_seconds=0.01)


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_each_wave_is_asked_before_and_after(journal: Journal) -> None:
    gates = MemoryGates()
    events = list(engine(journal, gates).roll(gated()))
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=2))
    assert [(order.phase, order.wave, order.nodes) for order in gates.orders] == [
        ("before", "w0", ("a",)), ("after", "w0", ("a",)), ("before", "w1", ("b",)), ("after", "w1", ("b",)),
    ]  # fmt: skip
    assert [entry.event for entry in journal.read("7f3c")] == events


def test_a_gate_that_does_not_pass_keeps_the_next_wave(journal: Journal) -> None:
    passed = GateAnswer("command ./smoke.sh", "passed")
    applier = MemoryApplier(wanted(gated()))
    events = list(engine(journal, MemoryGates({SMOKE: [passed, FAILED]}), applier).roll(gated()))
    assert kinds(events)[-4:] == ["GatesFailed", "WaveFailed", "PauseRequested", "RolloutPaused"]
    assert [order.nodes for order in applier.orders] == [("a",)]
    assert events[-4].answers == (FAILED,)  # type: ignore[union-attr]

    events = list(engine(journal, MemoryGates(), applier).resume("7f3c"))
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=2))


class Broken:
    """Gates of which nothing can be asked at all."""

    def ask(self, order: GateOrder) -> Sequence[GateAnswer]:
        raise UnavailableError(f"nobody can ask {len(order.gates)} gate")

    def stop_now(self) -> None:
        """Nothing is being asked."""


def test_what_cannot_be_asked_has_not_passed(journal: Journal) -> None:
    events = list(engine(journal, Broken()).roll(gated()))
    assert kinds(events)[-3:] == ["GatesFailed", "PauseRequested", "RolloutPaused"]
    assert events[-3].reason == "gates: nobody can ask 1 gate"  # type: ignore[union-attr]


def test_without_hands_for_gates_none_passes(journal: Journal) -> None:
    applier = MemoryApplier(wanted(gated()))
    events = list(LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01).roll(gated()))
    assert kinds(events)[-3:] == ["GatesFailed", "PauseRequested", "RolloutPaused"]
    assert not applier.orders


def test_a_pause_does_not_wait_for_gates(journal: Journal) -> None:
    gates = MemoryGates()
    gates.is_held = True
    rolling = engine(journal, gates).roll(gated())
    events = []
    for event in rolling:
        events.append(event)
        if isinstance(event, ev.GatesAsked):
            journal.post("7f3c", Pause("lunch"))
    assert kinds(events)[-2:] == ["PauseRequested", "RolloutPaused"]
    assert load(journal, gated()).checking is None
    events = list(engine(journal, MemoryGates()).resume("7f3c"))
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=2))


def test_a_controller_that_died_while_it_asked_is_followed_by_one_that_asks_again(journal: Journal) -> None:
    lease = journal.acquire("ops@desk")
    order = gated()
    journal.begin(lease, order)
    decision = decide(initial(order), Begin(lease.epoch))
    assert decision.gates
    journal.append(lease, order.id, Step(decision.events, decision.effects))
    journal.release(lease)

    gates = MemoryGates()
    events = list(engine(journal, gates).resume("7f3c"))
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=2))
    assert gates.orders[0].check_id == decision.gates.check_id
    assert gates.orders[0].epoch > decision.gates.epoch


def test_a_wave_of_an_older_rollout_goes_on_beside_what_is_asked(journal: Journal) -> None:
    """A slow gate holds up its own rollout alone: stop() is heard meanwhile."""
    gates = MemoryGates()
    gates.is_held = True
    it = engine(journal, gates)
    events: list[Event] = []
    asked = threading.Event()

    def drive() -> None:
        for event in it.roll(gated()):
            events.append(event)
            if isinstance(event, ev.GatesAsked):
                asked.set()

    driving = threading.Thread(target=drive)
    driving.start()
    assert asked.wait(20)
    it.stop()
    driving.join(20)
    assert not driving.is_alive()
    assert isinstance(events[-1], ev.RolloutPaused)


class TestRollback:
    def test_a_wave_that_fails_is_rolled_back_at_once(self, journal: Journal) -> None:
        order = gated(on_failure="rollback")
        applier = Undoing(wanted(order))
        passed = GateAnswer("command ./smoke.sh", "passed")
        records = MemoryRecords()
        events = list(engine(journal, MemoryGates({SMOKE: [passed, FAILED]}), applier, records).roll(order))
        told = kinds(events)
        assert told[told.index("RolloutWithdrawn") + 1 :] == [
            "RolloutStarted", "PolicyFollowed", "RollbackBegun", "WaveStarted", "BatchStarted", "NodeApplied", "BatchEnded",
            "WaveFinished", "RolloutFinished",
        ]  # fmt: skip
        assert [status.status for status in journal.rollouts()] == ["finished", "withdrawn"]
        assert applier.digests == {"a": "b1:old"}
        assert records.held_back() == {"a": HeldBack("b1:a", "7f3c"), "b": HeldBack("b1:b", "7f3c")}

    def test_on_demand(self, journal: Journal) -> None:
        order = replace(gated(), gates=())
        applier, records = Undoing(wanted(order)), MemoryRecords()
        assert isinstance(list(engine(journal, MemoryGates(), applier, records).roll(order))[-1], ev.RolloutFinished)
        events = list(engine(journal, MemoryGates(), applier, records).roll_back("7f3c"))
        assert isinstance(events[-1], ev.RolloutFinished)
        assert applier.digests == {"a": "b1:old", "b": "b1:old"}
        assert [order.nodes for order in applier.orders] == [("a",), ("b",), ("b",), ("a",)]
        assert set(records.held_back()) == {"a", "b"}

    def test_of_one_that_is_paused(self, journal: Journal) -> None:
        order = replace(gated(stop_at=1, forks=1, batch_size=1), gates=())
        applier, records = Undoing(wanted(order), {"a": NodeResult("a", "failed", reason="why")}), MemoryRecords()
        assert isinstance(list(engine(journal, MemoryGates(), applier, records).roll(order))[-1], ev.RolloutPaused)
        applier.results.clear()
        events = list(engine(journal, MemoryGates(), applier, records).roll_back("7f3c"))
        assert "RolloutSuperseded" in kinds(events)
        assert isinstance(events[-1], ev.RolloutFinished)
        assert applier.digests == {"a": "b1:old"}

    def test_killed_between_the_two_it_is_begun_by_hand(self, journal: Journal) -> None:
        order = gated(on_failure="rollback")
        applier, records = Undoing(wanted(order)), MemoryRecords()
        passed = GateAnswer("command ./smoke.sh", "passed")
        rolling = engine(journal, MemoryGates({SMOKE: [passed, FAILED]}), applier, records).roll(order)
        for event in rolling:
            if isinstance(event, ev.RolloutWithdrawn):
                break
        rolling.close()  # type: ignore[attr-defined]
        assert set(records.held_back()) == {"a", "b"}, "held back with the very step that withdrew it"
        events = list(engine(journal, MemoryGates(), applier, records).roll_back("7f3c"))
        assert isinstance(events[-1], ev.RolloutFinished)
        assert applier.digests == {"a": "b1:old"}

    def test_a_part_goes_back_and_only_that_is_held_back(self, journal: Journal) -> None:
        records, order = MemoryRecords(), replace(gated(), gates=())
        applier = Undoing(wanted(order))
        assert isinstance(list(engine(journal, MemoryGates(), applier, records).roll(order))[-1], ev.RolloutFinished)
        events = list(engine(journal, MemoryGates(), applier, records).roll_back("7f3c", ["b"]))
        assert isinstance(events[-1], ev.RolloutFinished)
        assert applier.digests == {"a": "b1:a", "b": "b1:old"}
        assert records.held_back() == {"b": HeldBack("b1:b", "7f3c")}

    def test_killed_while_it_was_withdrawn_nothing_of_it_is_begun_any_more(self, journal: Journal) -> None:
        """Of a and b, each in a batch of its own, a has failed; b was ordered, and nobody began it."""
        nodes = plain("a", "b", base="b1:old")
        order = replace(rollout(nodes, forks=2, batch_size=1), policy="standard", stop_at=1, on_failure="rollback")
        lease = journal.acquire("ops@desk")
        journal.begin(lease, order)
        state = initial(order)
        for signal in (Begin(lease.epoch), BatchFinished("7f3c-0001", (NodeResult("a", "failed", reason="why"),))):
            decision = decide(state, signal)
            state = evolve_all(state, decision.events)
            journal.append(lease, order.id, Step(decision.events, decision.effects))
        assert state.status == "withdrawing"
        journal.release(lease)

        applier, records = Undoing(wanted(order)), MemoryRecords()
        events = list(engine(journal, MemoryGates(), applier, records).resume("7f3c"))
        assert "RolloutWithdrawn" in kinds(events)
        assert isinstance(events[-1], ev.RolloutFinished)
        assert applier.digests == {"a": "b1:old", "b": "b1:old"}
        assert [order.undo for order in applier.orders if not order.only_adopt] == [{"a": "b1:old"}, {"b": "b1:old"}]


class TestOneNodeGoesBack:
    """A gate is against b, and its wave bears that."""

    ILL = GateAnswer("node", "failed", ill={"b": "chrony.service is failed"})

    @property
    def order(self) -> RolloutOrder:
        nodes = [*plain("a", "b", base="b1:old")]
        order = rollout(nodes, plain("c", base="b1:old"))
        waves = [replace(each, success_threshold=Decimal(50), min_finished=Decimal(0)) for each in order.waves]
        return replace(order, waves=tuple(waves), policy="standard", gates=(NODE,), on_failure="rollback")

    def test_while_the_rollout_goes_on_and_is_held_back(self, journal: Journal) -> None:
        records, applier = MemoryRecords(), Undoing(wanted(self.order))
        events = list(engine(journal, MemoryGates({NODE: [self.ILL]}), applier, records).roll(self.order))
        assert isinstance(events[-1], ev.RolloutHalted)
        assert [event for event in events if isinstance(event, ev.NodeRolledBack)] == [
            ev.NodeRolledBack("b", "yard", "7f3c-0002", "b1:old", 1)
        ]
        assert applier.digests == {"a": "b1:a", "b": "b1:old", "c": "b1:c"}
        assert records.held_back() == {"b": HeldBack("b1:b", "7f3c")}
        assert [entry.event for entry in journal.read("7f3c")] == events

    def test_killed_on_its_way_it_is_taken_up_again(self, journal: Journal) -> None:
        records, applier = MemoryRecords(), Undoing(wanted(self.order))
        rolling = engine(journal, MemoryGates({NODE: [self.ILL]}), applier, records).roll(self.order)
        for event in rolling:
            if isinstance(event, ev.NodesRollingBack):
                break
        state = load(journal, self.order)
        assert [batch.nodes for batch in state.running if batch.is_back] == [("b",)]
        effect, _ = journal.open_effects("7f3c")
        assert (effect.order.undo, effect.order.wanted) == ({"b": "b1:old"}, {"b": "b1:old"})
        rolling.close()  # type: ignore[attr-defined]
        if not load(journal, self.order).has_ended:
            list(engine(journal, MemoryGates(), applier, records).resume("7f3c"))
        assert load(journal, self.order).has_ended
        assert applier.digests == {"a": "b1:a", "b": "b1:old", "c": "b1:c"}
        assert set(records.held_back()) == {"b"}


class Undoing(MemoryApplier):
    """Nodes that go back where they are told to."""

    def run_batch(self, order: BatchOrder) -> BatchResult:
        self.wanted |= order.wanted
        if order.only_adopt:
            self.orders.append(order)
            return BatchResult(order.batch_id, tuple(NodeResult(name, "unreachable") for name in order.nodes))
        return super().run_batch(order)
