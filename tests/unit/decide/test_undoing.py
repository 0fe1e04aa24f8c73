"""The rollout that rolls back another one: what goes back, in which order, and what it does without."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial, undoing
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.gate import CommandGate
from fleet.model.rollout import AwayNode, GroupBudget, RolloutNode, RolloutOrder, RolloutState
from fleet.model.signal import BatchFinished, Begin, Cancel
from fleet.model.window import Schedule, Timing
from fleet.testing.orders import cluster, plain, rollout

OLD = "b1:old"


def ended(order: RolloutOrder, **outcomes: str) -> RolloutState:
    """A rollout of one batch a node that is cancelled once those nodes have their outcome; `_` stands for `-`."""
    state = initial(replace(order, batch_size=1, forks=1))
    state = evolve_all(state, decide(state, Begin(1)).events)
    for _ in outcomes:
        (batch,) = state.running
        (name,) = batch.nodes
        outcome = outcomes[name.replace("-", "_")]
        if len(outcomes) == len(state.order.nodes) - state.counts().waiting + 1:
            state = evolve_all(state, decide(state, Cancel("enough")).events)
        result = NodeResult(name, outcome, digest=f"b1:{name}", reason="why")  # type: ignore[arg-type]
        state = evolve_all(state, decide(state, BatchFinished(batch.batch_id, (result,))).events)
    assert state.has_ended
    return state


def names(order: RolloutOrder | None) -> list[tuple[str, list[str]]]:
    assert order
    return [(wave.name, [node.name for node in wave.nodes]) for wave in order.waves]


def test_waves_go_back_in_reverse_order() -> None:
    state = ended(rollout(plain("a", "b", base=OLD), plain("c", base=OLD)), a="applied", b="applied", c="applied")
    undo = undoing(state, "8a4d")
    assert names(undo) == [("w1", ["c"]), ("w0", ["a", "b"])]
    assert undo
    assert (undo.id, undo.undoes, undo.stays) == ("8a4d", "7f3c", ())


def test_a_part_of_it() -> None:
    order = rollout(plain("a", "b", base=OLD), [*plain("c", base=OLD), *plain("new")])
    state = ended(order, a="applied", b="applied", c="applied", new="applied")
    assert names(undoing(state, "8a4d", ["b", "c"])) == [("w1", ["c"]), ("w0", ["b"])]
    undo = undoing(state, "8a4d", ["b"])
    assert names(undo) == [("w0", ["b"])]
    assert undo
    assert undo.stays == ()
    assert undoing(state, "8a4d", ["new"]) is None


def test_what_was_not_touched_stays() -> None:
    state = ended(rollout(plain("a", "b", "c", base=OLD)), a="applied")
    assert names(undoing(state, "8a4d")) == [("w0", ["a"])]


def test_what_failed_or_never_answered_may_hold_either() -> None:
    nodes = [replace(node, sent=("b1:earlier",)) for node in plain("a", "b", base=OLD)]
    undo = undoing(ended(rollout(nodes), a="failed", b="unreachable"), "8a4d")
    assert undo
    assert [(node.base, node.wanted, node.expected) for node in undo.nodes] == [
        ("b1:a", OLD, f"b1:a,b1:earlier,{OLD}"),
        ("b1:b", OLD, f"b1:b,b1:earlier,{OLD}"),
    ]


def test_a_node_that_held_nothing_has_nothing_to_go_back_to() -> None:
    state = ended(rollout([*plain("new"), *plain("a", base=OLD)]), new="applied", a="applied")
    undo = undoing(state, "8a4d")
    assert names(undo) == [("w0", ["a"])]
    assert undo
    assert undo.stays == ("new",)
    begun = decide(initial(undo), Begin(2)).events
    assert ev.RollbackBegun("8a4d", "7f3c", ("new",)) in begun


def test_nothing_to_go_back_to_is_no_rollout() -> None:
    assert undoing(ended(rollout(plain("new")), new="applied"), "8a4d") is None


def test_budgets_stay_and_nothing_is_waited_for() -> None:
    nodes = [replace(node, groups=("site=yard",)) for node in plain("a", "b", base=OLD)]
    schedule = Schedule("0 2 * * *", 3600.0, "UTC")
    order = replace(
        rollout(nodes),
        policy="standard",
        budgets=(GroupBudget("site=yard", 1),),
        stop_at=1,
        on_failure="rollback",
        gates=(CommandGate(timeout=1, command=("true",)),),
        break_glass="now",
    )
    undo = undoing(_gated(order), "8a4d")
    assert undo
    undo = replace(undo, batch_size=50, forks=20)
    assert (undo.budgets, undo.stop_at, undo.on_failure, undo.gates, undo.break_glass) == (
        order.budgets, 0, "continue", (), "",
    )  # fmt: skip
    late = replace(order, timing=Timing(schedule, soak=60.0, rate=1.0, deadline=9.0, offline_after=8.0))
    assert undoing(replace(_gated(order), order=late), "8a4d").timing == Timing(deadline=9.0, offline_after=8.0)  # type: ignore[union-attr]
    started = [event for event in decide(initial(undo), Begin(2)).events if isinstance(event, ev.BatchStarted)]
    assert [event.nodes for event in started] == [("a",)], "one of the site at a time"


def test_who_is_away_uses_the_budget_up_on_the_way_back_too() -> None:
    """b was lost, and is tried first, for it may be back; x was away before and never tried, c was and came through; a waits."""
    yard = [replace(node, groups=("site=yard",)) for node in plain("a", "b", "c", "x", base=OLD)]
    nodes = [replace(node, is_away=True, away_since=5.0) if node.name in "cx" else node for node in yard]
    order = replace(
        rollout(nodes), policy="standard", offline="defer", budgets=(GroupBudget("site=yard", 3),),
        timing=Timing(offline_after=16.0),
    )  # fmt: skip
    lost = ev.NodeUnreachable("b", "yard", "7f3c-0001", "no route", at=8.0)
    events = [
        ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 4, 1),
        ev.WaveStarted("w0", 0, 4),
        ev.BatchStarted("7f3c-0001", ("a", "b", "c"), at=8.0),
        *(ev.NodeApplied(name, "yard", "7f3c-0001", f"b1:{name}") for name in "ac"),
        lost,
        ev.BatchEnded("7f3c-0001"),
        ev.RolloutCancelled("7f3c", "enough", initial(order).counts()),
    ]
    undo = undoing(evolve_all(initial(order), events), "8a4d")
    assert undo
    assert [(node.name, node.is_away, node.away_since) for node in undo.nodes] == [
        ("a", False, 0.0), ("b", True, 8.0), ("c", False, 0.0),
    ]  # fmt: skip
    assert undo.budgets == (GroupBudget("site=yard", 3, away=(AwayNode("x", 5.0),)),)
    tight = replace(undo, budgets=(replace(undo.budgets[0], allowed=2),), batch_size=50, forks=20)
    decision = decide(initial(tight), Begin(2, at=9.0))
    assert [event.nodes for event in decision.events if isinstance(event, ev.BatchStarted)] == [("b",)]


def test_a_server_that_is_away_is_tried_before_the_others_that_it_keeps() -> None:
    """Else s0 would wait for s1, and s1 behind s0."""
    nodes = [replace(node, groups=("site=lyon",)) for node in cluster("lyon", 3, 0, OLD)]
    order = replace(
        rollout(nodes), policy="standard", budgets=(GroupBudget("site=lyon", 1),), timing=Timing(offline_after=16.0)
    )
    undo = undoing(ended(order, lyon_s0="applied", lyon_s1="unreachable"), "8a4d")
    assert undo
    decision = decide(initial(undo), Begin(2))
    assert [event.nodes for event in decision.events if isinstance(event, ev.BatchStarted)] == [("lyon-s1",)]


def _gated(order: RolloutOrder) -> RolloutState:
    state = initial(order)
    events = [
        ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 2, 1),
        ev.WaveStarted("w0", 0, 2),
        *(ev.BatchStarted(f"7f3c-000{at}", (name,)) for at, name in enumerate("ab")),
        *(ev.NodeApplied(name, "yard", f"7f3c-000{at}", f"b1:{name}") for at, name in enumerate("ab")),
        *(ev.BatchEnded(f"7f3c-000{at}") for at in range(2)),
        ev.RolloutFinished("7f3c", state.counts()),
    ]
    return evolve_all(state, events)


def test_batches_say_that_they_undo() -> None:
    state = ended(rollout(cluster("lyon", 1, 0, OLD)), lyon_s0="applied")
    undo = undoing(state, "8a4d")
    assert undo
    (effect,) = decide(initial(undo), Begin(2)).effects
    assert effect.order.undo == {"lyon-s0": OLD}
    assert effect.order.wanted == {"lyon-s0": OLD}
    assert effect.order.expect == {"lyon-s0": f"b1:lyon-s0,{OLD}"}
    (plainly,) = decide(initial(rollout(plain("a"))), Begin(2)).effects
    assert not plainly.order.undo


def test_a_rollback_goes_on_where_a_node_cannot_go_back() -> None:
    parts = rollout(plain("a", base=OLD), plain("b", base=OLD))
    waves = tuple(replace(wave, success_threshold=Decimal(100), min_finished=Decimal(0)) for wave in parts.waves)
    undo = undoing(ended(replace(parts, waves=waves, policy="standard"), a="applied", b="applied"), "8a4d")
    assert undo
    state = initial(undo)
    state = evolve_all(state, decide(state, Begin(2)).events)
    refused = NodeResult("b", "failed", reason="never goes back by itself: K3s v1.35")
    told = decide(state, BatchFinished("8a4d-0001", (refused,))).events
    assert [type(event).__name__ for event in told][-2:] == ["WaveStarted", "BatchStarted"]


def test_agents_after_servers_also_on_the_way_back() -> None:
    servers: tuple[RolloutNode, ...] = cluster("lyon", 1, 1, OLD)
    state = ended(rollout(servers), lyon_s0="applied", lyon_a0="applied")
    undo = undoing(state, "8a4d")
    assert undo
    started = [event.nodes for event in decide(initial(undo), Begin(2)).events if isinstance(event, ev.BatchStarted)]
    assert started == [("lyon-s0",)]


def test_a_wave_of_agents_does_not_go_back_before_their_servers() -> None:
    nodes = cluster("lyon", 1, 2, OLD)
    state = ended(
        rollout(nodes[:1], [*nodes[1:], *plain("a", base=OLD)]),
        lyon_s0="applied",
        lyon_a0="applied",
        lyon_a1="applied",
        a="applied",
    )
    undo = undoing(state, "8a4d")
    assert names(undo) == [("w1", ["a"]), ("w0", ["lyon-a0", "lyon-a1", "lyon-s0"])]
    assert undo
    initial(undo)
