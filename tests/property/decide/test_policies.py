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
from fleet.model.crowd import Downloads
from fleet.model.effect import RunBatch
from fleet.model.gate import ClusterGate, CommandGate, GateAnswer, GateOrder, NodeGate, asks_each_node
from fleet.model.rollout import AwayNode, GroupBudget, RolloutNode, RolloutOrder, WaveOrder
from fleet.model.signal import (
    Approve,
    BatchFinished,
    BatchLost,
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
from fleet.model.window import Freeze, Schedule, Timing
from fleet.testing.orders import cluster, plain, rollout
from tests.property.decide.rules import Rules

PERCENT = st.sampled_from([Decimal(each) for each in ("0", "1", "33.3", "50", "75", "90", "100")])
OUTCOMES = st.lists(
    st.sampled_from(["applied", "applied", "applied", "applied", "failed", "unreachable"]), min_size=1, max_size=8
)


COMMAND, CLUSTER, NODE = CommandGate(timeout=1, command=("true",)), ClusterGate(timeout=1), NodeGate(timeout=1)
GATES = st.sampled_from([(), (), (COMMAND,), (NODE,), (CLUSTER, NODE), (COMMAND, NODE)])
ANSWERS = st.lists(st.sampled_from(["passed", "passed", "passed", "failed", "unknown"]), min_size=2, max_size=5)

HOURS = st.sampled_from([60.0, 1800.0, 7200.0, 90000.0])


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
        made.append(WaveOrder(f"w{at}", given, *asked, needs_approval=draw(st.integers(0, 3)) == 0))
    timing = draw(st.sampled_from([Timing(), None]))
    sites = {node.site for wave in made for node in wave.nodes}
    return replace(
        rollout(forks=draw(st.integers(1, 7)), batch_size=draw(st.integers(1, 4))),
        waves=tuple(made),
        policy="standard",
        budgets=tuple(budgets.values()),
        stop_at=draw(st.sampled_from([0, 0, 1, 2, 3])),
        on_failure=draw(st.sampled_from(["pause", "pause", "rollback", "continue"])),
        offline=draw(st.sampled_from(["leave", "defer", "count"])),
        timing=timing or draw(timings(sites)),
        gates=draw(GATES),
        downloads=Downloads(draw(st.sampled_from([0, 0, 1, 2, 4])), draw(st.sampled_from([0, 0, 1, 2]))),
    )


ZONES = ("Etc/GMT-9", "Etc/GMT+5", "Etc/GMT+0", "Etc/GMT-1")
BEGIN = 1772409600.0
"""2026-03-02T00:00Z."""


@st.composite
def timings(draw: st.DrawFn, sites: set[str]) -> Timing:
    freezes = draw(
        st.sampled_from([(), (), (Freeze("2026-03-03", "2026-03-04"),), (Freeze("2026-03-02", "2026-03-02"),)])
    )
    opens = draw(st.sampled_from(["", "0 2 * * *", "0 0 * * *", "0 22 * * *"]))
    zone = draw(st.sampled_from(["site", "site", *ZONES]))
    schedule = Schedule(opens, draw(st.sampled_from([1, 3, 9])) * 3600.0, zone, needed=1800.0, freezes=freezes)
    return Timing(
        schedule=schedule if draw(st.booleans()) and (opens or freezes) else None,
        zones={site: draw(st.sampled_from(ZONES)) for site in sorted(sites)},
        soak=draw(st.sampled_from([0.0, 0.0, 60.0, 7200.0])),
        rate=draw(st.sampled_from([0.0, 0.0, 0.5, 2.0])),
        rate_factor=draw(st.sampled_from([1.0, 2.0])),
        offline_after=draw(st.sampled_from([0.0, 3600.0, 86400.0])),
    )


def _grouped(
    draw: st.DrawFn, node: RolloutNode, labels: tuple[str, ...], budgets: dict[str, GroupBudget]
) -> RolloutNode:
    groups = [f"{label}={getattr(node, label)}" for label in labels]
    if node.role == "server" and draw(st.booleans()):
        groups.append(f"servers of {node.cluster}")
    for group in groups:
        if group not in budgets:
            others = draw(st.sampled_from([(), (), (), (AwayNode("elsewhere", BEGIN - draw(HOURS)),)]))
            is_quorum = group.startswith("servers")
            budgets[group] = GroupBudget(group, draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3])), others, is_quorum)
    is_away = draw(st.integers(0, 7)) == 0
    since = BEGIN - draw(HOURS) if is_away else 0.0
    return replace(node, groups=tuple(groups), is_away=is_away, away_since=since, downloads=draw(st.booleans()))


class Rollouts(RuleBasedStateMachine):
    """One rollout, told in any order what becomes of its batches."""

    @initialize(order=orders())
    def begin(self, order: RolloutOrder) -> None:
        self.order = order
        self.state = initial(order)
        self.rules = Rules(order)
        self.effects: dict[str, RunBatch] = {}
        self.gates: GateOrder | None = None
        self.epoch = 1
        self.now = BEGIN
        self.wake_at: float | None = None
        self.hear(Begin(1))

    def hear(self, signal: Signal) -> None:
        before = snapshot(self.state)
        old, decision = self.state, decide(self.state, replace(signal, at=self.now))
        assert snapshot(old) == before
        self.wake_at = decision.wake_at
        for event in decision.events:
            self.rules.write(event, self.now)
            self.state = evolve(self.state, event)
        self.effects |= {effect.order.batch_id: effect for effect in decision.effects}
        running = {batch.batch_id for batch in self.state.running}
        self.effects = {batch_id: effect for batch_id, effect in self.effects.items() if batch_id in running}
        assert set(self.effects) == running
        self.gates = decision.gates or self.gates
        if self.rules.checking is None:
            self.gates = None
        assert (self.gates.check_id if self.gates else None) == self.rules.checking
        if self.gates and self.gates.phase == "after":
            assert set(self.gates.nodes) == self.rules.asking
        self.rules.now = self.now
        if isinstance(signal, TakeOver):
            return  # which starts nothing: a tick comes with it
        self.rules.check_rest(decision.wake_at)

    def finish(self, batch_id: str, drawn: list[str]) -> None:
        names, back = self.effects[batch_id].order.nodes, self.effects[batch_id].order.undo
        results = (
            NodeResult(name, drawn[at % len(drawn)], digest=back.get(name, f"b1:{name}"), reason="why")  # type: ignore[arg-type]
            for at, name in enumerate(names)
        )
        self.hear(BatchFinished(batch_id, tuple(results)))

    def answer(self, drawn: list[str]) -> None:
        """Of gates that ask nodes, some of those are ill where the gate fails."""
        assert self.gates
        answers = []
        for at, gate in enumerate(self.gates.gates):
            outcome = drawn[at % len(drawn)]
            ill = self.gates.nodes[at::2] if asks_each_node(gate) and outcome == "failed" else ()
            answers.append(GateAnswer(str(gate), outcome, ill=dict.fromkeys(ill, "why")))  # type: ignore[arg-type]
        self.rules.answers = answers
        self.hear(GatesAnswered(check_id=self.gates.check_id, answers=tuple(answers)))
        self.rules.answers = []

    @precondition(lambda self: self.gates)
    @rule(drawn=ANSWERS)
    def gates_answer(self, drawn: list[str]) -> None:
        self.answer(drawn)

    @rule(number=st.integers(0, 3))
    def gates_answer_that_nobody_asks_any_more(self, number: int) -> None:
        check_id = f"7f3c-gates-{number:04d}"
        if not self.gates or self.gates.check_id != check_id:
            before = self.state
            self.hear(GatesAnswered(check_id=check_id, answers=(GateAnswer("any", "passed"),) * 2))
            assert replace(before, lost=(), lapsed=0) == replace(self.state, lost=(), lapsed=0)

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
        self.hear(Tick())

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 1800.0, 3 * 3600.0, 11 * 3600.0, 30 * 3600.0]))
    def time_passes(self, seconds: float) -> None:
        """As a driver tells of it: at every moment that a decision named, and at the end."""
        end = self.now + seconds
        while self.wake_at is not None and self.wake_at <= end:
            self.now = self.wake_at
            self.hear(Tick())
        self.now = end
        self.hear(Tick())

    @rule(wave=st.sampled_from(["", "", "w0", "w1", "w2"]))
    def somebody_approves(self, wave: str) -> None:
        self.hear(Approve("ops@desk", wave))

    @precondition(lambda self: len(self.rules.final) > 3)
    @rule(sure=st.integers(0, 9))
    def a_newer_one_comes(self, sure: int) -> None:
        if not sure:
            self.hear(Supersede("8a4d"))

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
        for turn in range(20 * len(self.rules.nodes) + 20):
            if self.rules.over:
                break
            if self.state.status == "paused":
                assert self.rules.why_paused
                self.hear(Resume())
            elif self.gates:
                self.answer(["passed"] if turn % 5 else ["passed", "failed"])
            elif not self.effects and self.wake_at is not None:
                self.now = self.wake_at
                self.hear(Tick())
            elif not self.effects:
                self.hear(Approve("ops@desk"))
            else:
                self.finish(next(iter(self.effects)), ["applied", "failed"] if turn % 3 else ["applied"])
        assert self.rules.over, f"{self.state.status} at {self.now}, {self.state.counts()}, wakes at {self.wake_at}"


Rollouts.TestCase.settings = settings(max_examples=400, stateful_step_count=20, deadline=None)
TestRollouts = Rollouts.TestCase
