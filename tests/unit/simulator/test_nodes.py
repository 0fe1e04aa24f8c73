"""Pretend nodes: each does what the seed and its name say, at the shares that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from msgspec.structs import replace

from fleet.errors import FleetError
from fleet.model.batch import BatchOrder, NodeResult
from fleet.model.simulation import BEGINS_AT, World
from fleet.simulator import VirtualClock
from fleet.simulator.nodes import PATIENCE, PretendNodes, fate_of
from fleet.testing.orders import plain, rollout

NAMES = [f"n{at}" for at in range(10_000)]


def test_the_clock_goes_forward_alone() -> None:
    clock = VirtualClock(100.0)
    clock.sleep(5.0)
    clock.jump_to(110.0)

    assert clock.now() == 110.0
    with pytest.raises(FleetError, match="back in time"):
        clock.jump_to(109.0)


def test_half_take_longer_than_the_latency_and_one_in_six_longer_than_the_spread() -> None:
    took = [fate_of(name, World(latency=60.0, spread=2.0)).seconds for name in NAMES]

    assert 0.48 < sum(seconds > 60 for seconds in took) / len(took) < 0.52
    assert 0.14 < sum(seconds > 120 for seconds in took) / len(took) < 0.18
    assert {fate_of(name, World(latency=60.0, spread=1.0)).seconds for name in NAMES} == {60.0}


def test_shares_are_kept_and_do_not_hang_together() -> None:
    world = World(failures=10, flapping=10, lying=10)
    fates = [fate_of(name, world) for name in NAMES]
    failing = {name for name, fate in zip(NAMES, fates, strict=True) if fate.fails}
    flapping = {name for name, fate in zip(NAMES, fates, strict=True) if fate.period}
    lying = {name for name, fate in zip(NAMES, fates, strict=True) if fate.lie}
    offline = PretendNodes(rollout(plain(*NAMES)), World(offline=10), {}).offline

    for some in (failing, flapping, lying, offline):
        assert 900 < len(some) < 1100
    for one, other in ((failing, flapping), (failing, lying), (flapping, lying), (offline, failing)):
        assert 60 < len(one & other) < 140
    assert 380 < sum(fate.lie == "done" for fate in fates) < 620


def test_a_flapping_node_is_away_for_a_third_of_its_time() -> None:
    """Looked at each minute of a day; what it takes itself is nothing, so that only being there counts."""
    order = rollout(plain("a"))
    nodes = PretendNodes(order, World(flapping=100, latency=0.0), {})

    up = [told(nodes, "a", BEGINS_AT + 60 * minute)["a"].outcome == "applied" for minute in range(1440)]

    assert 0.6 < sum(up) / len(up) < 0.73
    turns = sum(one != other for one, other in pairwise(up))
    assert 2 * 1440 / 30 - 2 <= turns <= 2 * 1440 / 10 + 2


def told(nodes: PretendNodes, name: str, at: float) -> Mapping[str, NodeResult]:
    answer = nodes.run_batch(BatchOrder("7f3c-0001", "7f3c", 1, (name,)), at)
    return {result.node: result for result in answer.results}


def test_a_node_that_goes_away_while_it_is_changed_is_given_up() -> None:
    order = rollout(plain("a"))
    nodes = PretendNodes(order, World(flapping=100, latency=300.0, spread=1.0), {})
    reasons = {}
    for second in range(0, 3600, 20):
        answer = nodes.run_batch(BatchOrder("7f3c-0001", "7f3c", 1, ("a",)), BEGINS_AT + second)
        reasons[answer.results[0].reason] = round(answer.at - BEGINS_AT - second, 1)

    assert reasons == {"it does not answer": PATIENCE, "it went away meanwhile": 300.0 + PATIENCE, "": 300.0}


def test_who_is_known_to_be_away_stays_away() -> None:
    order = rollout([replace(node, is_away=node.name == "b") for node in plain("a", "b")])

    assert PretendNodes(order, World(), {}).offline == {"b"}


@pytest.mark.parametrize(
    ("hours", "zone", "outcome"),
    [
        ((22, 6), "UTC", "applied"),
        ((22, 9), "UTC", "unreachable"),
        ((7, 9), "UTC", "unreachable"),
        ((8, 9), "UTC", "unreachable"),
        ((7, 8), "UTC", "applied"),
        ((7, 8), "Europe/London", "applied"),
        ((9, 10), "Europe/Paris", "unreachable"),
        ((3, 4), "America/New_York", "unreachable"),
    ],
)
def test_closed_hours_by_the_clock_of_the_site(hours: tuple[int, int], zone: str, outcome: str) -> None:
    """It is 08:00 UTC in January; the last hour is not closed any more."""
    nodes = PretendNodes(rollout(plain("a")), World(closed=hours), {"yard": zone})

    assert told(nodes, "a", BEGINS_AT)["a"].outcome == outcome
