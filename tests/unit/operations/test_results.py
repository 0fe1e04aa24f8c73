"""What came of each node of a rollout: one word for each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fleet.errors import UsageError
from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.node_result import NodeResults
from fleet.model.rollout import RolloutCounts
from fleet.operations.results import results
from fleet.ports.journal import Lease, Step
from fleet.testing import MemoryClock, MemoryJournal
from fleet.testing.clock import START
from fleet.testing.orders import plain, rollout

NO = RolloutCounts()


class Ground:
    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.journal = MemoryJournal(self.clock)
        self.lease: Lease = self.journal.acquire("ops@desk")

    def begin(self, rollout_id: str, **changed: object) -> None:
        self.journal.begin(self.lease, replace(rollout(plain("a", "b"), plain("c", "d"), id=rollout_id), **changed))

    def told(self, rollout_id: str, *events: Event) -> None:
        self.journal.append(self.lease, rollout_id, Step(events))

    def words(self, rollout_id: str = "7f3c") -> dict[str, str]:
        return {each.node: each.result for each in self.of(rollout_id).nodes}

    def of(self, rollout_id: str = "7f3c", only: Sequence[str] = ()) -> NodeResults:
        return results(self.journal, rollout_id, only)  # type: ignore[arg-type]


@pytest.fixture
def ground() -> Ground:
    """Nodes a and b in wave w0, c and d in w1; a and b are in their batch."""
    ground = Ground()
    ground.begin("7f3c", offline="defer")
    ground.told(
        "7f3c", ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops", 2, 4, 1), ev.BatchStarted("7f3c-1", ("a", "b"))
    )
    return ground


def applied(name: str, batch: str = "7f3c-1") -> Event:
    return ev.NodeApplied(name, "yard", batch, f"b1:{name}")


def failed(name: str) -> Event:
    return ev.NodeFailed(name, "yard", "7f3c-1", "no disk")


def away(name: str) -> Event:
    return ev.NodeUnreachable(name, "yard", "7f3c-1", "no answer")


def test_under_way_and_waiting(ground: Ground) -> None:
    assert ground.words() == {"a": "running", "b": "running", "c": "waiting", "d": "waiting"}
    ground.told("7f3c", ev.BatchRequeued("7f3c-1", ("a", "b"), "its controller died"))
    assert ground.words() == dict.fromkeys("abcd", "waiting")


def test_succeeded_failed_and_unhealthy(ground: Ground) -> None:
    ground.clock.advance(60)
    ground.told("7f3c", applied("a"), failed("b"))
    assert ground.words() == {"a": "succeeded", "b": "failed", "c": "waiting", "d": "waiting"}
    ground.told("7f3c", ev.NodeUnhealthy("a", "yard", "7f3c-c1", "http: 503"))
    found = ground.of()
    a, b = found.nodes[:2]
    assert (a.result, a.reason, a.batch, a.wave, a.at) == ("failed", "http: 503", "7f3c-1", "w0", START + 60)
    assert (b.result, b.reason) == ("failed", "no disk")
    assert found.counts == {"failed": 2, "waiting": 2}
    only = ground.of(only=["failed"])
    assert ([each.node for each in only.nodes], only.counts) == (["a", "b"], found.counts)


@pytest.mark.parametrize(("offline", "word"), [("defer", "deferred"), ("count", "failed"), ("leave", "failed")])
def test_who_does_not_answer_is_deferred_where_the_policy_says_so(offline: str, word: str) -> None:
    ground = Ground()
    ground.begin("7f3c", offline=offline)
    ground.told("7f3c", ev.BatchStarted("7f3c-1", ("a",)), away("a"))
    assert ground.of().nodes[0].result == word
    assert ground.of().nodes[0].reason == "no answer"


def test_who_is_not_touched_is_skipped(ground: Ground) -> None:
    ground.told("7f3c", failed("a"), ev.NodeBlocked("c", "yard", "a", "a failed"))
    assert ground.words()["c"] == "skipped"
    ground.told("7f3c", applied("b"), ev.RolloutCancelled("7f3c", "by ops", NO))
    found = {each.node: (each.result, each.reason) for each in ground.of().nodes}
    assert found == {
        "a": ("failed", "no disk"),
        "b": ("succeeded", ""),
        "c": ("skipped", "a failed"),
        "d": ("skipped", "the rollout was cancelled before its turn"),
    }


def test_what_has_not_begun_is_left_to_the_rollout_that_supersedes(ground: Ground) -> None:
    ground.told("7f3c", applied("a"), away("b"), ev.RolloutSuperseded("7f3c", "9a01", NO))
    assert ground.words() == {"a": "succeeded", "b": "deferred", "c": "superseded", "d": "superseded"}
    assert [each.by for each in ground.of().nodes] == ["", "", "9a01", "9a01"]


def test_rolled_back_is_who_went_back_and_says_by_which_rollout(ground: Ground) -> None:
    ground.told("7f3c", applied("a"), failed("b"), ev.RolloutWithdrawn("7f3c", "wave w0 failed", NO))
    assert ground.words() == {"a": "succeeded", "b": "failed", "c": "skipped", "d": "skipped"}
    ground.begin("9a01", undoes="7f3c")
    ground.told("9a01", ev.RolloutStarted("9a01", "acme", "4be1f02", "ops", 1, 2, 2), ev.RollbackBegun("9a01", "7f3c"))
    ground.told("9a01", ev.BatchStarted("9a01-1", ("a", "b")), applied("b", "9a01-1"))

    assert ground.words() == {"a": "succeeded", "b": "rolled-back", "c": "skipped", "d": "skipped"}
    b = ground.of().nodes[1]
    assert (b.by, b.reason) == ("9a01", "no disk")
    assert ground.words("9a01")["b"] == "succeeded"


def test_a_rollout_that_nobody_knows(ground: Ground) -> None:
    with pytest.raises(UsageError, match="0000"):
        ground.of("0000")
