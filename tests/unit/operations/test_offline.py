"""Who did not answer the last time, and since when."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fleet.model.batch import Observation
from fleet.model.event import NodeUnreachable
from fleet.model.record import Record
from fleet.model.status import Offline, OfflineNode
from fleet.operations.observe import refresh
from fleet.operations.offline import offline
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal, MemoryObserver, MemoryRecords
from fleet.testing.clock import START
from fleet.testing.orders import plain, rollout


class Ground:
    """Nodes a and b answered at START; c never did."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.journal = MemoryJournal(self.clock)
        self.lease = self.journal.acquire("ops@desk")
        self.records = MemoryRecords([Record(name, "acme", name, "b1:x") for name in "ab"], self.clock.now)

    def tried(self, rollout_id: str, *names: str) -> None:
        """A minute later, a rollout reaches none of these."""
        self.clock.advance(60)
        self.journal.begin(self.lease, rollout(plain("a", "b", "c"), id=rollout_id))
        events = tuple(NodeUnreachable(name, "yard", f"{rollout_id}-0001", "timed out") for name in names)
        self.records.note_unanswered(dict.fromkeys(names, "b1:new"))
        self.journal.append(self.lease, rollout_id, Step(events))

    def looked(self, *found: Observation) -> None:
        """A minute later, a look."""
        self.clock.advance(60)
        names: Sequence[str] = [each.node for each in found]
        observer = MemoryObserver({each.node: each for each in found})
        list(refresh(names, "acme", observer, self.records, dict.fromkeys(names, "yard")))

    @property
    def away(self) -> tuple[OfflineNode, ...]:
        return offline(self.records, self.journal).nodes


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_nobody_is_away_where_all_answered(ground: Ground) -> None:
    assert offline(ground.records, ground.journal) == Offline(())


def test_since_the_first_of_several_rollouts_that_did_not_reach_it(ground: Ground) -> None:
    ground.tried("7f3c", "a", "c")
    ground.tried("8a4d", "a", "b")
    assert ground.away == (
        OfflineNode("b", "yard", START + 120, START + 120, START, "timed out", "8a4d"),
        OfflineNode("a", "yard", START + 60, START + 120, START, "timed out", "8a4d"),
        OfflineNode("c", "yard", START + 60, START + 60, 0.0, "timed out", "7f3c"),
    )


def test_who_answered_since_is_there_again_and_away_anew_since_the_next_time(ground: Ground) -> None:
    ground.tried("7f3c", "a")
    ground.looked(Observation("a", Record("a", "acme", "a", "b1:x"), "a"))
    assert ground.away == ()
    ground.tried("8a4d", "a")
    assert ground.away == (OfflineNode("a", "yard", START + 180, START + 180, START + 120, "timed out", "8a4d"),)


def test_a_look_that_nobody_answered_counts_as_a_rollout_does(ground: Ground) -> None:
    ground.looked(Observation("a", unreachable="no route"), Observation("b", Record("b", "acme", "b", "b1:x"), "b"))
    ground.tried("7f3c", "a")
    ground.looked(Observation("a", unreachable="refused"))
    assert ground.away == (OfflineNode("a", "yard", START + 60, START + 180, START, "refused"),)


def test_a_node_that_was_given_back_is_not_away(ground: Ground) -> None:
    ground.tried("7f3c", "a", "c")
    ground.looked(Observation("b", unreachable="no route"))
    ground.records.forget(["a", "b"])
    assert [each.node for each in ground.away] == ["c"]
