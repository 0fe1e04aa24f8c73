"""What a policy makes of a rollout: waves that pass or fail, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.event import Event
from fleet.model.rollout import GroupBudget, RolloutCounts, RolloutNode, RolloutOrder, RolloutState, WaveOrder
from fleet.model.signal import BatchFinished, Begin, Cancel, Pause, Resume, Signal
from fleet.testing.orders import cluster, plain, rollout

Asked = tuple[Sequence[RolloutNode], int, int]


def waves(*asked: Asked, **parts: Any) -> RolloutOrder:
    """Each wave is its nodes, successThreshold and minFinished. Every node is a batch of its own."""
    made = [WaveOrder(f"w{i}", tuple(nodes), Decimal(least), Decimal(ended))
            for i, (nodes, least, ended) in enumerate(asked)]  # fmt: skip
    return replace(rollout(batch_size=1), waves=tuple(made), policy="standard", **parts)


class Told:
    """A rollout that is told what became of nodes: the events of the last thing told, and the state after it."""

    def __init__(self, order: RolloutOrder) -> None:
        self.state: RolloutState = initial(order)
        self.events: tuple[Event, ...] = ()
        self.hear(Begin(1))

    def hear(self, signal: Signal) -> None:
        decision = decide(self.state, signal)
        self.state, self.events = evolve_all(self.state, decision.events), decision.events

    def became(self, outcome: str, *names: str) -> None:
        for name in names:
            (batch,) = [batch.batch_id for batch in self.state.running if name in batch.nodes]
            self.hear(BatchFinished(batch, (NodeResult(name, outcome, digest=f"b1:{name}", reason="why"),)))  # type: ignore[arg-type]

    @property
    def flying(self) -> list[str]:
        return [name for batch in self.state.running for name in batch.nodes]

    def some(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


ABCD = plain("a", "b", "c", "d")
NEXT = plain("x", "y")


def test_a_rollout_says_which_policy_it_follows() -> None:
    told = Told(waves((ABCD, 95, 50), stop_at=3))
    assert told.events[:3] == (
        ev.RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 1, 4, 1),
        ev.PolicyFollowed("7f3c", "standard", groups=0, stop_at=3),
        ev.WaveStarted("w0", 0, 4),
    )


def test_a_wave_comes_when_the_one_before_has_passed() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50)))
    told.became("applied", "a", "b", "c")
    assert told.flying == ["d"], "one could still fail"
    told.became("applied", "d")
    assert told.some(ev.WaveFinished, ev.WaveStarted) == [
        ev.WaveFinished("w0", 0, RolloutCounts(applied=4)),
        ev.WaveStarted("w1", 1, 2),
    ]
    assert told.flying == ["x", "y"]


def test_a_wave_whose_threshold_cannot_be_missed_waits_for_nobody() -> None:
    told = Told(waves((ABCD, 75, 50), (NEXT, 100, 50)))
    told.became("applied", "a", "b")
    assert told.flying == ["c", "d"]
    told.became("applied", "c")
    assert told.some(ev.WaveFinished) == [ev.WaveFinished("w0", 0, RolloutCounts(applied=3, waiting=1))]
    assert told.flying == ["d", "x", "y"], "d goes on beside the next wave"
    told.became("applied", "x", "y")
    assert not told.some(ev.RolloutFinished), "and the last wave waits for it"
    told.became("applied", "d")
    assert told.events[-2:] == (
        ev.WaveFinished("w1", 1, RolloutCounts(applied=2)),
        ev.RolloutFinished("7f3c", RolloutCounts(applied=6)),
    )


def test_enough_that_succeeded_must_have_ended_too() -> None:
    """Whatever fails of the others, 10 % succeeded: but 90 % of the wave may still be away."""
    told = Told(waves((ABCD, 10, 75), (NEXT, 100, 50)))
    told.became("applied", "a", "b")
    assert told.flying == ["c", "d"]
    told.became("failed", "c")
    assert told.flying == ["d", "x", "y"]


def test_a_wave_without_nodes_passes() -> None:
    assert Told(waves(((), 100, 50), (NEXT, 100, 50))).flying == ["x", "y"]


def test_an_empty_wave_does_not_lose_those_that_go_on_beside_it() -> None:
    told = Told(waves((ABCD, 75, 50), ((), 100, 50)))
    told.became("applied", "a", "b", "c")
    assert (told.flying, told.state.has_ended) == (["d"], False)
    told.became("applied", "d")
    assert told.some(ev.RolloutFinished)


def test_a_wave_that_fails_pauses_at_once() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50), forks=2))
    told.became("failed", "a")
    why = "1 failed and 0 succeeded, so successThreshold 100% cannot be met"
    assert told.events[-2:] == (
        ev.WaveFailed("w0", 0, why, RolloutCounts(failed=1, waiting=3)),
        ev.PauseRequested("wave w0 failed", in_flight=1, by_policy=True),
    )
    assert told.flying == ["b"], "nothing new starts"
    told.became("applied", "b")
    paused = ev.RolloutPaused("7f3c", "wave w0 failed", RolloutCounts(applied=1, failed=1, waiting=4))
    assert told.events[-1] == paused
    assert told.state.status == "paused"


@pytest.mark.parametrize(("failing", "passes"), [(["a"], True), (["a", "b"], False)])
def test_a_threshold_that_is_just_met_is_met(failing: list[str], passes: bool) -> None:  # noqa: FBT001 - a parameter
    told = Told(waves((ABCD, 75, 50), (NEXT, 100, 50)))
    told.became("failed", *failing)
    assert bool(told.state.is_held) != passes
    if passes:
        told.became("applied", "b", "c", "d")
        assert "x" in told.flying


def test_nodes_that_are_away_are_no_failures() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50)))
    told.became("unreachable", "a", "b")
    told.became("applied", "c", "d")
    assert told.some(ev.WaveFinished) == [ev.WaveFinished("w0", 0, RolloutCounts(applied=2, unreachable=2))]
    assert told.flying == ["x", "y"]


def test_a_wave_that_is_mostly_away_proves_nothing() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50)))
    told.became("unreachable", "a", "b", "c")
    why = "3 of 4 could not be reached or were blocked, so minFinished 50% cannot be met"
    assert told.some(ev.WaveFailed) == [ev.WaveFailed("w0", 0, why, RolloutCounts(unreachable=3, waiting=1))]
    assert told.state.status == "pausing"


def test_blocked_nodes_are_in_no_share() -> None:
    """A cluster whose server is away: its agents did not fail."""
    told = Told(waves(([*cluster("lyon", 1, 1), *plain("a", "b")], 100, 50), (NEXT, 100, 50)))
    told.became("unreachable", "lyon-s0")
    told.became("applied", "a", "b")
    assert told.flying == ["x", "y"]


def test_on_failure_continue_goes_on_and_says_so_once() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50), on_failure="continue", forks=2))
    told.became("failed", "a")
    assert [type(event) for event in told.events[2:]] == [ev.WaveFailed, ev.BatchStarted]
    told.became("failed", "b", "c")
    assert (told.some(ev.WaveFailed), told.flying) == ([], ["d"]), "a wave that failed ends before the next one comes"
    told.became("applied", "d")
    assert told.flying == ["x", "y"]
    told.became("failed", "x")
    assert [event.wave for event in told.some(ev.WaveFailed)] == ["w1"]  # type: ignore[attr-defined]
    told.became("applied", "y")
    assert told.events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=2, failed=4))


def test_the_last_failure_of_all_pauses_nothing() -> None:
    told = Told(waves((plain("a"), 100, 50)))
    told.became("failed", "a")
    assert [type(event) for event in told.events[2:]] == [ev.WaveFailed, ev.WaveFinished, ev.RolloutHalted]


def test_a_failure_with_the_rest_under_way_ends_with_them() -> None:
    told = Told(waves((plain("a", "b"), 100, 50)))
    told.became("failed", "a")
    assert told.state.status == "pausing"
    told.became("applied", "b")
    assert told.events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=1, failed=1))


def held() -> Told:
    """Paused by policy in wave w0: a failed, b is applied; c and d are left, x and y behind them."""
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50), forks=2))
    told.became("failed", "a")
    told.became("applied", "b")
    assert told.state.status == "paused"
    return told


def test_who_goes_on_bears_what_failed_so_far() -> None:
    told = held()
    told.hear(Resume())
    assert (told.state.status, told.flying) == ("running", ["c", "d"])
    told.became("applied", "c", "d")
    assert told.some(ev.WaveFailed, ev.WaveStarted) == [ev.WaveStarted("w1", 1, 2)]
    told.became("applied", "x", "y")
    assert told.events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=5, failed=1))


def test_the_next_failure_pauses_again() -> None:
    told = held()
    told.hear(Resume())
    told.became("failed", "c")
    why = "1 failed and 1 succeeded, so successThreshold 100% cannot be met"
    assert told.some(ev.WaveFailed) == [ev.WaveFailed("w0", 0, why, RolloutCounts(applied=1, failed=2, waiting=1))]
    assert told.state.status == "pausing"


def test_a_wave_that_was_mostly_away_goes_on_when_somebody_says_so() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50)))
    told.became("unreachable", "a", "b", "c")
    told.hear(Resume())
    told.became("applied", "d")
    assert told.flying == ["x", "y"]


def test_who_goes_on_bears_what_the_failed_node_blocks() -> None:
    """a failed and uses up the budget of its group, so b can never start."""
    a, b = (replace(node, groups=("site=yard",)) for node in plain("a", "b"))
    told = Told(waves(([a, b], 100, 50), (NEXT, 100, 50), budgets=(GroupBudget("site=yard", 1),)))
    told.became("failed", "a")
    assert told.state.status == "paused"
    told.hear(Resume())
    assert [event.node for event in told.some(ev.NodeBlocked)] == ["b"]  # type: ignore[attr-defined]
    assert told.flying == ["x", "y"]


def test_a_pause_that_somebody_asked_for_forgives_nothing() -> None:
    told = Told(waves((ABCD, 70, 50), (NEXT, 100, 50), forks=2))
    told.became("failed", "a")
    told.hear(Pause("lunch"))
    told.became("applied", "b", "c")
    told.hear(Resume())
    assert (told.state.forgiven, told.flying) == (0, ["d"])
    told.became("failed", "d")
    assert told.some(ev.WaveFailed)


def test_what_fails_during_a_pause_is_judged_when_it_ends() -> None:
    told = Told(waves((ABCD, 100, 50), (NEXT, 100, 50), forks=1))
    told.hear(Pause("lunch"))
    told.became("failed", "a")
    assert told.state.status == "paused"
    told.hear(Resume())
    assert [type(event) for event in told.events] == [
        ev.RolloutResumed, ev.WaveFailed, ev.PauseRequested, ev.RolloutPaused,
    ]  # fmt: skip
    told.hear(Resume())
    assert told.flying == ["b"]


def test_a_rollout_that_its_policy_paused_can_be_cancelled() -> None:
    told = held()
    told.hear(Cancel("enough"))
    assert told.events[-1] == ev.RolloutCancelled("7f3c", "enough", RolloutCounts(applied=1, failed=1, waiting=4))


def test_so_many_failures_pause_whatever_the_waves_bear() -> None:
    told = Told(waves((ABCD, 1, 50), (NEXT, 1, 50), stop_at=2, on_failure="continue", forks=1))
    told.became("failed", "a")
    told.became("applied", "b")
    assert told.state.status == "running"
    told.became("failed", "c")
    why = "2 nodes failed, and maxFailures pauses at 2"
    assert told.events[-2:] == (
        ev.PauseRequested(why, in_flight=0, by_policy=True),
        ev.RolloutPaused("7f3c", why, RolloutCounts(applied=1, failed=2, waiting=3)),
    )
    told.hear(Resume())
    told.became("failed", "d")
    assert told.state.status == "running", "those before were borne"
    told.became("failed", "x")
    assert told.state.status == "paused"


def test_failures_of_all_waves_count_and_those_who_are_away_do_not() -> None:
    told = Told(waves((ABCD, 50, 50), (NEXT, 1, 1), stop_at=2))
    told.became("unreachable", "a")
    told.became("failed", "b")
    told.became("applied", "c", "d")
    told.became("failed", "x")
    assert told.some(ev.PauseRequested) == [
        ev.PauseRequested("2 nodes failed, and maxFailures pauses at 2", in_flight=1, by_policy=True)
    ]


def test_without_a_policy_no_wave_fails() -> None:
    told = Told(rollout(ABCD, NEXT, batch_size=1))
    told.became("failed", "a", "b", "c")
    assert told.flying == ["d"]
    told.became("failed", "d")
    assert (told.flying, told.some(ev.WaveFailed)) == (["x", "y"], [])
