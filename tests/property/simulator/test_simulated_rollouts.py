"""Whatever the seed and the world: what the journal of a rehearsal holds keeps every rule of a rollout, by the judge that
knows nothing of the decider's state.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fleet.adapters.sqlite import Database, SqliteJournal
from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import RolloutOrder
from fleet.model.simulation import Operator, RehearsalOrder, SimulatedRun, World
from fleet.simulator import Stage, VirtualClock, rehearse
from tests.property.decide.rules import FINAL, Rules
from tests.property.decide.test_policies import BEGIN, orders

SHARES = st.sampled_from([0.0, 5.0, 20.0, 60.0, 100.0])
WORLDS = st.builds(
    World,
    seed=st.integers(0, 2**32),
    begins_at=st.just(BEGIN),
    latency=st.sampled_from([60.0, 1200.0]),
    failures=SHARES,
    offline=SHARES,
    flapping=SHARES,
    lying=SHARES,
    spread=st.sampled_from([1.0, 1.5, 4.0]),
    closed=st.sampled_from([None, (22, 6), (7, 9)]),
    is_offline_known=st.booleans(),
)


def kept(
    order: RolloutOrder, world: World, operator: Operator
) -> tuple[SimulatedRun, RolloutOrder, dict[float, list[Event]]]:
    """The answer, and what the journal's file holds: the order, and the events of each moment."""
    with TemporaryDirectory() as folder:
        clock = VirtualClock(world.begins_at)
        database = Database(Path(folder))
        journal = SqliteJournal(database, clock)
        run = rehearse(RehearsalOrder(order, {}), world, operator, Stage(journal, clock))
        moments: dict[float, list[Event]] = {}
        for entry in journal.read(order.id):
            moments.setdefault(entry.at, []).append(entry.event)
        given_order = journal.order(order.id)
        database.close()
    return run, given_order, moments


@settings(max_examples=150, deadline=None)
@given(
    order=orders(),
    world=WORLDS,
    resumes_after=st.sampled_from([None, 0.0, 600.0]),
    approves_after=st.sampled_from([0.0, 5000.0]),
    deadline=st.sampled_from([0.0, 0.0, 900.0]),
)
def test_every_rule_holds(
    order: RolloutOrder, world: World, resumes_after: float | None, approves_after: float, deadline: float
) -> None:
    order = replace(order, timing=replace(order.timing, deadline=deadline))
    run, order, moments = kept(order, world, Operator(resumes_after, approves_after))
    rules = Rules(order)
    for now, later in zip_longest(moments, [*moments][1:]):
        for event in moments[now]:
            rules.write(event, now)
        rules.check_rest(later)

    if run.outcome == "paused":
        assert resumes_after is None
        assert rules.why_paused == run.reason != ""
    else:
        assert rules.over is not None, "what is not paused comes to its end"
    assert run.believed == 0
    assert run.approvals == len(rules.approved) == len(rules.asked)
    _check_answer(run, rules, [event for events in moments.values() for event in events])


def _check_answer(run: SimulatedRun, rules: Rules, events: list[Event]) -> None:
    """What the answer counts is what the journal says."""
    ended = [FINAL[type(event)] for event in events if type(event) in FINAL]
    counts = run.counts
    assert (counts.applied, counts.failed, counts.unreachable, counts.blocked) == tuple(
        ended.count(outcome) for outcome in ("applied", "failed", "unreachable", "blocked")
    )
    assert counts.waiting == len(rules.nodes) - len(ended)
    assert run.batches == sum(isinstance(event, ev.BatchStarted) for event in events)
    for group in run.groups:
        (budget,) = [each for each in rules.order.budgets if each.name == group.name]
        missing = {name for name in rules.nodes if rules.nodes[name].is_away and group.name in rules.nodes[name].groups}
        assert group.known <= max(budget.allowed, len(missing) + len(budget.away)), "no more than the budget allows"
        assert group.known <= group.away
    last = run.timeline[-1]
    assert (last.at, last.in_flight) == (run.seconds, 0)
    assert (last.applied, last.failed, last.unreachable, last.blocked) == (
        counts.applied, counts.failed, counts.unreachable, counts.blocked,
    )  # fmt: skip
