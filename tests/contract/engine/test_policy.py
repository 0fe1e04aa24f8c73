"""The local engine and a policy: a pause that the policy asks for is in the journal, and `resume` goes on behind it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from fleet.engine.local import LocalEngine, load
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.rollout import GroupBudget, RolloutCounts, RolloutOrder, WaveOrder
from fleet.ports.journal import Journal
from fleet.testing import MemoryApplier, MemoryRecords
from fleet.testing.orders import plain, rollout, wanted

pytestmark = pytest.mark.timeout(60)


def order() -> RolloutOrder:
    """A pilot of a and b, of which none may fail, and c and d behind it, one after the other."""
    pilot = WaveOrder("pilot", plain("a", "b"), Decimal(100), Decimal(50))
    nodes = tuple(replace(node, groups=("site=yard",)) for node in plain("c", "d"))
    rest = WaveOrder("rest", nodes, Decimal(95), Decimal(50))
    parts = rollout(forks=5, batch_size=1)
    return replace(parts, waves=(pilot, rest), policy="standard", budgets=(GroupBudget("site=yard", 1),), stop_at=9)


def test_a_pilot_that_fails_pauses_and_another_engine_goes_on(journal: Journal) -> None:
    applier = MemoryApplier(wanted(order()), {"a": NodeResult("a", "failed", reason="no space")})
    events = list(LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01).roll(order()))
    assert isinstance(events[-1], ev.RolloutPaused)
    assert events[-1].reason == "wave pilot failed"
    assert events[-1].counts == RolloutCounts(applied=1, failed=1, waiting=2)
    assert {name for each in applier.orders for name in each.nodes} == {"a", "b"}, (
        "nothing behind the pilot was touched"
    )
    assert (journal.rollouts()[0].status, journal.order("7f3c")) == ("paused", order())
    state = load(journal, order())
    assert (state.is_held, state.has_failed) == (True, True)

    events = list(LocalEngine(journal, applier, MemoryRecords(), poll_seconds=0.01).resume("7f3c"))
    assert events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=3, failed=1))
    assert [each.nodes for each in applier.orders[2:]] == [("c",), ("d",)]
    assert load(journal, order()).forgiven == 0b01
