"""Which nodes a rollout left behind, and which of them a catch-up or a retry takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fleet.errors import UsageError
from fleet.model import event as ev
from fleet.model.change import NodeChange
from fleet.model.plan import BlastRadius, Plan, Scope
from fleet.model.rollout import RolloutCounts
from fleet.model.tree import Revision
from fleet.operations.again import deferred, failed
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal
from fleet.testing.orders import plain, rollout

NAMES = ("a", "b", "c", "d", "e")
END = RolloutCounts()


def kept(journal: MemoryJournal, rollout_id: str, events: Sequence[ev.Event], wanted: str = "b1:new") -> None:
    """A rollout that has ended, unless it says nothing of its end."""
    nodes = tuple(replace(node, wanted=wanted) for node in plain(*NAMES))
    lease = journal.acquire("ops@desk")
    journal.begin(lease, rollout(nodes, id=rollout_id))
    journal.append(lease, rollout_id, Step(tuple(events)))
    journal.release(lease)


def plan(*names: str, wanted: str = "b1:new") -> Plan:
    changes = tuple(NodeChange(name, "yard", "", "none", "b1:old", wanted, ()) for name in names)
    return Plan("acme", Revision(), "t", Scope(), len(names), 0, (), changes, (), (), BlastRadius())


def applied(name: str) -> ev.Event:
    return ev.NodeApplied(name, "yard", "x", "b1:new")


def away(name: str) -> ev.Event:
    return ev.NodeUnreachable(name, "yard", "x", "no route")


def broken(name: str) -> ev.Event:
    return ev.NodeFailed(name, "yard", "x", "full")


def blocked(name: str, by: str) -> ev.Event:
    return ev.NodeBlocked(name, "yard", by, f"{by} is not there")


FINISHED = ev.RolloutFinished("x", END)
MIXED = (applied("a"), away("b"), blocked("c", "b"), broken("d"), blocked("e", "d"), ev.RolloutHalted("x", END))


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(MemoryClock())


def test_who_was_away_is_deferred_and_who_failed_is_not(journal: MemoryJournal) -> None:
    kept(journal, "aaaa", MIXED)
    assert deferred(journal, plan(*NAMES)) == ("b", "c")
    assert failed(journal, "aaaa", plan(*NAMES)) == ("d", "e")


def test_only_what_still_changes_to_what_was_brought(journal: MemoryJournal) -> None:
    kept(journal, "aaaa", MIXED)
    assert deferred(journal, plan("c", "d")) == ("c",)
    assert failed(journal, "aaaa", plan("c", "d")) == ("d",)
    assert deferred(journal, plan(*NAMES, wanted="b1:newer")) == ()
    assert failed(journal, "aaaa", plan(*NAMES, wanted="b1:newer")) == ()


def test_the_newest_rollout_that_brought_it_counts(journal: MemoryJournal) -> None:
    kept(journal, "aaaa", MIXED)
    kept(journal, "bbbb", (broken("b"), away("d"), FINISHED))
    assert deferred(journal, plan(*NAMES)) == ("d",)


def test_what_brought_something_else_does_not_count(journal: MemoryJournal) -> None:
    kept(journal, "aaaa", MIXED)
    kept(journal, "bbbb", (broken("b"), FINISHED), wanted="b1:other")
    assert deferred(journal, plan(*NAMES)) == ("b", "c")


def test_a_rollout_that_has_not_ended_defers_nothing(journal: MemoryJournal) -> None:
    kept(journal, "aaaa", (away("b"), ev.PauseRequested("lunch", 0), ev.RolloutPaused("x", "lunch", END)))
    assert deferred(journal, plan(*NAMES)) == ()


def test_a_retry_of_what_is_not_known(journal: MemoryJournal) -> None:
    with pytest.raises(UsageError, match="no rollout beef"):
        failed(journal, "beef", plan(*NAMES))
