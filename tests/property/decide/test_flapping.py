"""Two flapping nodes in one quorum: a cluster of three servers, of which two come and go while a change is rolled out.

From the plan on, with the records and the journal of a controller: what is brought, deferred and caught up is what users get.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.decide import decide, evolve_all, initial
from fleet.model import event as ev
from fleet.model.batch import BatchOrder, NodeResult
from fleet.model.event import Event
from fleet.model.plan import EVERYTHING, Plan, Scope
from fleet.model.rollout import RolloutOrder, RolloutState
from fleet.model.signal import BatchFinished, Begin, Pause, Resume, Signal
from fleet.operations.again import deferred
from fleet.operations.apply import ApplyOptions, order_of
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal, MemoryRecords
from tests.specs import document
from tests.unit.operations.hosts import held
from tests.unit.operations.test_draining import NEW, lock, site
from tests.unit.render.ground import intent

SERVERS = ("s", "t", "u")
NODES = (*SERVERS, "a", "b")
QUORUM = 2
FLEET = "{rolloutPolicy: careful, k3s: {version: %s}, os: {files: [{path: /etc/commit, content: %s}]}}"
CAREFUL = document("RolloutPolicy", "careful", "{successThreshold: 50%, minFinished: 10%}")
Moment = tuple[bool, bool]
"""Whether s and t answer from now on. After the last one both do."""


class Cluster:
    """Servers s, t and u, agents a and b, all to be changed; and the controller that does it. `story` is what it told."""

    def __init__(self, moments: Iterable[Moment], pauses: Sequence[bool] = ()) -> None:
        self.moments, self.pauses = deque(moments), deque(pauses)
        self.up = dict.fromkeys(NODES, True)
        self.records = MemoryRecords([held(name) for name in NODES])
        self.journal = MemoryJournal(MemoryClock())
        self.story: list[str] = []
        self.away: set[str] = set()
        """Who does not answer, as far as the controller knows."""
        self.flying: set[str] = set()
        self.commit = "one"

    def flap(self) -> None:
        self.up["s"], self.up["t"] = self.moments.popleft() if self.moments else (True, True)

    def intent(self) -> Intent:
        fleet = document("Fleet", "acme", FLEET % (NEW, self.commit))
        return intent(fleet, CAREFUL, site("stuab"), files={"fleet.lock": lock(NEW)}, records=self.records)

    def plan(self, scope: Scope, *, looks: bool) -> Plan:
        """`looks`: the nodes are asked first, as by --refresh."""
        gone = {name: "silent" for name, is_up in self.up.items() if looks and not is_up}
        return plan(self.intent(), self.records, scope, gone=gone)  # type: ignore[arg-type]

    def apply(self, *, looks: bool = False) -> None:
        self._roll(self.plan(EVERYTHING, looks=looks), ApplyOptions(forks=3))

    def catch_up(self, *, looks: bool = False) -> bool:
        """False where nobody is deferred."""
        if names := deferred(self.journal, self.plan(EVERYTHING, looks=looks)):
            made = self.plan(Scope(nodes=tuple(names)), looks=looks)
            self._roll(made, ApplyOptions(forks=3, one_wave="catch-up"))
        return bool(names)

    def _roll(self, made: Plan, options: ApplyOptions) -> None:
        order = order_of(self.intent(), made, self.records, "ops@desk", options)
        self.away, self.flying = set(made.away), set()
        self.lease = self.journal.acquire("ops@desk")
        self.journal.begin(self.lease, order)
        state, batches = self._hear(initial(order), Begin(self.lease.epoch))
        while not state.has_ended:
            if self.pauses and self.pauses.popleft():
                state, more = self._hear(state, Pause("lunch"))
                batches += more
            if batches:
                state, more = self._hear(state, self._run(batches.pop(0)))
            else:
                assert state.status == "paused", "what does not run has ended, or is paused"
                state, more = self._hear(state, Resume())
            batches += more
        self.journal.release(self.lease)
        self._check_outcomes(order)

    def _hear(self, state: RolloutState, signal: Signal) -> tuple[RolloutState, list[BatchOrder]]:
        said = decide(state, signal)
        self.journal.append(self.lease, state.order.id, Step(said.events, said.effects))
        for event in said.events:
            self._look_at(event)
        return evolve_all(state, said.events), [effect.order for effect in said.effects]

    def _run(self, batch: BatchOrder) -> BatchFinished:
        """A node comes through that answers before and after."""
        before = dict(self.up)
        self.flap()
        lost = [name for name in batch.nodes if not (before[name] and self.up[name])]
        self.records.save([held(name, batch.wanted[name]) for name in batch.nodes if name not in lost])
        self.records.note_unanswered({name: batch.wanted[name] for name in lost})
        results = (
            NodeResult(name, "unreachable", reason="no route")
            if name in lost
            else NodeResult(name, "applied", digest=batch.wanted[name])
            for name in batch.nodes
        )
        return BatchFinished(batch.batch_id, tuple(results))

    def _look_at(self, event: Event) -> None:
        match event:
            case ev.BatchStarted():
                self._check_start(set(event.nodes))
                self.flying |= set(event.nodes)
                self.story.append(f"start {' '.join(event.nodes)}")
            case ev.NodeApplied():
                self.flying.discard(event.node)
                self.away.discard(event.node)
            case ev.NodeUnreachable():
                self.flying.discard(event.node)
                self.away.add(event.node)
                self.story.append(f"no answer {event.node}")
            case ev.NodeBlocked():
                assert event.by in SERVERS, "it says whom it waits for"
                assert event.by in event.reason
                self.story.append(f"blocked {event.node}: {event.reason}")
            case ev.RolloutFinished() | ev.RolloutHalted() | ev.RolloutPaused():
                self.story.append(type(event).__name__)
            case _:
                return

    def _check_start(self, nodes: set[str]) -> None:
        """What is begun is going to be away by our doing."""
        ours = (self.flying | nodes) & set(SERVERS)
        assert len(ours) <= 1, "one server at a time"
        taken = ours - self.away
        if taken:
            left = len(set(SERVERS) - self.away - taken)
            assert left >= QUORUM, f"{taken} goes away while {self.away} do not answer"

    def _check_outcomes(self, order: RolloutOrder) -> None:
        kinds = (ev.NodeApplied, ev.NodeUnreachable, ev.NodeBlocked, ev.NodeFailed)
        told = [entry.event for entry in self.journal.read(order.id)]
        assert Counter(event.node for event in told if isinstance(event, kinds)) == {
            node.name: 1 for node in order.nodes
        }


FLAPS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=14)


@settings(max_examples=150, deadline=None)
@given(first=st.tuples(st.booleans(), st.booleans()), moments=FLAPS, pauses=st.lists(st.booleans(), max_size=8),
       looks=st.lists(st.booleans(), max_size=6), moves=st.integers(0, 6))  # fmt: skip
def test_two_flapping_nodes_in_one_quorum(
    first: Moment, moments: list[Moment], pauses: list[bool], looks: list[bool], moves: int
) -> None:
    """Git moves on once, after some catch-ups."""
    one = Cluster([first, *moments], pauses)
    one.flap()
    asked = deque(looks)
    for turn in range(moves + len(moments) + 8):
        looks_now = bool(asked and asked.popleft())
        if turn in (0, moves):
            one.commit = "two" if turn == moves else "one"
            one.apply(looks=looks_now)
        elif not one.catch_up(looks=looks_now) and turn > moves:
            break
        one.flap()
    assert one.plan(EVERYTHING, looks=False).nodes == (), f"whoever is back is brought forward: {one.story}"


def test_what_it_tells_of_a_server_that_goes_comes_back_and_goes_again() -> None:
    one = Cluster([(False, True), (True, True), (True, False), (True, True)])
    behind = "server {0} could not be reached: no route".format

    one.apply()
    assert one.story == ["start s", "no answer s", *blocked("tuab", behind("s")), "RolloutFinished"]
    one.story.clear()
    one.flap()
    one.catch_up()
    assert one.story == ["start s", "start t", "no answer t", *blocked("uab", behind("t")), "RolloutFinished"]
    one.story.clear()
    one.flap()
    one.catch_up()
    assert one.story == ["start t", "start u", "start a b", "RolloutFinished"]


def blocked(names: str, reason: str) -> list[str]:
    return [f"blocked {name}: {reason}" for name in names]


def test_a_server_that_may_be_back_is_tried_before_those_that_it_keeps_waiting() -> None:
    """t did not answer once. Nobody looks; git moves on, so that s, which comes before t, has something to take, too."""
    one = Cluster([(True, True), (True, False), (True, False)])
    one.apply()
    assert one.story[:3] == ["start s", "start t", "no answer t"]
    one.commit = "two"
    one.story.clear()

    one.apply()
    still_away = "server t could not be reached: no route"
    assert one.story == ["start t", "no answer t", *blocked("suab", still_away), "RolloutFinished"]
    one.story.clear()
    one.flap()
    one.catch_up()
    assert one.story == ["start t", "start s", "start u", "start a b", "RolloutFinished"]


def test_a_pause_in_between_changes_nothing_of_it() -> None:
    one = Cluster([(True, True), (True, False)], pauses=[False, True, False, True])
    one.apply()
    one.flap()
    one.catch_up()
    assert [line for line in one.story if not line.startswith("blocked")] == [
        *("start s", "start t", "no answer t", "RolloutFinished"),
        *("start t", "start u", "RolloutPaused", "start a b", "RolloutFinished"),
    ]
