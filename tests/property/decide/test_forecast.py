"""The forecast of a plan against a rehearsal of its order by the true decider, over random policies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from fleet.decide.forecast import LONGEST, forecast
from fleet.model.crowd import Downloads
from fleet.model.event import BatchEnded, BatchStarted
from fleet.model.rollout import GroupBudget, RolloutNode, RolloutOrder, WaveOrder
from fleet.model.simulation import Operator, RehearsalOrder, SimulatedRun, World
from fleet.model.window import Schedule, Timing
from fleet.simulator import Stage, VirtualClock, rehearse
from fleet.testing import MemoryJournal
from fleet.testing.orders import cluster, plain, rollout
from tests.property.decide.test_policies import BEGIN, orders

LATENCY = 60.0


def rehearsed(order: RolloutOrder, spread: float = 1.0, seed: int = 0) -> SimulatedRun:
    """Every node takes LATENCY, or with a `spread` about as long; none fails."""
    clock = VirtualClock(BEGIN)
    world = World(begins_at=BEGIN, latency=LATENCY, spread=spread, seed=seed)
    return rehearse(RehearsalOrder(order, {}), world, Operator(), Stage(MemoryJournal(clock), clock))


def calm(order: RolloutOrder) -> RolloutOrder:
    """The order with everybody there: who is away is the rehearsal's to find out, and no budget lets nobody change."""
    waves = (
        replace(wave, nodes=tuple(replace(node, is_away=False, away_since=0.0) for node in wave.nodes))
        for wave in order.waves
    )
    budgets = (replace(group, away=(), allowed=max(1, group.allowed)) for group in order.budgets)
    return replace(order, waves=tuple(waves), budgets=tuple(budgets), stop_at=0)


def near(order: RolloutOrder, told: float, took: float, share: float) -> bool:
    """Within a share, and two batches. A node that just misses its window waits for the next night."""
    slack = 2 * LATENCY + (86400.0 if order.timing.schedule else 0.0)
    return took * (1 - share) - slack <= told <= took * (1 + share) + slack


@settings(max_examples=200, deadline=None)
@given(order=orders())
def test_it_takes_as_long_as_the_rehearsal(order: RolloutOrder) -> None:
    """To within a sixth; nearly always to the second."""
    order = calm(order)
    run = rehearsed(order)
    told = forecast(order, LATENCY, BEGIN)

    assert run.outcome == "finished"
    assert told.left == 0
    assert told.approvals == run.approvals
    assert near(order, told.seconds, run.seconds, 1 / 6), (told.seconds, run.seconds)
    assert told.ends == round(BEGIN + told.seconds)


@settings(max_examples=100, deadline=None)
@given(order=orders())
def test_it_ends_whoever_is_away_and_whatever_no_budget_lets_begin(order: RolloutOrder) -> None:
    told = forecast(order, LATENCY, BEGIN)

    assert 0 <= told.left <= len(order.nodes)
    assert 0 <= told.seconds <= LONGEST
    stuck = {node.name for node in order.nodes if node.is_away}
    stuck |= {
        node.name for node in order.nodes for group in order.budgets if group.name in node.groups and not group.allowed
    }
    assert told.left >= len(stuck)


def sites(number: int, budget: int, forks: int, timing: Timing | None = None) -> RolloutOrder:
    """Clusters of three servers and seven agents, each a site of its own, in Paris, Lisbon and New York."""
    nodes: list[RolloutNode] = []
    for at in range(number):
        nodes += (replace(node, groups=(f"site=c{at}",)) for node in cluster(f"c{at}", 3, 7, "b1:old"))
    zones = ("Europe/Paris", "Europe/Lisbon", "America/New_York")
    timing = replace(timing or Timing(), zones={f"c{at}": zones[at % 3] for at in range(number)})
    budgets = tuple(GroupBudget(f"site=c{at}", budget) for at in range(number))
    return replace(rollout(tuple(nodes), forks=forks), policy="standard", budgets=budgets, timing=timing)


def downloading(number: int, limits: Downloads, budget: int = 9) -> RolloutOrder:
    """Three sites of plain hosts that all download, with a budget each."""
    order = sites(3, budget, forks=20)
    hosts = [
        replace(node, name=f"{site}-{node.name}", site=site, groups=(f"site={site}",), downloads=True)
        for site in ("c0", "c1", "c2")
        for node in plain(*(f"h{at}" for at in range(number)), base="b1:old")
    ]
    return replace(order, waves=(replace(order.waves[0], nodes=tuple(hosts)),), downloads=limits)


RATED = replace(rollout(plain(*"abcdef")), policy="standard")
NIGHTLY = Timing(schedule=Schedule("0 2 * * *", 3 * 3600.0))


@pytest.mark.parametrize(
    ("order", "seconds"),
    [
        (rollout(plain(*"abcde"), forks=2), 3 * 60),  # three batches
        (rollout(cluster("c", 3, 4)), 4 * 60),  # server by server, then the agents
        (rollout(cluster("c", 1, 120)), 4 * 60),  # 50 join at once
        (sites(1, budget=2, forks=20), (3 + 4) * 60),  # 7 agents, 2 at once
        (sites(10, budget=1, forks=20), 10 * 60),  # every site goes by itself
        (sites(10, budget=1, forks=5), 20 * 60),  # and two halves take turns
        (downloading(8, Downloads(per_site=4)), 2 * 60),  # sites side by side, 4 hosts of each
        (downloading(8, Downloads(per_mirror=6)), 4 * 60),
        (downloading(8, Downloads(per_mirror=6, per_site=1)), 8 * 60),
        (downloading(8, Downloads(per_site=4), budget=2), 4 * 60),
        (downloading(8, Downloads()), 2 * 60),  # 20 at once
        (replace(RATED, timing=Timing(rate=2.0)), 2 * 60 + 60),  # the last two begin after two minutes
        (replace(rollout(plain("a"), plain("b")), timing=Timing(soak=600.0)), 2 * (60 + 600)),
    ],
)  # fmt: skip
def test_what_it_is_made_of(order: RolloutOrder, seconds: float) -> None:
    assert forecast(order, LATENCY, BEGIN).seconds == seconds
    assert rehearsed(order).seconds == seconds


def test_a_wave_that_has_passed_does_not_wait_for_its_last_nodes() -> None:
    first = WaveOrder("w0", plain(*"abcd"), Decimal(50), Decimal(50))
    order = replace(rollout(plain("e"), forks=1), waves=(first, WaveOrder("w1", plain("e"))), policy="standard")
    order = replace(order, timing=Timing(soak=600.0))
    assert forecast(order, LATENCY, BEGIN).seconds == rehearsed(order).seconds == 120 + 600 + 60 + 600


def test_a_budget_that_an_earlier_wave_uses_right_now_keeps_nobody_for_ever() -> None:
    """w0 has passed with a, and b of the same group as c is under way, when w1 begins."""
    a, b, c = plain(*"abc")
    b, c = (replace(node, groups=("site=yard",)) for node in (b, c))
    waves = (WaveOrder("w0", (a, b), Decimal(50), Decimal(50)), WaveOrder("w1", (c,)))
    order = replace(rollout((c,), forks=2, batch_size=1), waves=waves, policy="standard", timing=Timing(rate=2.0))
    order = replace(order, budgets=(GroupBudget("site=yard", 1),))
    told = forecast(order, LATENCY, BEGIN)
    assert (told.left, told.seconds) == (0, rehearsed(order).seconds)


def test_nights_are_counted() -> None:
    """400 nodes in each zone, and 2.5 hours in which they begin: some 150 batches of two."""
    order = sites(120, budget=1, forks=2, timing=NIGHTLY)
    run, told = rehearsed(order), forecast(order, LATENCY, BEGIN)
    assert near(order, told.seconds, run.seconds, 0.05)
    assert (told.windows, told.at_night) == (2, True)
    at_noon = replace(order.timing, schedule=Schedule("0 12 * * *", 3 * 3600.0))
    assert not forecast(replace(order, timing=at_noon), LATENCY, BEGIN).at_night


def test_a_window_that_never_opens_leaves_every_node() -> None:
    never = Timing(schedule=Schedule("0 2 30 2 *", 3 * 3600.0))
    told = forecast(sites(3, budget=1, forks=20, timing=never), LATENCY, BEGIN)
    assert (told.left, told.seconds, told.windows, told.at_night) == (30, 0.0, 0, False)


def test_what_is_behind_a_server_that_is_away_is_left() -> None:
    first, second, *agents = cluster("c", 2, 3, "b1:old")
    gone = replace(second, is_away=True)
    assert forecast(rollout((first, gone, *agents)), LATENCY, BEGIN).left == 4


@pytest.mark.parametrize("seed", range(3))
def test_with_nodes_that_differ_the_median_of_their_batches_is_a_fair_measure(seed: int) -> None:
    """One in six takes half as long again; a batch of 20 lasts as long as its slowest node."""
    order = sites(40, budget=1, forks=20)
    measured = statistics.median(batch_seconds(order, seed))
    run = rehearsed(order, spread=1.5, seed=seed)
    assert near(order, forecast(order, measured, BEGIN).seconds, run.seconds, 1 / 2)


def batch_seconds(order: RolloutOrder, seed: int) -> Sequence[float]:
    clock = VirtualClock(BEGIN)
    journal = MemoryJournal(clock)
    world = World(begins_at=BEGIN, latency=LATENCY, spread=1.5, seed=seed)
    rehearse(RehearsalOrder(order, {}), world, Operator(), Stage(journal, clock))
    began = {
        entry.event.batch_id: entry.at for entry in journal.batches(order.id) if isinstance(entry.event, BatchStarted)
    }
    ended = {
        entry.event.batch_id: entry.at for entry in journal.batches(order.id) if isinstance(entry.event, BatchEnded)
    }
    return [ended[batch] - began[batch] for batch in ended]


def test_10_000_nodes_cost_less_than_a_fifth_of_a_second() -> None:
    order = sites(1000, budget=1, forks=20, timing=replace(NIGHTLY, rate=20.0))
    before = time.process_time()
    assert forecast(order, 120.0, BEGIN).left == 0
    assert time.process_time() - before < 0.2
