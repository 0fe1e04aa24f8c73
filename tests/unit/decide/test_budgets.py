"""How many nodes of a group are away at once: what starts, what waits, and what is given up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial
from fleet.errors import FleetError
from fleet.model import event as ev
from fleet.model.rollout import AwayNode, GroupBudget, RolloutCounts, RolloutNode, RolloutOrder
from fleet.model.signal import BatchFinished, BatchLost, Begin
from fleet.testing.orders import cluster, plain, rollout
from tests.unit.decide.test_decide import ok, started, told
from tests.unit.decide.test_policy import Told


def grouped(name: str, nodes: Sequence[RolloutNode]) -> tuple[RolloutNode, ...]:
    return tuple(replace(node, groups=(*node.groups, name)) for node in nodes)


def away(nodes: Sequence[RolloutNode], *names: str) -> tuple[RolloutNode, ...]:
    return tuple(replace(node, is_away=node.name in names) for node in nodes)


def order(
    *waves: Sequence[RolloutNode], budgets: Sequence[GroupBudget], forks: int = 100, size: int = 1
) -> RolloutOrder:
    return replace(rollout(*waves, forks=forks, batch_size=size), policy="standard", budgets=tuple(budgets))


ABC = grouped("site=yard", plain("a", "b", "c"))
DE = grouped("site=shed", plain("d", "e"))
ONE_EACH = (GroupBudget("site=yard", 1), GroupBudget("site=shed", 1))


def test_groups_go_side_by_side_and_their_nodes_one_after_the_other() -> None:
    one = Told(order([*ABC, *DE], budgets=ONE_EACH))
    assert one.flying == ["a", "d"]
    one.became("applied", "d")
    assert one.flying == ["a", "e"]
    one.became("applied", "a")
    assert one.flying == ["e", "b"]


def test_a_batch_takes_no_more_of_a_group_than_may_be_away() -> None:
    two = (GroupBudget("site=yard", 2), GroupBudget("site=shed", 1))
    _, decision = told(order([*ABC, *DE], budgets=two, size=50), Begin(1))
    assert started(decision) == [("a", "b", "d")]
    _, decision = told(order([*ABC, *DE], budgets=two, size=2), Begin(1))
    assert started(decision) == [("a", "b"), ("d",)]


def test_a_batch_that_ends_makes_room_at_its_end() -> None:
    two = order(ABC, budgets=[GroupBudget("site=yard", 2)], size=2)
    assert started(told(two, Begin(1), BatchFinished("7f3c-0001", ok("a", "b")))[1]) == [("c",)]


def test_a_lost_batch_gives_its_room_back() -> None:
    one = order(ABC, budgets=[GroupBudget("site=yard", 1)])
    assert started(told(one, Begin(1), BatchLost("7f3c-0001", "died"))[1]) == [("a",)]


def test_a_node_that_failed_uses_the_budget_up() -> None:
    one = Told(order([*ABC, *DE], budgets=[GroupBudget("site=yard", 2), GroupBudget("site=shed", 1)]))
    assert one.flying == ["a", "b", "d"]
    one.became("failed", "a")
    assert one.flying == ["b", "d"]
    one.became("applied", "b")
    assert one.flying == ["d", "c"]


def test_what_the_budget_never_lets_start_is_blocked_when_nothing_else_runs() -> None:
    for outcome in ("failed", "unreachable"):
        one = Told(order([*ABC, *DE], budgets=ONE_EACH))
        one.became(outcome, "a")
        one.became("applied", "d")
        assert (one.flying, one.some(ev.NodeBlocked)) == (["e"], [])
        one.became("applied", "e")
        why = "the budget of site=yard is used up: a away, and at most 1 may be"
        assert one.some(ev.NodeBlocked) == [
            ev.NodeBlocked("b", "yard", "a", why),
            ev.NodeBlocked("c", "yard", "a", why),
        ]
        assert isinstance(one.events[-1], ev.RolloutHalted)
        assert one.events[-1].counts.blocked == 2


def test_a_blocked_server_blocks_its_agents() -> None:
    lyon = grouped("all", cluster("lyon", 1, 1))
    one = Told(order([*grouped("all", plain("a")), *lyon], budgets=[GroupBudget("all", 1)]))
    one.became("failed", "a")
    assert [event.node for event in one.some(ev.NodeBlocked)] == ["lyon-s0", "lyon-a0"]  # type: ignore[attr-defined]


def test_those_outside_the_rollout_use_it_up_too() -> None:
    one = Told(order(ABC, budgets=[GroupBudget("site=yard", 2, away=(AwayNode("z"),))]))
    assert one.flying == ["a"]
    one = Told(order(ABC, budgets=[GroupBudget("site=yard", 1, away=(AwayNode("z"),))]))
    why = "the budget of site=yard is used up: z away, and at most 1 may be"
    assert one.some(ev.NodeBlocked)[0] == ev.NodeBlocked("a", "yard", "z", why)
    assert one.events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(blocked=3))


def test_a_budget_of_nothing_ends_and_says_so() -> None:
    one = Told(order([*ABC, *DE], budgets=[GroupBudget("site=yard", 0), GroupBudget("site=shed", 2)]))
    assert one.flying == ["d", "e"]
    one.became("applied", "d", "e")
    assert one.some(ev.NodeBlocked)[0] == ev.NodeBlocked("a", "yard", "", "the budget of site=yard lets no node change")
    assert one.state.has_ended


def test_a_node_that_is_away_already_is_tried_and_takes_nothing_more_away() -> None:
    """It uses the budget up until it comes through; then the next one may go."""
    one = Told(order(away(ABC, "b"), budgets=[GroupBudget("site=yard", 1)]))
    assert one.flying == ["b"]
    one.became("applied", "b")
    assert one.flying == ["a"]


def test_a_node_that_stays_away_blocks_its_group_and_no_other() -> None:
    one = Told(order([*away(ABC, "b"), *DE], budgets=ONE_EACH))
    one.became("unreachable", "b")
    one.became("applied", "d", "e")
    assert [event.node for event in one.some(ev.NodeBlocked)] == ["a", "c"]  # type: ignore[attr-defined]


def test_a_group_waits_for_no_node_of_a_later_wave() -> None:
    one = Told(order(away(ABC[:1], "c"), away(ABC[1:], "c"), budgets=[GroupBudget("site=yard", 1)]))
    assert one.some(ev.NodeBlocked) == [
        ev.NodeBlocked("a", "yard", "c", "the budget of site=yard is used up: c away, and at most 1 may be")
    ]
    assert one.flying == ["c"]
    one.became("applied", "c")
    assert one.flying == ["b"], "and what was blocked stays so"
    one.became("applied", "b")
    assert one.events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=2, blocked=1))


def test_a_node_may_use_up_two_budgets() -> None:
    s0, s1 = grouped("servers of lyon", cluster("lyon", 2))
    nodes = [replace(s0, groups=(*s0.groups, "site=lyon")), s1]
    one = Told(
        order(nodes, budgets=[GroupBudget("servers of lyon", 1), GroupBudget("site=lyon", 1, away=(AwayNode("t"),))])
    )
    assert [event.node for event in one.some(ev.NodeBlocked)] == ["lyon-s0", "lyon-s1"]  # type: ignore[attr-defined]
    assert "the budget of site=lyon" in one.some(ev.NodeBlocked)[0].reason  # type: ignore[attr-defined]


def test_a_budget_holds_across_waves() -> None:
    """A wave that passed early leaves nodes behind; those of the next one count with them."""
    first = grouped("site=yard", plain("a", "b"))
    second = grouped("site=yard", plain("c"))
    made = order(first, second, budgets=[GroupBudget("site=yard", 1)])
    waves = tuple(replace(wave, success_threshold=Decimal(50), min_finished=Decimal(50)) for wave in made.waves)
    one = Told(replace(made, waves=waves))
    one.became("applied", "a")
    assert (one.state.wave, one.flying) == (1, ["b"])
    one.became("applied", "b")
    assert one.flying == ["c"]


def test_groups_that_lie_scattered_count_as_one() -> None:
    """More than a word of the bit sets lies between them."""
    names = [f"n{i:04d}" for i in range(3000)]
    nodes = [replace(node, groups=("far",) if i % 1000 == 7 else ()) for i, node in enumerate(plain(*names))]
    state, decision = told(order(nodes, budgets=[GroupBudget("far", 1)], forks=5000, size=5000), Begin(1))
    (names_started,) = started(decision)
    assert len(names_started) == 2998
    assert "n0007" in names_started
    assert not {"n1007", "n2007"} & set(names_started)
    assert [len(group.pieces) for group in initial(state.order).layout.groups] == [3]
    _, decision = told(state.order, Begin(1), BatchFinished("7f3c-0001", ok(*names_started)))
    assert started(decision) == [("n1007",)]


def test_a_state_that_contradicts_itself_is_a_bug_and_no_endless_loop() -> None:
    state = initial(order(ABC, budgets=ONE_EACH[:1]))
    with pytest.raises(FleetError, match="rollout 7f3c is stuck"):
        decide(replace(state, ready=0), Begin(1))


def test_a_wide_group_that_is_full_hides_nobody_who_is_away_already() -> None:
    nodes = grouped("all", plain(*(f"n{i:04d}" for i in range(2000))))
    one = order(away(nodes, "n1500"), budgets=[GroupBudget("all", 2)], forks=10, size=10)
    assert started(told(one, Begin(1))[1]) == [("n0000", "n1500")]


def test_10_000_nodes_in_2_500_groups_and_ten_waves_take_less_than_two_seconds() -> None:
    sites = [grouped(f"site={i}", cluster(f"c{i}", 1, 3, base="b1:old")) for i in range(2500)]
    parts = [[node for site in sites[at : at + 250] for node in site] for at in range(0, 2500, 250)]
    made = order(*parts, budgets=[GroupBudget(f"site={i}", 1) for i in range(2500)], forks=500, size=50)
    waves = tuple(replace(wave, success_threshold=Decimal(95), min_finished=Decimal(50)) for wave in made.waves)
    begun = time.process_time()
    state, decision = told(replace(made, waves=waves), Begin(1))
    waiting = list(decision.effects)
    while waiting:
        batch = waiting.pop(0).order
        decision = decide(state, BatchFinished(batch.batch_id, ok(*batch.nodes)))
        state = evolve_all(state, decision.events)
        waiting += decision.effects
    assert state.counts() == RolloutCounts(applied=10_000)
    assert time.process_time() - begun < 2


def test_who_was_away_is_tried_beside_others_only_as_far_as_all_may_be_away() -> None:
    """They may be back: then all that are tried at once go away at once."""
    nodes = away(ABC, "a", "b", "c")
    _, decision = told(order(nodes, budgets=[GroupBudget("site=yard", 1)], size=50), Begin(1))
    assert started(decision) == [("a",)]
    _, decision = told(order(nodes, budgets=[GroupBudget("site=yard", 2)], size=50), Begin(1))
    assert started(decision) == [("a", "b")]
    _, decision = told(order(nodes, budgets=[GroupBudget("site=yard", 0)], size=50), Begin(1))
    assert started(decision) == [("a",)], "where nobody may be away, they are tried one by one"


def test_who_was_away_for_long_counts_while_it_is_tried() -> None:
    """It may be back as well."""
    nodes = tuple(replace(node, away_since=10.0) for node in away(ABC, "a"))
    long = order(nodes, budgets=[GroupBudget("site=yard", 1)], size=50)
    long = replace(long, timing=replace(long.timing, offline_after=16.0))
    _, decision = told(long, Begin(1, at=100.0))
    assert started(decision) == [("a",)]
