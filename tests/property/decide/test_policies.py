"""Whatever a policy says, and whatever becomes of nodes: budgets, quorum, servers and waves keep their order, and every
rollout ends or says what it waits for.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from fleet.decide import decide, decode_snapshot, encode_snapshot, evolve, initial, restore, snapshot
from fleet.model.batch import NodeResult
from fleet.model.effect import RunBatch
from fleet.model.rollout import AwayNode, GroupBudget, RolloutNode, RolloutOrder, WaveOrder
from fleet.model.signal import BatchFinished, BatchLost, Begin, Cancel, Pause, Resume, Signal, TakeOver
from fleet.testing.orders import cluster, plain, rollout
from tests.property.decide.rules import Rules

PERCENT = st.sampled_from([Decimal(each) for each in ("0", "1", "33.3", "50", "75", "90", "100")])
OUTCOMES = st.lists(
    st.sampled_from(["applied", "applied", "applied", "applied", "failed", "unreachable"]), min_size=1, max_size=8
)


@st.composite
def orders(draw: st.DrawFn) -> RolloutOrder:
    sizes = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4))
    units = [cluster(f"c{i}", servers, agents, "b1:old") for i, (servers, agents) in enumerate(sizes)]
    units += [plain(f"h{i}", base="b1:old") for i in range(draw(st.integers(0, 8)))]
    waves: list[list[RolloutNode]] = [[] for _ in range(draw(st.integers(1, 3)))]
    for unit in units:
        waves[draw(st.integers(0, len(waves) - 1))] += unit
    budgets: dict[str, GroupBudget] = {}
    labels = draw(st.sampled_from([(), ("site",), ("role",)]))
    made = []
    for at, nodes in enumerate(waves):
        given = tuple(_grouped(draw, node, labels, budgets) for node in nodes)
        asked = (draw(PERCENT), draw(PERCENT)) if draw(st.integers(0, 9)) else (None, None)
        made.append(WaveOrder(f"w{at}", given, *asked))
    return replace(
        rollout(forks=draw(st.integers(1, 7)), batch_size=draw(st.integers(1, 4))),
        waves=tuple(made),
        policy="standard",
        budgets=tuple(budgets.values()),
        stop_at=draw(st.sampled_from([0, 0, 1, 2, 3])),
        on_failure=draw(st.sampled_from(["pause", "continue"])),
    )


def _grouped(
    draw: st.DrawFn, node: RolloutNode, labels: tuple[str, ...], budgets: dict[str, GroupBudget]
) -> RolloutNode:
    groups = [f"{label}={getattr(node, label)}" for label in labels]
    if node.role == "server" and draw(st.booleans()):
        groups.append(f"servers of {node.cluster}")
    for group in groups:
        if group not in budgets:
            others = draw(st.sampled_from([(), (), (), (AwayNode("elsewhere"),)]))
            budgets[group] = GroupBudget(group, draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3])), others)
    return replace(node, groups=tuple(groups), is_away=draw(st.integers(0, 7)) == 0)


class Rollouts(RuleBasedStateMachine):
    """One rollout, told in any order what becomes of its batches."""

    @initialize(order=orders())
    def begin(self, order: RolloutOrder) -> None:
        self.order = order
        self.state = initial(order)
        self.rules = Rules(order)
        self.effects: dict[str, RunBatch] = {}
        self.epoch = 1
        self.hear(Begin(1))

    def hear(self, signal: Signal) -> None:
        before = snapshot(self.state)
        old, decision = self.state, decide(self.state, signal)
        assert snapshot(old) == before
        for event in decision.events:
            self.rules.write(event)
            self.state = evolve(self.state, event)
        self.effects |= {effect.order.batch_id: effect for effect in decision.effects}
        running = {batch.batch_id for batch in self.state.running}
        self.effects = {batch_id: effect for batch_id, effect in self.effects.items() if batch_id in running}
        assert set(self.effects) == running
        self.rules.check_rest()

    def finish(self, batch_id: str, drawn: list[str]) -> None:
        names = self.effects[batch_id].order.nodes
        results = (
            NodeResult(name, drawn[at % len(drawn)], digest=f"b1:{name}", reason="why")  # type: ignore[arg-type]
            for at, name in enumerate(names)
        )
        self.hear(BatchFinished(batch_id, tuple(results)))

    @precondition(lambda self: self.effects)
    @rule(data=st.data(), drawn=OUTCOMES)
    def some_batch_ends(self, data: st.DataObject, drawn: list[str]) -> None:
        self.finish(data.draw(st.sampled_from(sorted(self.effects))), drawn)

    @precondition(lambda self: self.effects)
    @rule(data=st.data())
    def some_batch_is_lost(self, data: st.DataObject) -> None:
        self.hear(BatchLost(data.draw(st.sampled_from(sorted(self.effects))), "died"))

    @rule()
    def somebody_pauses(self) -> None:
        self.hear(Pause("lunch"))

    @rule()
    def somebody_goes_on(self) -> None:
        self.hear(Resume())

    @rule()
    def another_controller_takes_over(self) -> None:
        self.epoch += 1
        self.hear(TakeOver(self.epoch, "other"))

    @precondition(lambda self: len(self.rules.final) > 3)
    @rule(sure=st.integers(0, 9))
    def somebody_cancels(self, sure: int) -> None:
        if not sure:
            self.hear(Cancel("enough"))

    @invariant()
    def a_state_comes_back_as_it_was(self) -> None:
        if hasattr(self, "state"):
            assert restore(self.order, decode_snapshot(encode_snapshot(snapshot(self.state)))) == self.state

    def teardown(self) -> None:
        """From wherever it is, it comes to an end: each turn ends a batch, or goes on after a pause."""
        if not hasattr(self, "state"):
            return
        for turn in range(3 * len(self.rules.nodes) + 3):
            if self.rules.over:
                break
            if self.state.status == "paused":
                assert self.rules.why_paused
                self.hear(Resume())
            else:
                self.finish(next(iter(self.effects)), ["applied", "failed"] if turn % 3 else ["applied"])
        assert self.rules.over


Rollouts.TestCase.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
TestRollouts = Rollouts.TestCase
