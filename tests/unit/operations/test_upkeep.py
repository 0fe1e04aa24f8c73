"""Upkeep of the OS: whose updates and reboots are due now, whose wait for a window, and what a rollout is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from fleet.decide import decide, initial
from fleet.model.change import Change
from fleet.model.event import Event
from fleet.model.plan import EVERYTHING, Plan, Scope
from fleet.model.record import Record, Updates
from fleet.model.rollout import RolloutOrder
from fleet.model.signal import Begin
from fleet.operations.apply import ApplyOptions, Hands, apply
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.operations.upkeep import Upkeep, UpkeepWish, until, upkeep
from fleet.testing import MemoryRecords
from tests.specs import document, node_of
from tests.unit.operations.hosts import EverySecret, held
from tests.unit.render.ground import intent

POLICY = document(
    "RolloutPolicy",
    "nights",
    """
    updateSchedule: {at: "0 2 * * *", duration: 3h}
    progressDeadline: 45m
    freezes: [{from: 2026-06-12, to: 2026-06-13}]
    """,
)
FLEET = document("Fleet", "acme", "rolloutPolicy: nights\nos: {updates: {mode: security, reboot: window}}")
SITES = (
    document("Site", "lyon", "timeZone: Europe/Paris\nnodes:\n  - {name: a, role: none, address: 10.0.0.1}\n"
             "  - {name: b, role: none, address: 10.0.0.2}"),
    document("Site", "pune", "timeZone: Asia/Kolkata\nnodes: [{name: p, role: none, address: 10.0.1.1}]"),
)  # fmt: skip
NEEDED = Updates("security 4be1f02", reboot="libc6, linux-image", boot_id="boot-1")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# 02:00 to 05:00 is 00:00Z to 03:00Z in Paris in summer, and 20:30Z to 23:30Z the evening before in Kolkata.
PARIS_OPEN, KOLKATA_OPEN, BOTH_SHUT = at("2026-06-10T01:00Z"), at("2026-06-10T21:00Z"), at("2026-06-10T12:00Z")


def made(*records: Record, fleet: str = FLEET, sites: tuple[str, ...] = SITES, policy: str = POLICY) -> Intent:
    return intent(fleet, policy, *sites, records=MemoryRecords(records))


def due(made: Intent, now: float, *, updates_now: bool = False) -> Upkeep:
    return upkeep(made, made.fleet.nodes, UpkeepWish(now, updates_now))


def reboot(why: str = "libc6, linux-image") -> Change:
    return Change("reboot", "edit", "reboot", after=why)


def waits(node: str, **more: object) -> Record:
    return held(node, updates=NEEDED, **more)


def test_a_reboot_is_due_in_the_window_of_its_site_and_waits_outside() -> None:
    records = (waits("a"), waits("p"))
    assert due(made(*records), PARIS_OPEN) == Upkeep({"a": (reboot(),)}, later=("p",), opens=at("2026-06-10T20:30Z"))
    assert due(made(*records), KOLKATA_OPEN) == Upkeep({"p": (reboot(),)}, later=("a",), opens=at("2026-06-11T00:00Z"))
    assert due(made(*records), BOTH_SHUT) == Upkeep({}, later=("a", "p"), opens=at("2026-06-10T20:30Z"))


def test_what_cannot_end_in_its_window_waits_for_the_next_one() -> None:
    """02:00 to 05:00 with 45 min for a node: from 04:15 on it is too late."""
    records = made(waits("a"))
    assert due(records, at("2026-06-10T02:15Z")).changes == {"a": (reboot(),)}
    late = due(records, at("2026-06-10T02:15:01Z"))
    assert (late.changes, late.later, late.opens) == ({}, ("a",), at("2026-06-11T00:00Z"))


def test_a_freeze_puts_it_off() -> None:
    found = due(made(waits("a")), at("2026-06-12T01:00Z"))
    assert found == Upkeep({}, later=("a",), opens=at("2026-06-14T00:00Z"))


@pytest.mark.parametrize(
    "record",
    [
        held("a"),  # no run of updates yet
        held("a", updates=Updates("security 4be1f02")),  # one that asks for no reboot
        Record("b", "acme", "m", "b1:bb", updates=NEEDED),  # another node's
    ],
)
def test_nothing_is_due_where_no_reboot_is_pending(record: Record) -> None:
    found = due(made(record), PARIS_OPEN)
    assert "a" not in found.changes
    assert "a" not in due(made(record), BOTH_SHUT).later


def test_a_node_without_a_whole_bundle_or_one_that_waits_to_be_taken_is_left_alone() -> None:
    waiting = held("a", waiting=("/etc/motd",), updates=NEEDED)
    never = Record("p", "acme", "m", "", updates=NEEDED)
    assert due(made(waiting, never), PARIS_OPEN, updates_now=True) == Upkeep()
    half = Record("a", "acme", "m", "", base="b1:old", updates=NEEDED)
    assert due(made(half), PARIS_OPEN).changes == {"a": (reboot(),)}


@pytest.mark.parametrize(
    "said", ["{mode: none, reboot: window}", "{mode: security}", "{mode: all, reboot: never}", "null"]
)
def test_who_wants_no_updates_or_no_reboots_has_none(said: str) -> None:
    fleet = document("Fleet", "acme", f"rolloutPolicy: nights\nos: {{updates: {said}}}")
    found = due(made(waits("a"), waits("p"), fleet=fleet), PARIS_OPEN)
    assert found == Upkeep()


def test_updates_are_taken_now_where_the_spec_names_no_day() -> None:
    dated = SITES[1].replace("10.0.1.1}", "10.0.1.1, os: {updates: {mode: all, snapshot: 2026-06-01}}}")
    records = made(held("a"), held("p"), sites=(SITES[0], dated))
    now = due(records, BOTH_SHUT, updates_now=True)
    assert now == Upkeep({"a": (Change("updates", "add", "OS updates", after="security, as of today"),)})
    assert due(records, BOTH_SHUT) == Upkeep()


def test_updates_come_before_the_reboot() -> None:
    found = due(made(waits("a")), PARIS_OPEN, updates_now=True)
    assert [change.kind for change in found.changes["a"]] == ["updates", "reboot"]
    assert [change.kind for change in due(made(waits("a")), BOTH_SHUT, updates_now=True).changes["a"]] == ["updates"]
    assert due(made(waits("a")), BOTH_SHUT, updates_now=True).later == ("a",)


def test_until_when_a_reboot_may_begin() -> None:
    fleet = made()
    a, p = (node_of(fleet.fleet, name) for name in "ap")
    assert until(fleet, a, PARIS_OPEN) == at("2026-06-10T02:15Z")
    assert until(fleet, p, PARIS_OPEN) is None
    assert reboots(fleet, PARIS_OPEN) == dict.fromkeys("ab", at("2026-06-10T02:15Z"))
    assert reboots(fleet, KOLKATA_OPEN) == {"p": at("2026-06-10T22:45Z")}
    assert reboots(fleet, BOTH_SHUT) == {}


@pytest.mark.parametrize("said", ["{mode: security, reboot: never}", "{mode: none, reboot: window}"])
def test_no_rollout_reboots_who_wants_none(said: str) -> None:
    fleet = made(fleet=document("Fleet", "acme", f"rolloutPolicy: nights\nos: {{updates: {said}}}"))
    assert reboots(fleet, PARIS_OPEN) == {}


def test_without_a_schedule_nothing_is_rebooted() -> None:
    fleet = document("Fleet", "acme", "os: {updates: {mode: security}}")
    plainly = made(waits("a"), fleet=fleet)
    assert plainly.fleet.schedule is None
    assert until(plainly, node_of(plainly.fleet, "a"), PARIS_OPEN) is None
    assert reboots(plainly, PARIS_OPEN) == {}


# As plan and apply use it.


class Engine:
    """Remembers its orders and does nothing."""

    def __init__(self) -> None:
        self.orders: list[RolloutOrder] = []

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        self.orders.append(order)
        yield from ()

    def resume(self, rollout_id: str) -> Iterator[Event]:
        raise LookupError(rollout_id)

    def stop(self) -> None:
        self.orders.clear()


def done(*names: str, updates: Updates | None = None) -> list[Record]:
    """Records of nodes that hold just what git wants."""
    fleet = made()
    digests = {node.name: fleet.renderer.sketch(node).digest for node in fleet.fleet.nodes}
    return [held(name, digests[name], updates=updates) for name in names]


def planned(records: list[Record], now: float, scope: Scope = EVERYTHING, *, updates: bool = False) -> Plan:
    kept = MemoryRecords(records)
    return plan(made(*records), kept, scope, UpkeepWish(now, updates_now=updates))


def ordered(records: list[Record], now: float, *, updates: bool = False) -> list[RolloutOrder]:
    return orders_of(made(*records), records, UpkeepWish(now, updates_now=updates))


def orders_of(intended: Intent, records: list[Record], wish: UpkeepWish) -> list[RolloutOrder]:
    engine = Engine()
    current = plan(intended, MemoryRecords(records), EVERYTHING, wish)
    hands = Hands(engine, MemoryRecords(records), EverySecret(), "ops@laptop")
    list(apply(intended, current, hands, ApplyOptions(wish=wish)))
    return engine.orders


def reboots(intended: Intent, now: float) -> dict[str, float]:
    """Until when a reboot may begin, of the nodes that a rollout of all begins with at once."""
    (order,) = orders_of(intended, [], UpkeepWish(now))
    return told(order, now)


def told(order: RolloutOrder, now: float) -> dict[str, float]:
    effects = decide(initial(order), Begin(1, at=now)).effects
    return {name: until for effect in effects for name, until in effect.order.reboot_until.items()}


def test_a_node_that_holds_its_bundle_is_in_the_plan_for_its_reboot_alone() -> None:
    records = done("a", "b", "p", updates=NEEDED)
    found = planned(records, PARIS_OPEN)
    assert [(change.node, change.changes) for change in found.nodes] == [("a", (reboot(),)), ("b", (reboot(),))]
    assert [change.base == change.wanted for change in found.nodes] == [True, True]
    assert (found.total, found.staying, found.rebooting_later) == (3, 1, ("p",))
    assert found.next_window == at("2026-06-10T20:30Z")
    (group,) = found.groups
    assert (group.change, group.nodes, group.sites) == (reboot(), 2, 1)


def test_outside_of_all_windows_nothing_is_to_do_and_the_plan_says_when() -> None:
    found = planned(done("a", "b", "p", updates=NEEDED), BOTH_SHUT)
    assert (found.nodes, found.staying, found.rebooting_later) == ((), 3, ("a", "b", "p"))
    assert found.next_window == at("2026-06-10T20:30Z")
    quiet = planned(done("a", "b", "p"), BOTH_SHUT)
    assert (quiet.nodes, quiet.rebooting_later, quiet.next_window) == ((), (), 0.0)


def test_what_is_due_comes_behind_what_changes_anyway() -> None:
    records = [held("a", "b1:old", updates=NEEDED), *done("b", "p")]
    (change,) = planned(records, PARIS_OPEN).nodes
    assert change.changes[-1] == reboot()
    assert len(change.changes) > 1
    assert [each.kind for each in planned(records, BOTH_SHUT).nodes[0].changes].count("reboot") == 0


def test_a_first_application_is_no_reboot() -> None:
    (change,) = planned(done("b", "p"), PARIS_OPEN).nodes
    assert (change.node, {each.kind for each in change.changes} & {"reboot", "updates"}) == ("a", set())


def test_the_scope_narrows_upkeep_too() -> None:
    records = done("a", "b", "p", updates=NEEDED)
    found = planned(records, PARIS_OPEN, Scope(nodes=("b",)))
    assert [change.node for change in found.nodes] == ["b"]
    assert planned(records, PARIS_OPEN, Scope(sites=("pune",))).rebooting_later == ("p",)


def test_the_rollout_is_told_until_when_reboots_may_begin_and_of_the_wish() -> None:
    records = done("a", "b", "p", updates=NEEDED)
    (order,) = ordered(records, PARIS_OPEN)
    assert [node.name for node in order.nodes] == ["a", "b"]
    assert (order.upkeep, order.updates_now) == (True, False)
    assert told(order, PARIS_OPEN) == dict.fromkeys("ab", at("2026-06-10T02:15Z"))
    (order,) = ordered(records, BOTH_SHUT, updates=True)
    assert [node.name for node in order.nodes] == ["a", "b", "p"]
    assert (order.upkeep, order.updates_now, told(order, BOTH_SHUT)) == (True, True, {})
    assert ordered(records, BOTH_SHUT) == []


def test_a_rollout_may_reboot_for_updates_that_it_brings_itself() -> None:
    """Nothing is due yet: updates of this very rollout may make it so."""
    (order,) = ordered(done("b", "p"), PARIS_OPEN)
    assert [node.name for node in order.nodes] == ["a"]
    assert told(order, PARIS_OPEN) == {"a": at("2026-06-10T02:15Z")}


def test_a_fleet_without_updates_has_no_upkeep() -> None:
    intended = intent(document("Fleet", "acme", ""), *SITES)
    engine = Engine()
    hands = Hands(engine, MemoryRecords(), EverySecret(), "ops@laptop")
    list(apply(intended, plan(intended, MemoryRecords(), EVERYTHING), hands, ApplyOptions()))
    assert (engine.orders[0].upkeep, told(engine.orders[0], PARIS_OPEN)) == (False, {})


def test_a_day_of_the_archive_changes_the_bundle_and_no_wish_does() -> None:
    """A new snapshot is a change like any other; --updates leaves the digest as it is."""
    dated = FLEET.replace("reboot: window", "reboot: window, snapshot: 2026-06-01")
    later = dated.replace("2026-06-01", "2026-06-08")
    first, second, undated = (
        made(fleet=fleet).renderer.sketch(node_of(made(fleet=fleet).fleet, "a")).digest
        for fleet in (dated, later, FLEET)
    )
    assert len({first, second, undated}) == 3
    records = MemoryRecords([held("a", first)])
    intended = intent(later, POLICY, *SITES, records=records)
    found = next(change for change in plan(intended, records, EVERYTHING).nodes if change.node == "a")
    assert (found.base, found.wanted) == (first, second)
