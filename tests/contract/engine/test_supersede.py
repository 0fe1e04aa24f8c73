"""A newer rollout takes over: what runs of the older ones ends, what has not begun is the newer one's, nothing comes twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.engine.local import LocalEngine
from fleet.errors import StoppedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.event import (
    BatchStarted,
    Event,
    RolloutFinished,
    RolloutPaused,
    RolloutStarted,
    RolloutSuperseded,
    RolloutTakenOver,
    SupersedeRequested,
)
from fleet.model.record import Record
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.testing import MemoryClock
from fleet.testing.orders import plain, rollout

pytestmark = pytest.mark.timeout(60)


class Nodes:
    """Nodes that take what a batch brings where they hold what it expects. `log` is every application, as nodes saw it."""

    def __init__(self) -> None:
        self.holds: dict[str, str] = {}
        self.log: list[tuple[str, str]] = []
        self.begun: set[str] = set()
        self.wrong: list[BatchOrder] = []
        """Orders that begin what runs already, or adopt what nobody began."""
        self.gate = threading.Event()
        self.gate.set()

    def bring(self, order: BatchOrder) -> Iterator[NodeResult]:
        for name in order.nodes:
            held, wanted = self.holds.get(name, ""), order.wanted[name]
            if held != wanted and held not in order.expect[name].split(","):
                yield NodeResult(name, "failed", reason=f"expect: it holds {held}")
                continue
            self.holds[name] = wanted
            self.log.append((name, wanted))
            yield NodeResult(name, "applied", digest=wanted, record=Record(name, "acme", "m", wanted))


class Hand:
    """One controller's applier: a batch that was begun goes on when its controller is gone, and is adopted by the next."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.stopped = threading.Event()

    def run_batch(self, order: BatchOrder) -> BatchResult:
        if order.only_adopt != (order.batch_id in self.nodes.begun):
            self.nodes.wrong.append(order)
        self.nodes.begun.add(order.batch_id)
        while not self.nodes.gate.wait(0.01):
            if self.stopped.is_set():
                raise StoppedError("ended")
        return BatchResult(order.batch_id, tuple(self.nodes.bring(order)))

    def stop_now(self) -> None:
        self.stopped.set()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    yield found
    assert found.wrong == []


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path)
    yield found
    found.close()


def engine(database: Database, nodes: Nodes) -> LocalEngine:
    journal = SqliteJournal(database, MemoryClock())
    return LocalEngine(journal, Hand(nodes), SqliteRecords(database), poll_seconds=0.01)


def order(rollout_id: str, digest: str, base: str = "", forks: int = 1) -> RolloutOrder:
    """Nodes a, b and c, each wanting `digest`."""
    nodes = (replace(node, base=base, wanted=digest) for node in plain("a", "b", "c"))
    return replace(rollout(tuple(nodes), forks=forks, id=rollout_id), policy="standard", offline="defer")


def left_at_once(database: Database, nodes: Nodes, it: RolloutOrder) -> None:
    """Begun, and left with its first batch under way."""
    nodes.gate.clear()
    rolling = engine(database, nodes)
    events = rolling.roll(it)
    for event in events:
        if isinstance(event, BatchStarted | RolloutTakenOver):
            rolling.stop()
            rolling.stop()
            break
    with pytest.raises(StoppedError):
        list(events)


def some(events: list[Event], *kinds: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kinds)]


def test_a_paused_one_is_superseded_before_the_newer_one_begins(database: Database, nodes: Nodes) -> None:
    paused(database, nodes)
    later = list(engine(database, nodes).roll(order("bbbb", "b1:two", base="b1:one")))
    assert later[:3] == [
        RolloutTakenOver("aaaa", "ops@desk", 2),
        SupersedeRequested("bbbb", in_flight=0),
        RolloutSuperseded("aaaa", "bbbb", RolloutCounts(applied=1, waiting=2)),
    ]
    assert isinstance(later[3], RolloutStarted)
    assert [entry.status for entry in SqliteJournal(database, MemoryClock()).rollouts()] == ["halted", "superseded"]
    assert nodes.log == [("a", "b1:one"), ("a", "b1:two")]


def paused(database: Database, nodes: Nodes) -> None:
    """Rollout aaaa, with a brought and b and c left."""
    rolling = engine(database, nodes)
    for event in rolling.roll(order("aaaa", "b1:one")):
        if isinstance(event, BatchStarted):
            rolling.stop()


def only(it: RolloutOrder, *names: str) -> RolloutOrder:
    kept = tuple(node for node in it.nodes if node.name in names)
    return replace(it, waves=(replace(it.waves[0], nodes=kept),))


def test_one_of_the_same_commit_that_takes_a_part_leaves_a_paused_one_as_it_is(
    database: Database, nodes: Nodes
) -> None:
    paused(database, nodes)
    later = list(engine(database, nodes).roll(only(order("bbbb", "b1:one"), "b")))
    assert isinstance(later[0], RolloutStarted)
    assert later[-1] == RolloutFinished("bbbb", RolloutCounts(applied=1))
    rest = list(engine(database, nodes).resume("aaaa"))
    assert rest[-1] == RolloutFinished("aaaa", RolloutCounts(applied=3))
    assert {name for name, _ in nodes.log} == {"a", "b", "c"}


@pytest.mark.parametrize("commit", ["5cf2a13", ""])
def test_a_part_of_another_commit_supersedes(database: Database, nodes: Nodes, commit: str) -> None:
    paused(database, nodes)
    newer = replace(only(order("bbbb", "b1:two", base="b1:one"), "a"), commit=commit)
    later = list(engine(database, nodes).roll(newer))
    assert some(later, RolloutSuperseded) == [RolloutSuperseded("aaaa", "bbbb", RolloutCounts(applied=1, waiting=2))]
    assert later[-1] == RolloutFinished("bbbb", RolloutCounts(applied=1))


def test_one_that_died_with_something_under_way_ends_whatever_comes_after_it(database: Database, nodes: Nodes) -> None:
    left_at_once(database, nodes, order("aaaa", "b1:one"))
    nodes.gate.set()
    later = list(engine(database, nodes).roll(only(order("bbbb", "b1:one"), "c")))
    assert some(later, RolloutSuperseded) == [RolloutSuperseded("aaaa", "bbbb", RolloutCounts(applied=1, waiting=2))]
    assert nodes.log == [("a", "b1:one"), ("c", "b1:one")]


def test_what_was_under_way_ends_and_may_be_what_the_newer_one_finds(database: Database, nodes: Nodes) -> None:
    left_at_once(database, nodes, order("aaaa", "b1:one"))
    nodes.gate.set()
    later = list(engine(database, nodes).roll(order("bbbb", "b1:two")))
    assert some(later, RolloutSuperseded) == [RolloutSuperseded("aaaa", "bbbb", RolloutCounts(applied=1, waiting=2))]
    assert later[-1] == RolloutFinished("bbbb", RolloutCounts(applied=3)), "though its plan knew nothing of it"
    assert nodes.log == [("a", "b1:one"), ("a", "b1:two"), ("b", "b1:two"), ("c", "b1:two")]


def test_what_was_under_way_to_the_same_is_not_brought_again(database: Database, nodes: Nodes) -> None:
    left_at_once(database, nodes, order("aaaa", "b1:one"))
    nodes.gate.set()
    later = list(engine(database, nodes).roll(order("bbbb", "b1:one")))
    assert later[-1] == RolloutFinished("bbbb", RolloutCounts(applied=2))
    assert nodes.log == [("a", "b1:one"), ("b", "b1:one"), ("c", "b1:one")]


def test_three_supersedes_within_one_batch(database: Database, nodes: Nodes) -> None:
    """Each controller dies while the batch of the first one still runs; the last one brings every node forward, once."""
    left_at_once(database, nodes, order("aaaa", "b1:one"))
    left_at_once(database, nodes, order("bbbb", "b1:two"))
    left_at_once(database, nodes, order("cccc", "b1:three"))
    nodes.gate.set()
    later = list(engine(database, nodes).roll(order("dddd", "b1:four")))
    assert len(some(later, RolloutSuperseded)) == 1, "the others had not begun"
    assert later[-1] == RolloutFinished("dddd", RolloutCounts(applied=3))
    assert nodes.log == [("a", "b1:one"), ("a", "b1:four"), ("b", "b1:four"), ("c", "b1:four")]
    journal = SqliteJournal(database, MemoryClock())
    assert {each.id: each.status for each in journal.rollouts()} == {"dddd": "finished", "aaaa": "superseded"}


def test_who_is_stopped_while_an_older_one_ends_begins_nothing(database: Database, nodes: Nodes) -> None:
    left_at_once(database, nodes, order("aaaa", "b1:one"))
    nodes.gate.set()
    rolling = engine(database, nodes)
    found = []
    for event in rolling.roll(order("bbbb", "b1:two")):
        found.append(event)
        if isinstance(event, SupersedeRequested):
            rolling.stop()
    assert isinstance(found[-1], RolloutSuperseded)
    assert [each.id for each in SqliteJournal(database, MemoryClock()).rollouts()] == ["aaaa"]


def test_one_that_has_ended_is_left_alone(database: Database, nodes: Nodes) -> None:
    assert isinstance(list(engine(database, nodes).roll(order("aaaa", "b1:one")))[-1], RolloutFinished)
    later = list(engine(database, nodes).roll(order("bbbb", "b1:two", base="b1:one")))
    assert isinstance(later[0], RolloutStarted)
    assert not some(later, RolloutPaused, RolloutSuperseded)
