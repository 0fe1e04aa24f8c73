"""How many nodes download at once: of a site, and of all, across batches; the others are not held up."""

from __future__ import annotations

from msgspec.structs import replace

from fleet.decide import decide, initial, restore, snapshot
from fleet.decide.undoing import undoing
from fleet.model.crowd import Downloads
from fleet.model.rollout import RolloutNode, RolloutOrder
from fleet.model.signal import BatchFinished, Begin, Tick
from fleet.testing.orders import plain, rollout
from tests.unit.decide.test_decide import ok, started, told


def shop(site: str, count: int, *, downloads: bool = True) -> tuple[RolloutNode, ...]:
    nodes = plain(*(f"{site}-{at}" for at in range(count)), base="b1:old")
    return tuple(replace(node, site=site, downloads=downloads) for node in nodes)


def limited(*nodes: RolloutNode, per_mirror: int = 0, per_site: int = 0, forks: int = 100) -> RolloutOrder:
    return replace(rollout(nodes, forks=forks), downloads=Downloads(per_mirror, per_site))


def test_of_each_site_so_many_at_once() -> None:
    order = limited(*shop("lyon", 3), *shop("nice", 4), *shop("pau", 1), per_site=2)
    first = ("lyon-0", "lyon-1", "nice-0", "nice-1", "pau-0")
    assert started(told(order, Begin(1))[1]) == [first]
    rest = BatchFinished("7f3c-0001", ok(*first))
    assert started(told(order, Begin(1), rest)[1]) == [("lyon-2", "nice-2", "nice-3")]


def test_of_all_sites_so_many_at_once() -> None:
    order = limited(*shop("lyon", 3), *shop("nice", 4), per_mirror=4, per_site=2)
    first = ("lyon-0", "lyon-1", "nice-0", "nice-1")
    assert started(told(order, Begin(1))[1]) == [first]
    rest = BatchFinished("7f3c-0001", ok(*first))
    assert started(told(order, Begin(1), rest)[1]) == [("lyon-2", "nice-2", "nice-3")]


def test_batches_that_run_side_by_side_count_together() -> None:
    order = replace(limited(*shop("lyon", 9), per_site=5), batch_size=2)
    state, decision = told(order, Begin(1))
    assert started(decision) == [("lyon-0", "lyon-1"), ("lyon-2", "lyon-3"), ("lyon-4",)]
    assert started(decide(state, BatchFinished("7f3c-0002", ok("lyon-2", "lyon-3")))) == [("lyon-5", "lyon-6")]


def test_who_holds_what_it_needs_waits_for_nobody() -> None:
    order = limited(*shop("lyon", 4), *shop("lyon-b", 3, downloads=False), per_mirror=1, per_site=1)
    assert started(told(order, Begin(1))[1]) == [("lyon-0", "lyon-b-0", "lyon-b-1", "lyon-b-2")]
    many = limited(*shop("lyon", 2000), *shop("nice", 3, downloads=False), per_mirror=1)
    assert started(told(many, Begin(1))[1]) == [("lyon-0", "nice-0", "nice-1", "nice-2")]


def test_without_limits_all_begin() -> None:
    assert [len(names) for names in started(told(limited(*shop("lyon", 9)), Begin(1))[1])] == [9]


def test_one_that_fails_makes_room() -> None:
    order = limited(*shop("lyon", 2), per_site=1)
    failed = replace(ok("lyon-0")[0], outcome="failed", reason="fetch: no source gave it")
    assert started(told(order, Begin(1), BatchFinished("7f3c-0001", (failed,)))[1]) == [("lyon-1",)]


def test_a_state_that_is_read_back_counts_what_is_under_way() -> None:
    order = limited(*shop("lyon", 3), per_site=2)
    state, _ = told(order, Begin(1))
    again = restore(order, snapshot(state))
    assert again.layout == initial(order).layout
    assert started(decide(again, Tick())) == []


def test_what_goes_back_has_kept_what_it_needs() -> None:
    order = limited(*shop("lyon", 9), per_site=4)
    state, _ = told(order, Begin(1), BatchFinished("7f3c-0001", ok("lyon-0", "lyon-1", "lyon-2", "lyon-3")))
    back = undoing(replace(state, status="cancelled"), "8a4d")
    assert back is not None
    assert not any(node.downloads for node in back.nodes)
