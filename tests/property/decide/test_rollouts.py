"""Whatever a fleet looks like and whatever happens to its batches, a rollout keeps its rules.

The rules are judged from events alone, by a book-keeping that shares nothing with the state.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.decide import decide, decode_snapshot, encode_snapshot, evolve, evolve_all, initial, restore, snapshot
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.effect import RunBatch
from fleet.model.event import Event
from fleet.model.rollout import RolloutNode, RolloutOrder
from fleet.model.signal import BatchFinished, BatchLost, Begin, Cancel, Pause, Resume, Signal, TakeOver
from fleet.testing.orders import cluster, plain, rollout

FINAL = {
    ev.NodeApplied: "applied",
    ev.NodeFailed: "failed",
    ev.NodeUnreachable: "unreachable",
    ev.NodeBlocked: "blocked",
}
ENDS = (ev.RolloutFinished, ev.RolloutHalted, ev.RolloutCancelled)


@st.composite
def orders(draw: st.DrawFn) -> RolloutOrder:
    sizes = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=6))
    hosts = draw(st.integers(0, 4))
    base = draw(st.sampled_from(["", "b1:old"]))
    groups = [cluster(f"c{i}", servers, agents, base) for i, (servers, agents) in enumerate(sizes)]
    groups += [plain(f"h{i}") for i in range(hosts)]
    waves: list[list[RolloutNode]] = [[] for _ in range(draw(st.integers(1, 3)))]
    for group in groups:
        waves[draw(st.integers(0, len(waves) - 1))] += draw(st.permutations(group))
    return rollout(*waves, forks=draw(st.integers(1, 7)), batch_size=draw(st.integers(1, 5)))


class Book:
    """What the events say, node by node."""

    def __init__(self, order: RolloutOrder) -> None:
        self.order = order
        self.nodes = {node.name: node for node in order.nodes}
        self.wave = {node.name: i for i, wave in enumerate(order.waves) for node in wave.nodes}
        self.final: dict[str, str] = {}
        self.batches: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []
        self.quiet = False
        self.over: Event | None = None

    def write(self, event: Event) -> None:
        assert self.over is None, "nothing happens after the end"
        match event:
            case ev.BatchStarted(batch_id=batch_id, nodes=nodes):
                assert not self.quiet, "a pause starts nothing new"
                assert batch_id not in self.asked
                self.asked.append(batch_id)
                self.batches[batch_id] = nodes
                self._check_start(nodes)
            case ev.BatchEnded(batch_id=batch_id):
                assert all(name in self.final for name in self.batches.pop(batch_id))
            case ev.BatchRequeued(batch_id=batch_id, nodes=nodes):
                assert self.batches.pop(batch_id) == nodes
            case ev.NodeApplied() | ev.NodeFailed() | ev.NodeUnreachable() | ev.NodeBlocked():
                assert event.node not in self.final, "one final outcome a node"
                assert (event.node in self._flying()) != isinstance(event, ev.NodeBlocked)
                self.final[event.node] = FINAL[type(event)]
            case ev.PauseRequested() | ev.CancelRequested():
                self.quiet = True
            case ev.RolloutResumed():
                self.quiet = False
        if isinstance(event, ENDS):
            assert not self.batches
            self.over = event

    def _flying(self) -> set[str]:
        return {name for names in self.batches.values() for name in names} - set(self.final)

    def _check_start(self, names: tuple[str, ...]) -> None:
        assert 0 < len(names) <= self.order.batch_size
        flying = Counter(name for batch in self.batches.values() for name in batch)
        assert set(flying.values()) == {1}, "a node is in one batch at a time"
        assert len(flying) <= self.order.forks
        servers = Counter(self.nodes[name].cluster for name in flying if self.nodes[name].role == "server")
        assert all(count == 1 for count in servers.values()), "one server of a cluster at a time"
        for name in names:
            assert name not in self.final
            for other in self.nodes.values():
                if self._comes_before(other, self.nodes[name]):
                    assert self.final.get(other.name) == "applied", f"{name} before {other.name}"
                if self.wave[other.name] < self.wave[name]:
                    assert other.name in self.final

    @staticmethod
    def _comes_before(first: RolloutNode, node: RolloutNode) -> bool:
        if first.role != "server" or node.role == "none" or first.cluster != node.cluster:
            return False
        return node.role == "agent" or first.rank < node.rank


def outcomes(data: st.DataObject, nodes: tuple[str, ...]) -> tuple[NodeResult, ...]:
    drawn = data.draw(st.lists(st.sampled_from(["applied", "applied", "applied", "failed", "unreachable"]),
                               min_size=len(nodes), max_size=len(nodes)))  # fmt: skip
    return tuple(NodeResult(name, kind, digest=f"b1:{name}") for name, kind in zip(nodes, drawn, strict=True))  # type: ignore[arg-type]


def some_signal(data: st.DataObject, effects: dict[str, RunBatch], epoch: int) -> Signal:
    kinds = ["pause", "resume", "take over"]
    kinds += ["cancel"] if data.draw(st.integers(0, 19)) == 0 else []
    kinds += ["finish"] * 6 + ["lose"] if effects else []
    kind = data.draw(st.sampled_from(kinds))
    if kind in ("finish", "lose"):
        batch_id = data.draw(st.sampled_from(sorted(effects)))
        order = effects[batch_id].order
        return BatchFinished(batch_id, outcomes(data, order.nodes)) if kind == "finish" else BatchLost(batch_id, "died")
    return {"pause": Pause("p"), "resume": Resume(), "take over": TakeOver(epoch, "me"), "cancel": Cancel("c")}[kind]


@settings(max_examples=300, deadline=None)
@given(orders(), st.data())
def test_every_rollout_keeps_the_rules_and_comes_to_an_end(order: RolloutOrder, data: st.DataObject) -> None:
    state, book, effects, log, epoch = initial(order), Book(order), dict[str, RunBatch](), list[Event](), 1

    def hear(signal: Signal) -> None:
        nonlocal state
        before = state
        untouched = (before, snapshot(before))
        decision = decide(state, signal)
        assert decide(state, signal) == decision
        for event in decision.events:
            book.write(event)
            state = evolve(state, event)
        log.extend(decision.events)
        effects.update({effect.order.batch_id: effect for effect in decision.effects})
        assert (before, snapshot(before)) == untouched
        for batch_id in [batch_id for batch_id in effects if batch_id not in book.batches]:
            del effects[batch_id]
        assert set(effects) == set(book.batches) == {batch.batch_id for batch in state.running}
        assert restore(order, decode_snapshot(encode_snapshot(snapshot(state)))) == state

    hear(Begin(epoch))
    for _ in range(data.draw(st.integers(0, 25))):
        epoch += 1
        hear(some_signal(data, effects, epoch))
    hear(Resume())
    for _ in range(len(book.nodes) + 1):  # each turn ends a batch of at least one node
        if book.over:
            break
        assert effects, "what has not ended has something in flight"
        batch = next(iter(effects.values())).order
        hear(BatchFinished(batch.batch_id, outcomes(data, batch.nodes)))

    assert evolve_all(initial(order), log) == state
    counts = Counter(book.final.values())
    assert book.over is not None
    assert book.over.counts.applied == counts["applied"]
    assert book.over.counts.failed == counts["failed"]
    assert book.over.counts.unreachable == counts["unreachable"]
    assert book.over.counts.blocked == counts["blocked"]
    assert book.over.counts.waiting == len(book.nodes) - len(book.final)
    match book.over:
        case ev.RolloutFinished():
            assert set(book.final.values()) <= {"applied"}
            assert len(book.final) == len(book.nodes)
        case ev.RolloutHalted():
            assert counts["failed"] + counts["unreachable"] > 0
            assert len(book.final) == len(book.nodes)


@settings(max_examples=100, deadline=None)
@given(orders(), st.data())
def test_only_what_depends_on_a_failure_is_blocked(order: RolloutOrder, data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.sampled_from([node.name for node in order.nodes]))) if order.nodes else set()
    state = initial(order)
    decision = decide(state, Begin(1))
    effects, events = list(decision.effects), list(decision.events)
    state = evolve_all(state, decision.events)
    while effects:
        batch = effects.pop(data.draw(st.integers(0, len(effects) - 1))).order
        results = tuple(
            NodeResult(name, "failed" if name in failing else "applied", digest=f"b1:{name}") for name in batch.nodes
        )
        decision = decide(state, BatchFinished(batch.batch_id, results))
        effects += decision.effects
        events += decision.events
        state = evolve_all(state, decision.events)

    broken = {(node.cluster, node.rank) for node in order.nodes if node.role == "server" and node.name in failing}
    blocked = {
        node.name
        for node in order.nodes
        for cluster_name, rank in broken
        if node.cluster == cluster_name and (node.role == "agent" or (node.role == "server" and node.rank > rank))
    }
    assert {event.node for event in events if isinstance(event, ev.NodeBlocked)} == blocked
    assert {event.node for event in events if isinstance(event, ev.NodeFailed)} == failing - blocked
