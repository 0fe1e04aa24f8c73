"""A plan as an order: waves, budgets and who is away."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from fleet.decide import initial
from fleet.model.crowd import Downloads
from fleet.model.plan import PlannedBudget, PlannedTime, PlannedWave, Scope
from fleet.model.policy import Amount
from fleet.model.record import Record, Silence
from fleet.model.rollout import AwayNode, GroupBudget, RolloutOrder
from fleet.model.window import Freeze, Schedule, Timing
from fleet.operations.apply import ApplyOptions, apply, order_of
from fleet.operations.intent import Intent
from fleet.operations.ordering import in_waves, stop_at
from fleet.operations.pace import Pace
from fleet.operations.plan import plan
from fleet.operations.upkeep import UpkeepWish
from fleet.testing import MemoryRecords
from tests.specs import document, lock
from tests.unit.operations.test_apply import ScriptedEngine, hands
from tests.unit.render.ground import intent

POLICY = """
waves: [{name: pilot, selector: {matchLabels: {site: lyon}}, successThreshold: 100%}]
successThreshold: 90%
minFinished: 60%
disruptionBudget: {groupBy: [site, app], maxUnavailable: 50%}
batchSize: 7
maxFailures: 25%
onFailure: continue
"""
NEW = "v1.35.4+k3s1"
NAMED = document("Fleet", "acme", "rolloutPolicy: standard")


def site(name: str, octet: int, *hosts: str) -> str:
    nodes = [f"{{name: {host}, role: none, address: 10.0.{octet}.{at}}}" for at, host in enumerate(hosts, 1)]
    return document("Site", name, f"nodes: [{', '.join(nodes)}]")


SITES = (site("lyon", 1, "a", "b"), site("nice", 2, "c", "d", "e"))


def made(said: str = POLICY) -> Intent:
    return intent(NAMED, document("RolloutPolicy", "standard", said), *SITES)


def ordered(made: Intent, scope: Scope = Scope()) -> RolloutOrder:  # noqa: B008 - frozen
    engine = ScriptedEngine()
    list(apply(made, plan(made, MemoryRecords(), scope), hands(engine), ApplyOptions()))
    (order,) = engine.orders
    initial(order)
    return order


def test_a_plan_tells_its_waves_and_budgets() -> None:
    planned = plan(made(), MemoryRecords(), Scope())
    assert planned.waves == (PlannedWave("pilot", 2, 2), PlannedWave("everyone", 3, 3))
    assert planned.budget == PlannedBudget(2, (), {"app": 5})
    assert planned.unenforced == ()


def test_an_order_follows_the_policy() -> None:
    order = ordered(made())
    assert [(wave.name, [node.name for node in wave.nodes]) for wave in order.waves] == [
        ("pilot", ["a", "b"]),
        ("everyone", ["c", "d", "e"]),
    ]
    assert [(wave.success_threshold, wave.min_finished) for wave in order.waves] == [(100, 60), (90, 60)]
    assert order.budgets == (GroupBudget("site=lyon, no app", 1), GroupBudget("site=nice, no app", 2))
    assert {node.groups for node in order.waves[0].nodes} == {("site=lyon, no app",)}
    assert (order.policy, order.batch_size, order.stop_at, order.on_failure) == ("standard", 7, 2, "continue")


def test_without_a_policy_everything_is_as_it_was() -> None:
    order = ordered(intent(document("Fleet", "acme", ""), *SITES))
    (wave,) = order.waves
    assert (wave.name, len(wave.nodes), wave.success_threshold, wave.min_finished) == ("everyone", 5, None, None)
    assert (order.policy, order.batch_size, order.stop_at, order.budgets) == ("", 50, 0, ())
    assert {node.groups for node in wave.nodes} == {()}


def test_an_order_tells_who_downloads_and_how_many_may_at_once() -> None:
    """Of a plan, and of the forecast that is told with it: a cluster that is upgraded, and a host that is not."""
    fleet = document(
        "Fleet", "acme", f"k3s: {{version: {NEW}}}\nartifacts: {{maxConcurrent: {{perSite: 1}}}}\nrolloutPolicy: quick"
    )
    nodes = ["{name: s, role: server, arch: amd64, address: 10.0.0.1}", "{name: h, role: none, address: 10.0.0.2}"]
    nodes += [f"{{name: t{at}, role: agent, arch: amd64, address: 10.0.0.{at}}}" for at in range(3, 9)]
    spec = intent(
        fleet, document("Site", "lyon", f"nodes: [{', '.join(nodes)}]"),
        document("RolloutPolicy", "quick", "minFinished: 100%"), files={"fleet.lock": lock(NEW)},
    )  # fmt: skip

    planned = plan(spec, MemoryRecords(), Scope())
    order = order_of(spec, planned, MemoryRecords(), "ops@desk", ApplyOptions())

    assert order.downloads == Downloads(50, 1)
    assert {node.name for node in order.nodes if node.downloads} == {"s", *(f"t{at}" for at in range(3, 9))}
    told = in_waves(spec, planned, {}, pace=Pace(now=0.0, batch_seconds=60.0)).forecast
    assert told is not None
    assert told.seconds == 60 * (1 + 6), "the server, then one agent at a time"


def test_waves_are_of_what_the_scope_leaves_and_groups_of_the_fleet() -> None:
    order = ordered(made(), Scope(nodes=("b", "c")))
    assert [[node.name for node in wave.nodes] for wave in order.waves] == [["b"], ["c"]]
    assert [budget.allowed for budget in order.budgets] == [1, 2]
    assert order.stop_at == 1


def test_a_plan_that_changes_nothing_has_no_wave() -> None:
    planned = plan(made(), MemoryRecords(), Scope(nodes=("a",)))
    nothing = in_waves(made(), msgspec.structs.replace(planned, nodes=()), {})
    assert (nothing.waves, nothing.budget) == ((), PlannedBudget())


def test_groups_that_no_node_may_leave_are_said() -> None:
    said = "disruptionBudget: {groupBy: [site], minAvailable: 3}"
    planned = plan(made(said), MemoryRecords(), Scope())
    assert planned.budget == PlannedBudget(2, ("site=lyon", "site=nice"))


def test_who_does_not_answer_uses_budgets_up() -> None:
    """a was sent something and never answered, c was asked just now, e is not there any more; b never held anything."""
    records = MemoryRecords()
    records.save(
        [Record(name, "acme", machine_id=f"{at:032x}", digest=f"b1:{name * 64}") for at, name in enumerate("ace")]
    )
    records.note_unanswered({"a": "b1:new", "b": "b1:new"})
    documents = (NAMED, document("RolloutPolicy", "standard", POLICY), *SITES)
    known = intent(*documents, records=records)
    planned = plan(known, records, Scope(nodes=("a", "d")), gone={"c": "silent", "e": "emptied"})
    assert planned.away == ("a", "c")
    engine = ScriptedEngine()
    list(apply(known, planned, hands(engine, records), ApplyOptions()))
    (order,) = engine.orders
    assert {node.name: node.is_away for node in order.nodes} == {"a": True, "d": False}
    assert order.budgets == (
        GroupBudget("site=lyon, no app", 1),
        GroupBudget("site=nice, no app", 2, away=(AwayNode("c", since=records.contacts()["c"]),)),
    )
    assert {node.name: node.away_since for node in order.nodes} == {"a": records.contacts()["a"], "d": 0.0}


def test_who_did_not_answer_an_earlier_look_is_away_until_it_does() -> None:
    """Whoever looked: `fleet plan --refresh` and `fleet apply` are two processes."""
    records = MemoryRecords()
    records.save([Record(name, "acme", machine_id=name, digest=f"b1:{name * 64}") for name in "ab"])
    records.note_silent([Silence("a", "lyon", "no route"), Silence("b", "lyon", "no route"), Silence("new", "", "")])
    records.save([Record("b", "acme", machine_id="b", digest=f"b1:{'b' * 64}")])
    known = intent(NAMED, document("RolloutPolicy", "standard", POLICY), *SITES, records=records)
    assert plan(known, records, Scope()).away == ("a",)


def test_who_was_never_seen_to_answer_is_away_from_now_on() -> None:
    records = MemoryRecords()
    records.save([Record("a", "acme", machine_id="0" * 32, digest=f"b1:{'a' * 64}")])
    records.note_unanswered({"a": "b1:new"})
    known = intent(NAMED, document("RolloutPolicy", "standard", POLICY), *SITES, records=records)
    planned = plan(known, records, Scope(nodes=("a",)))
    assert planned.away == ("a",)
    engine = ScriptedEngine()
    list(apply(known, planned, hands(engine, MemoryRecords()), ApplyOptions(wish=UpkeepWish(now=77.0))))
    assert [(node.name, node.away_since) for node in engine.orders[0].nodes] == [("a", 77.0)]


TIMED = """
offlinePolicy: count
minSuccessTime: 10m
updateSchedule: {at: "0 2 * * *", duration: 3h}
freezes: [{from: 2026-12-15, to: 2027-01-05}]
waves: [{name: pilot, limit: 1, approval: true}]
"""
TOKYO = document("Site", "tokyo", "timeZone: Asia/Tokyo\nnodes: [{name: t, role: none, address: 10.0.3.1}]")


def timed(said: str, **options: str) -> RolloutOrder:
    known = intent(NAMED, document("RolloutPolicy", "standard", said), *SITES, TOKYO)
    engine = ScriptedEngine()
    list(apply(known, plan(known, MemoryRecords(), Scope()), hands(engine), ApplyOptions(**options)))
    return engine.orders[0]


def test_an_order_has_what_its_policy_says_of_time() -> None:
    order = timed(TIMED)
    assert (order.offline, order.break_glass) == ("count", "")
    assert order.timing.zones == {"lyon": "UTC", "nice": "UTC", "tokyo": "Asia/Tokyo"}
    assert (order.timing.soak, order.timing.deadline) == (600.0, 1800.0)
    assert order.timing.schedule == Schedule(
        "0 2 * * *", 10800.0, needed=1800.0, freezes=(Freeze("2026-12-15", "2027-01-05"),)
    )
    assert [wave.needs_approval for wave in order.waves] == [True, False]


def test_who_may_be_rebooted_is_in_the_order() -> None:
    said = document("Profile", "kept", "os: {updates: {mode: all, reboot: window}}")
    lyon = SITES[0].replace("nodes:", "profiles: [kept]\n  nodes:")
    known = intent(NAMED, document("RolloutPolicy", "standard", TIMED), said, lyon, SITES[1])
    engine = ScriptedEngine()
    list(apply(known, plan(known, MemoryRecords(), Scope()), hands(engine), ApplyOptions()))
    assert [node.name for node in engine.orders[0].nodes if node.may_reboot] == ["a", "b"]


def test_who_breaks_the_glass_passes_freezes_and_no_window() -> None:
    order = timed(TIMED, break_glass="the tills are down")
    assert order.break_glass == "the tills are down"
    assert order.timing.schedule == Schedule("0 2 * * *", 10800.0, needed=1800.0)
    alone = timed("freezes: [{from: 2026-12-15, to: 2027-01-05}]", break_glass="the tills are down")
    assert (alone.timing.schedule, alone.timing.zones) == (None, {})


def test_a_rollout_without_a_policy_leaves_who_does_not_answer() -> None:
    known = intent(document("Fleet", "acme", ""), *SITES)
    engine = ScriptedEngine()
    list(apply(known, plan(known, MemoryRecords(), Scope()), hands(engine), ApplyOptions()))
    assert (engine.orders[0].offline, engine.orders[0].timing) == ("leave", Timing())


@pytest.mark.parametrize(
    ("said", "nodes", "failure"),
    [(None, 9, 0), (Amount(Decimal(5)), 9, 5), (Amount(Decimal(0)), 9, 1), (Amount(Decimal(1), is_share=True), 250, 3)],
)
def test_the_failure_that_pauses(said: Amount | None, nodes: int, failure: int) -> None:
    policy = made().fleet.policy
    assert policy is not None
    assert stop_at(msgspec.structs.replace(policy, max_failures=said), nodes) == failure


@pytest.mark.parametrize(
    ("now", "shut", "opens", "freeze"),
    [
        ("2026-03-02T12:00", 6, "2026-03-02T17:00", ""),
        ("2026-03-02T17:00", 5, "2026-03-03T02:00", ""),
        ("2026-12-14T16:00", 6, "2027-01-05T17:00", "a freeze"),
    ],
)
def test_a_plan_tells_when_its_nodes_may_begin(now: str, shut: int, opens: str, freeze: str) -> None:
    known = intent(NAMED, document("RolloutPolicy", "standard", TIMED), *SITES, TOKYO)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    time = plan(known, MemoryRecords(), Scope(), UpkeepWish(now=moment)).time
    assert time == PlannedTime(
        window="0 2 * * *",
        zone="site",
        window_seconds=10800.0,
        shut=shut,
        opens=datetime.fromisoformat(opens).replace(tzinfo=UTC).timestamp(),
        freeze=freeze,
        soak=600.0,
    )


def test_a_plan_tells_of_waves_that_match_nothing_and_of_approvals() -> None:
    said = "waves: [{name: pilot, selector: {matchLabels: {ring: pilot}}}, {name: ramp, limit: 1, approval: true}]"
    planned = plan(made(said), MemoryRecords(), Scope())
    assert planned.waves == (
        PlannedWave("pilot", 0, 0, matches_nothing=True),
        PlannedWave("ramp", 1, 1, needs_approval=True),
        PlannedWave("everyone", 4, 4),
    )
