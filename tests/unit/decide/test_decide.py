"""What a rollout decides, signal by signal, on orders small enough to read."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from fleet.decide import decide, evolve, evolve_all, initial
from fleet.errors import FleetError, RefusedError, UsageError
from fleet.model.batch import BatchOrder, NodeResult
from fleet.model.effect import Decision, RunBatch
from fleet.model.event import (
    BatchEnded,
    BatchRequeued,
    BatchStarted,
    CancelRequested,
    NodeApplied,
    NodeBlocked,
    NodeFailed,
    NodeUnreachable,
    PauseRequested,
    RolloutCancelled,
    RolloutFinished,
    RolloutHalted,
    RolloutPaused,
    RolloutResumed,
    RolloutStarted,
    RolloutTakenOver,
    WaveFinished,
    WaveStarted,
)
from fleet.model.rollout import RolloutCounts, RolloutOrder, RolloutState
from fleet.model.signal import BatchFinished, BatchLost, Begin, Cancel, Pause, Resume, Signal, TakeOver
from fleet.testing.orders import cluster, plain, rollout, wanted


def ok(*names: str) -> tuple[NodeResult, ...]:
    return tuple(NodeResult(name, "applied", changed=3, digest=f"b1:{name}") for name in names)


def told(order: RolloutOrder, *signals: Signal) -> tuple[RolloutState, Decision]:
    """The state after all signals, and what the last one led to."""
    state = initial(order)
    decision = Decision()
    for signal in signals:
        decision = decide(state, signal)
        state = evolve_all(state, decision.events)
    return state, decision


def started(decision: Decision) -> list[tuple[str, ...]]:
    return [effect.order.nodes for effect in decision.effects]


def test_a_cluster_and_a_plain_host_from_begin_to_end() -> None:
    order = rollout([*cluster("lyon", 2, 2, base="b1:old"), *plain("gate")])

    state, decision = told(order, Begin(epoch=4))
    assert decision == Decision(
        events=(
            RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 4, 5, 1),
            WaveStarted("w0", 0, 5),
            BatchStarted("7f3c-0001", ("lyon-s0", "gate")),
        ),
        effects=(
            RunBatch(
                BatchOrder(
                    "7f3c-0001",
                    "7f3c",
                    4,
                    ("lyon-s0", "gate"),
                    {"lyon-s0": "b1:old", "gate": ""},
                    wanted={"lyon-s0": "b1:lyon-s0", "gate": "b1:gate"},
                )
            ),
        ),
    )

    result = NodeResult("lyon-s0", "applied", 3, "b1:lyon-s0", restarted=("k3s.service",), warnings=("slow disk",))
    state, decision = told(order, Begin(4), BatchFinished("7f3c-0001", (result, *ok("gate"))))
    assert decision.events == (
        NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:lyon-s0", 3, ("k3s.service",), ("slow disk",)),
        NodeApplied("gate", "yard", "7f3c-0001", "b1:gate", 3),
        BatchEnded("7f3c-0001"),
        BatchStarted("7f3c-0002", ("lyon-s1",)),
    )

    decision = decide(state, BatchFinished("7f3c-0002", ok("lyon-s1")))
    assert decision.events[-1] == BatchStarted("7f3c-0003", ("lyon-a0", "lyon-a1"))
    state = evolve_all(state, decision.events)

    decision = decide(state, BatchFinished("7f3c-0003", ok("lyon-a0", "lyon-a1")))
    assert decision.events[-3:] == (
        BatchEnded("7f3c-0003"),
        WaveFinished("w0", 0, RolloutCounts(applied=5)),
        RolloutFinished("7f3c", RolloutCounts(applied=5)),
    )
    assert decision.effects == ()
    assert evolve_all(state, decision.events).status == "finished"


def test_servers_go_by_rank_whatever_their_place_in_the_order() -> None:
    s0, s1, s2 = cluster("lyon", 3)
    order = rollout([s2, s0, s1])
    assert started(told(order, Begin(1))[1]) == [("lyon-s0",)]
    assert started(told(order, Begin(1), BatchFinished("7f3c-0001", ok("lyon-s0")))[1]) == [("lyon-s1",)]


def test_agents_whose_servers_do_not_change_start_at_once() -> None:
    assert started(told(rollout(cluster("lyon", 0, 3)), Begin(1))[1]) == [("lyon-a0", "lyon-a1", "lyon-a2")]


def test_forks_and_batch_size_are_kept() -> None:
    order = rollout(plain("a", "b", "c", "d", "e", "f"), forks=5, batch_size=2)
    assert started(told(order, Begin(1))[1]) == [("a", "b"), ("c", "d"), ("e",)]
    assert started(told(order, Begin(1), BatchFinished("7f3c-0003", ok("e")))[1]) == [("f",)]


def test_a_batch_that_ends_makes_room_for_others_of_other_clusters() -> None:
    order = rollout([*cluster("lyon", 2), *cluster("nice", 2), *cluster("pau", 1)], forks=2, batch_size=1)
    assert started(told(order, Begin(1))[1]) == [("lyon-s0",), ("nice-s0",)]
    # lyon has been begun, so it goes on before pau begins
    assert started(told(order, Begin(1), BatchFinished("7f3c-0001", ok("lyon-s0")))[1]) == [("lyon-s1",)]


@pytest.mark.parametrize(("base", "sizes"), [("", [50]), ("b1:old", [100, 20])], ids=["joining", "there already"])
def test_at_most_50_agents_of_a_cluster_join_at_once(base: str, sizes: list[int]) -> None:
    order = rollout([*cluster("lyon", 0, 120, base=base)], forks=500, batch_size=100)
    assert [len(names) for names in started(told(order, Begin(1))[1])] == sizes


def test_a_crowded_cluster_holds_up_no_other_one() -> None:
    order = rollout([*cluster("lyon", 0, 60), *cluster("nice", 0, 55), *plain("gate")], forks=500, batch_size=200)
    state, decision = told(order, Begin(1))
    (names,) = started(decision)
    assert [sum(name.startswith(to) for name in names) for to in ("lyon", "nice", "gate")] == [50, 50, 1]
    decision = decide(state, BatchFinished("7f3c-0001", ok(*names)))
    assert [len(names) for names in started(decision)] == [15]


def test_a_failed_server_blocks_the_rest_of_its_cluster_only() -> None:
    order = rollout([*cluster("lyon", 2, 1), *cluster("nice", 1, 1)])
    failed = NodeResult("lyon-s0", "failed", changed=1, reason="k3s.service did not start", warnings=("old kernel",))
    state, decision = told(order, Begin(1), BatchFinished("7f3c-0001", (failed, *ok("nice-s0"))))
    why = "server lyon-s0 failed: k3s.service did not start"
    assert decision.events == (
        NodeFailed("lyon-s0", "lyon", "7f3c-0001", "k3s.service did not start", 1, ("old kernel",)),
        NodeBlocked("lyon-s1", "lyon", "lyon-s0", why),
        NodeBlocked("lyon-a0", "lyon", "lyon-s0", why),
        NodeApplied("nice-s0", "nice", "7f3c-0001", "b1:nice-s0", 3),
        BatchEnded("7f3c-0001"),
        BatchStarted("7f3c-0002", ("nice-a0",)),
    )
    counts = RolloutCounts(applied=2, failed=1, blocked=2)
    assert decide(state, BatchFinished("7f3c-0002", ok("nice-a0"))).events[-2:] == (
        WaveFinished("w0", 0, counts),
        RolloutHalted("7f3c", counts),
    )


def test_a_later_server_that_is_away_blocks_the_agents() -> None:
    order = rollout(cluster("lyon", 2, 1))
    away = NodeResult("lyon-s1", "unreachable", reason="no route to host")
    first = BatchFinished("7f3c-0001", ok("lyon-s0"))
    _, decision = told(order, Begin(1), first, BatchFinished("7f3c-0002", (away,)))
    assert decision.events == (
        NodeUnreachable("lyon-s1", "lyon", "7f3c-0002", "no route to host"),
        NodeBlocked("lyon-a0", "lyon", "lyon-s1", "server lyon-s1 could not be reached: no route to host"),
        BatchEnded("7f3c-0002"),
        WaveFinished("w0", 0, RolloutCounts(applied=1, unreachable=1, blocked=1)),
        RolloutHalted("7f3c", RolloutCounts(applied=1, unreachable=1, blocked=1)),
    )


def test_a_failed_agent_or_plain_host_blocks_nothing() -> None:
    order = rollout([*cluster("lyon", 0, 2), *plain("gate")], batch_size=1)
    failed = NodeResult("lyon-a0", "failed", reason="no space")
    _, decision = told(order, Begin(1), BatchFinished("7f3c-0001", (failed,)))
    assert decision.events == (NodeFailed("lyon-a0", "lyon", "7f3c-0001", "no space"), BatchEnded("7f3c-0001"))


@pytest.mark.parametrize(("digest", "shown"), [("b1:other", "b1:other"), ("", "no digest")])
def test_a_node_that_holds_something_else_is_not_done(digest: str, shown: str) -> None:
    said = NodeResult("gate", "applied", digest=digest)
    _, decision = told(rollout(plain("gate")), Begin(1), BatchFinished("7f3c-0001", (said,)))
    assert decision.events[0] == NodeFailed(
        "gate", "yard", "7f3c-0001", f"it holds {shown} after the batch, wanted b1:gate"
    )


def test_a_node_without_a_result_has_failed() -> None:
    _, decision = told(rollout(plain("a", "b")), Begin(1), BatchFinished("7f3c-0001", ok("a")))
    assert decision.events[1] == NodeFailed("b", "yard", "7f3c-0001", "the batch ended without a word about it")


def test_a_batch_counts_once() -> None:
    order = rollout(plain("a", "b"), batch_size=1)
    done = BatchFinished("7f3c-0001", ok("a"))
    assert told(order, Begin(1), done, done)[1] == Decision()
    assert told(order, Begin(1), BatchFinished("7f3c-0009", ok("a")))[1] == Decision()
    assert told(order, Begin(1), Begin(2))[1] == Decision()


def test_pause_waits_for_what_runs_and_resume_goes_on() -> None:
    order = rollout(plain("a", "b", "c"), forks=2, batch_size=1)
    state, decision = told(order, Begin(1), Pause("lunch"))
    assert decision == Decision((PauseRequested("lunch", 2),))
    assert decide(state, Pause("again")) == Decision()

    state, decision = told(order, Begin(1), Pause("lunch"), BatchFinished("7f3c-0001", ok("a")))
    assert decision.events[1:] == (BatchEnded("7f3c-0001"),)
    decision = decide(state, BatchFinished("7f3c-0002", ok("b")))
    counts = RolloutCounts(applied=2, waiting=1)
    assert decision.events[1:] == (BatchEnded("7f3c-0002"), RolloutPaused("7f3c", "lunch", counts))
    assert decision.effects == ()

    state = evolve_all(state, decision.events)
    decision = decide(state, Resume())
    assert decision.events == (RolloutResumed("7f3c", counts), BatchStarted("7f3c-0003", ("c",)))
    assert started(decision) == [("c",)]
    assert decide(evolve_all(state, decision.events), Resume()) == Decision()


def test_resume_before_the_pause_has_come_to_rest() -> None:
    order = rollout(plain("a", "b"), forks=1)
    signals = (Begin(1), Pause("lunch"), Resume(), BatchFinished("7f3c-0001", ok("a")))
    assert started(told(order, *signals)[1]) == [("b",)]


def test_cancel_lets_what_runs_finish_and_ends_there() -> None:
    order = rollout(plain("a", "b"), forks=1)
    state, decision = told(order, Begin(1), Cancel("wrong version"))
    assert decision == Decision((CancelRequested("wrong version", 1),))
    assert decide(state, Resume()) == Decision()
    decision = decide(state, BatchFinished("7f3c-0001", ok("a")))
    counts = RolloutCounts(applied=1, waiting=1)
    assert decision.events[-1] == RolloutCancelled("7f3c", "wrong version", counts)
    assert decision.effects == ()
    assert decide(evolve_all(state, decision.events), Resume()) == Decision()


def test_cancel_overrules_a_pause_that_waits() -> None:
    order = rollout(plain("a", "b"), forks=1)
    state, decision = told(order, Begin(1), Pause("x"), Cancel("no"))
    assert decision.events == (CancelRequested("no", 1),)
    assert isinstance(decide(state, BatchFinished("7f3c-0001", ok("a"))).events[-1], RolloutCancelled)


def test_cancel_of_what_is_paused_ends_it_at_once() -> None:
    order = rollout(plain("a", "b"), forks=1)
    _, decision = told(order, Begin(1), Pause("x"), BatchFinished("7f3c-0001", ok("a")), Cancel("no"))
    counts = RolloutCounts(applied=1, waiting=1)
    assert decision.events == (CancelRequested("no", 0), RolloutCancelled("7f3c", "no", counts))


@pytest.mark.parametrize("signal", [Pause("late"), Cancel("late")])
def test_pause_and_cancel_that_come_too_late_change_no_ending(signal: Signal) -> None:
    _, decision = told(rollout(plain("a")), Begin(1), signal, BatchFinished("7f3c-0001", ok("a")))
    assert decision.events[-1] == RolloutFinished("7f3c", RolloutCounts(applied=1))


def test_a_lost_batch_is_run_again_as_another_one() -> None:
    order = rollout(cluster("lyon", 1, 1))
    state, decision = told(order, Begin(1), BatchLost("7f3c-0001", "the runner died"))
    assert decision.events == (
        BatchRequeued("7f3c-0001", ("lyon-s0",), "the runner died"),
        BatchStarted("7f3c-0002", ("lyon-s0",)),
    )
    assert started(decision) == [("lyon-s0",)]
    assert decide(state, BatchFinished("7f3c-0001", ok("lyon-s0"))) == Decision()


def test_a_batch_that_is_lost_during_a_pause_waits_for_the_resume() -> None:
    order = rollout(plain("a"))
    state, decision = told(order, Begin(1), Pause("x"), BatchLost("7f3c-0001", "died"))
    assert decision.events[-1] == RolloutPaused("7f3c", "x", RolloutCounts(waiting=1))
    assert started(decide(state, Resume())) == [("a",)]


def test_a_take_over_asks_again_for_what_was_in_flight_with_the_new_epoch() -> None:
    order = rollout(plain("a", "b", "c"), forks=2, batch_size=1)
    state, decision = told(order, Begin(1), BatchFinished("7f3c-0001", ok("a")), TakeOver(9, "ops@spare"))
    assert decision.events == (RolloutTakenOver("7f3c", "ops@spare", 9, ("7f3c-0002", "7f3c-0003")),)
    assert [(e.order.batch_id, e.order.epoch, e.order.nodes) for e in decision.effects] == [
        ("7f3c-0002", 9, ("b",)),
        ("7f3c-0003", 9, ("c",)),
    ]
    again = decide(state, BatchLost("7f3c-0002", "gone"))
    assert again.effects[0].order.epoch == 9


def test_take_over_reason_goes_with_each_batch() -> None:
    order = replace(rollout(plain("a")), take_over="the other desk is gone")
    assert told(order, Begin(1))[1].effects[0].order.take_over == "the other desk is gone"


def test_waves_come_one_after_the_other() -> None:
    order = rollout(plain("a"), [], plain("b"))
    state, decision = told(order, Begin(1))
    assert started(decision) == [("a",)]
    decision = decide(state, BatchFinished("7f3c-0001", ok("a")))
    assert decision.events[2:] == (
        WaveFinished("w0", 0, RolloutCounts(applied=1)),
        WaveStarted("w1", 1, 0),
        WaveFinished("w1", 1, RolloutCounts()),
        WaveStarted("w2", 2, 1),
        BatchStarted("7f3c-0002", ("b",)),
    )


def test_a_rollout_of_nothing_is_done() -> None:
    _, decision = told(rollout([]), Begin(1))
    assert decision.events[1:] == (
        WaveStarted("w0", 0, 0),
        WaveFinished("w0", 0, RolloutCounts()),
        RolloutFinished("7f3c", RolloutCounts()),
    )


def test_waves_that_would_bring_an_agent_before_its_server_are_refused() -> None:
    server, agent = cluster("lyon", 1, 1)
    with pytest.raises(RefusedError, match=r"wave w0 holds lyon-a0, which must come after lyon-s0 of cluster lyon"):
        initial(rollout([agent], [server]))


@pytest.mark.parametrize(
    "order", [rollout(plain("a", "a")), rollout(plain("a"), forks=0), rollout(plain("a"), batch_size=0)]
)
def test_an_impossible_order_is_a_bug_of_whoever_made_it(order: RolloutOrder) -> None:
    with pytest.raises(FleetError, match="rollout 7f3c"):
        initial(order)


def test_a_state_of_another_version_is_refused() -> None:
    state = replace(initial(rollout(plain("a"))), version=5)
    with pytest.raises(UsageError, match="version 5, this fleet knows version 4 and older ones"):
        decide(state, Begin(1))
    with pytest.raises(UsageError, match="version 5, this fleet knows version 4 and older ones"):
        evolve(state, WaveStarted("w0", 0, 1))


def test_10_000_nodes_take_less_than_a_second_and_a_half() -> None:
    order = rollout([node for i in range(2500) for node in cluster(f"c{i}", 2, 2)], forks=100)
    digests = wanted(order)
    begun = time.process_time()
    state, decision = told(order, Begin(1))
    waiting = list(decision.effects)
    while waiting:
        batch = waiting.pop(0).order
        results = tuple(NodeResult(name, "applied", digest=digests[name]) for name in batch.nodes)
        decision = decide(state, BatchFinished(batch.batch_id, results))
        state = evolve_all(state, decision.events)
        waiting += decision.effects
    assert state.status == "finished"
    assert state.counts() == RolloutCounts(applied=10_000)
    assert time.process_time() - begun < 1.5


def test_a_node_that_never_answered_may_hold_what_was_sent_to_it() -> None:
    (gate,) = plain("gate", base="b1:old")
    order = rollout([replace(gate, sent=("b1:lost", "b1:lost too"))])
    _, decision = told(order, Begin(epoch=4))
    assert [effect.order.expect for effect in decision.effects] == [{"gate": "b1:old,b1:lost,b1:lost too"}]
