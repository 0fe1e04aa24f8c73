"""A rehearsal: time jumps to what comes next, each kind of fault changes what comes of it, and it ends or says why not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, permutations

import msgspec
import pytest
from msgspec.structs import replace

from fleet.decide import decide
from fleet.errors import FleetError
from fleet.model import event as ev
from fleet.model import signal as sig
from fleet.model.effect import Decision
from fleet.model.rollout import RolloutCounts, RolloutOrder, RolloutState
from fleet.model.signal import Signal
from fleet.model.simulation import SimulatedPause, SimulatedRun, World
from fleet.model.window import Schedule, Timing
from fleet.simulator import rehearsal
from fleet.simulator.tally import MOMENTS
from fleet.testing.orders import plain, rollout
from tests.unit.simulator.rehearsed import EVEN, Rehearsed, clusters, with_policy

MANY = [f"h{at:03d}" for at in range(200)]


def hosts(*, forks: int = 200) -> Rehearsed:
    return Rehearsed(rollout(plain(*MANY), forks=forks, batch_size=forks))


def run_of(world: World, resumes_after: float | None = None) -> SimulatedRun:
    return Rehearsed(rollout(plain(*MANY, base="b1:old"), forks=20), world, resumes_after=resumes_after).run


def test_batches_end_when_their_nodes_are_through_and_the_next_ones_begin_then() -> None:
    found = Rehearsed(rollout(plain("a", "b", "c"), forks=1), replace(EVEN, latency=40.0))

    started = [
        (at, event.nodes)
        for at, event in zip(found.times, found.events, strict=True)
        if isinstance(event, ev.BatchStarted)
    ]
    assert started == [(0.0, ("a",)), (40.0, ("b",)), (80.0, ("c",))]
    assert (found.run.outcome, found.run.seconds, found.run.batches) == ("finished", 120.0, 3)
    assert found.run.counts == RolloutCounts(applied=3)
    assert found.status == "finished"


def test_a_batch_takes_as_long_as_its_slowest_node() -> None:
    alone = [Rehearsed(rollout(plain(name)), World()).run.seconds for name in ("a", "b", "c")]

    assert len(set(alone)) == 3
    for names in permutations(("a", "b", "c")):
        assert Rehearsed(rollout(plain(*names)), World()).run.seconds == max(alone)


def test_servers_before_agents_takes_twice_as_long() -> None:
    assert Rehearsed(clusters(["lyon"], servers=1, agents=2)).run.seconds == 120.0
    assert Rehearsed(clusters(["lyon"], servers=3, agents=2)).run.seconds == 240.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_answer() -> None:
    world = World(failures=5, offline=5, flapping=5, lying=5)
    first, again = (msgspec.json.encode(run_of(world, 60.0)) for _ in range(2))

    assert first == again
    assert msgspec.json.encode(run_of(replace(world, seed=1), 60.0)) != first


@pytest.mark.parametrize(
    ("world", "changed"),
    [
        (World(failures=10), "failed"),
        (World(offline=10), "unreachable"),
        (World(flapping=30), "unreachable"),
        (World(lying=10), "failed"),
    ],
    ids=["failures", "offline", "flapping", "lying"],
)
def test_each_kind_of_fault_changes_the_outcome(world: World, changed: str) -> None:
    assert run_of(World()).counts == RolloutCounts(applied=200)

    counts = run_of(world).counts

    number = getattr(counts, changed)
    assert 5 <= number <= 40
    assert counts == replace(RolloutCounts(applied=200 - number), **{changed: number})


def test_who_fails_at_a_small_share_fails_at_a_large_one_too() -> None:
    def failed(share: float) -> set[str]:
        found = Rehearsed(rollout(plain(*MANY)), replace(EVEN, failures=share))
        return {event.node for event in found.events if isinstance(event, ev.NodeFailed)}

    assert failed(0) == set()
    assert 0 < len(failed(5)) < len(failed(20)) < 200 == len(failed(100))
    assert failed(5) < failed(20)


def test_a_node_that_says_what_is_not_so_is_told_by_its_record() -> None:
    found = Rehearsed(rollout(plain(*MANY, base="b1:old")), replace(EVEN, lying=100.0))

    reasons = {event.reason.replace(event.node, "NODE") for event in found.events if isinstance(event, ev.NodeFailed)}
    assert reasons == {
        "it holds b1:old after the batch, wanted b1:NODE",
        "it says that it is not well, and it is",
    }
    assert (found.run.lies, found.run.believed, found.run.counts.failed) == (200, 0, 200)


def test_a_lie_that_is_believed_is_counted() -> None:
    def gullible(state: RolloutState, signal: Signal) -> Decision:
        if isinstance(signal, sig.BatchFinished):
            true = tuple(replace(result, digest=f"b1:{result.node}") for result in signal.results)
            signal = replace(signal, results=true)
        return decide(state, signal)

    found = Rehearsed(rollout(plain(*MANY, base="b1:old")), replace(EVEN, lying=100.0), decider=gullible).run

    assert found.believed == found.counts.applied
    assert 60 < found.believed < 140


def test_shops_that_are_closed_do_not_answer_by_their_own_clock() -> None:
    closed = replace(EVEN, closed=(22, 6))  # begins at 08:00 UTC

    berlin = Rehearsed(clusters(["lyon"]), closed, zone="Europe/Berlin").run
    denver = Rehearsed(clusters(["lyon"]), closed, zone="America/Denver").run

    assert berlin.counts == RolloutCounts(applied=3)
    assert denver.counts == RolloutCounts(applied=1, unreachable=2), "servers stay on"


def test_who_never_answers_keeps_others_of_the_group_only_when_that_is_known() -> None:
    order = with_policy(clusters([f"s{at}" for at in range(40)], servers=1, agents=3), 0, allowed=1)
    world = replace(EVEN, offline=20.0)

    unknown, known = (Rehearsed(order, replace(world, is_offline_known=each)).run for each in (False, True))

    assert max(group.away - group.known for group in unknown.groups) > 0
    assert max(group.away for group in unknown.groups) > 1, "more are away than the budget allows, and nobody knew"
    assert max(group.known for group in unknown.groups) == 1
    assert [group.away for group in known.groups] == [group.known for group in known.groups]
    assert known.counts.applied < unknown.counts.applied


def test_a_wave_that_fails_ends_the_run_and_says_why() -> None:
    order = with_policy(rollout(plain("a", "b", base="b1:old"), plain("c", "d", base="b1:old")), 100, 100)

    found = Rehearsed(order, replace(EVEN, failures=100.0))

    run = found.run
    assert (run.outcome, run.reason, run.seconds) == ("paused", "wave w0 failed", 60.0)
    assert (found.status, found.snapshots) == ("paused", 1), "so that it is quick to open"
    assert run.pauses == (SimulatedPause(60.0, "wave w0 failed"),)
    assert [(wave.outcome, wave.begins, wave.ends) for wave in run.waves] == [
        ("failed", 0.0, 60.0),
        ("not begun", None, None),
    ]
    assert run.waves[0].reason == "2 failed and 0 succeeded, so successThreshold 100% cannot be met"
    assert run.counts == RolloutCounts(failed=2, waiting=2)


def test_an_operator_goes_on_after_each_pause() -> None:
    order = with_policy(rollout(plain("a", "b", base="b1:old"), plain("c", "d", base="b1:old")), 100, 100)

    run = Rehearsed(order, replace(EVEN, failures=100.0), resumes_after=1800.0).run

    assert (run.outcome, run.seconds, run.counts) == ("halted", 1920.0, RolloutCounts(failed=4))
    assert run.pauses == (SimulatedPause(60.0, "wave w0 failed", 1860.0),)
    assert [(wave.outcome, wave.ends) for wave in run.waves] == [("failed", 1860.0), ("failed", 1920.0)]
    assert [(quiet.begins, quiet.ends) for quiet in run.quiet] == [(60.0, 1860.0)]


def test_a_pause_that_nothing_came_after_is_not_gone_on_from_again() -> None:
    """Who goes on sees the same pause at once."""

    def decider(state: RolloutState, signal: Signal) -> Decision:
        if not isinstance(signal, sig.Resume):
            return decide(state, signal)
        counts = state.counts()
        return Decision((
            ev.RolloutResumed("7f3c", counts), ev.PauseRequested("again", 0), ev.RolloutPaused("7f3c", "again", counts),
        ))  # fmt: skip

    order = with_policy(rollout(plain("a", base="b1:old"), plain("b", base="b1:old")), 100, 100)
    run = Rehearsed(order, replace(EVEN, failures=100.0), resumes_after=600.0, decider=decider).run

    assert (run.outcome, run.reason, run.seconds, len(run.pauses)) == ("paused", "again", 660.0, 2)


def test_who_fails_is_no_liar() -> None:
    run = run_of(replace(EVEN, failures=100.0, lying=100.0))

    assert (run.lies, run.believed, run.counts.failed) == (0, 0, 200)


def test_agents_behind_a_server_that_fails_were_never_under_way() -> None:
    run = Rehearsed(clusters(["lyon"], servers=1, agents=3), replace(EVEN, failures=100.0)).run

    last = run.timeline[-1]
    assert (last.in_flight, last.failed, last.blocked) == (0, 1, 3)
    assert run.counts == RolloutCounts(failed=1, blocked=3)


def test_the_lease_is_given_back() -> None:
    found = Rehearsed(rollout(plain("a")), replace(EVEN, latency=10.0))  # it would live for 30 s

    assert found.journal.acquire("somebody").epoch == 2


def test_who_is_known_to_be_offline_is_so_since_it_began() -> None:
    order = with_policy(rollout(plain(*MANY, base="b1:old")), 0, allowed=200)
    order = replace(order, timing=Timing(offline_after=3600.0), offline="defer")
    world = replace(EVEN, offline=20.0, is_offline_known=True)

    soon, late = (Rehearsed(order, replace(world, latency=latency)).events for latency in (60.0, 4000.0))

    assert not [event for event in soon if isinstance(event, ev.NodesLongOffline)]
    assert [event for event in late if isinstance(event, ev.NodesLongOffline)]


def test_every_third_failure_pauses() -> None:
    order = with_policy(rollout(plain(*MANY, base="b1:old"), forks=1), 0, stop_at=3)

    run = Rehearsed(order, replace(EVEN, failures=5.0), resumes_after=0.0).run

    failed = run.counts.failed
    assert failed > 6
    assert len(run.pauses) == failed // 3
    assert run.counts.applied == 200 - failed


def woken(*times: float, then: Callable[[Signal], bool] = lambda _: False) -> rehearsal.Decider:
    """Decides as ever, but begins only when it has been told of all these times, in seconds since the beginning."""
    told: list[float] = []

    def decider(state: RolloutState, signal: Signal) -> Decision:
        if isinstance(signal, sig.Tick):
            told.append(signal.at)
        if state.status == "new" and len(told) < len(times):
            return Decision(wake_at=EVEN.begins_at + times[len(told)])
        if then(signal):
            return Decision(wake_at=signal.at)
        return decide(state, sig.Begin(epoch=1, at=signal.at) if state.status == "new" else signal)

    return decider


def test_it_is_told_of_the_time_that_it_asked_for() -> None:
    run = Rehearsed(rollout(plain("a")), decider=woken(3600.0, 7200.5)).run

    assert (run.outcome, run.seconds) == ("finished", 7260.5)
    assert [(quiet.begins, quiet.ends) for quiet in run.quiet] == [(0.0, 7200.5)]
    assert run.timeline[0].at == 0.0


def test_a_time_that_was_named_again_is_told_once() -> None:
    """Each answer names a later time, and in the end an earlier one: then there is one Tick, at that."""
    ticks: list[float] = []

    def decider(state: RolloutState, signal: Signal) -> Decision:
        if isinstance(signal, sig.Tick):
            ticks.append(signal.at - EVEN.begins_at)
        named = {0.0: 500.0, 60.0: 70.0}.get(signal.at - EVEN.begins_at)
        return replace(decide(state, signal), wake_at=None if named is None else EVEN.begins_at + named)

    run = Rehearsed(rollout(plain("a", "b", "c", "d"), forks=2, batch_size=1), decider=decider).run

    assert (run.outcome, run.seconds, ticks) == ("finished", 120.0, [70.0])


def test_a_time_that_is_named_again_when_it_has_come_is_told_again() -> None:
    ticks: list[float] = []

    def decider(state: RolloutState, signal: Signal) -> Decision:
        if not isinstance(signal, sig.Tick):
            return Decision(wake_at=EVEN.begins_at + 30.0) if state.status == "new" else decide(state, signal)
        ticks.append(signal.at - EVEN.begins_at)
        if state.status == "new":
            return replace(decide(state, sig.Begin(epoch=1, at=signal.at)), effects=(), wake_at=signal.at)
        return Decision()

    Rehearsed(rollout(plain("a")), decider=decider)

    assert ticks == [30.0, 30.0]


def test_a_decider_that_asks_for_now_for_ever_is_a_bug() -> None:
    endless = woken(10.0, then=lambda signal: isinstance(signal, sig.Tick))

    with pytest.raises(FleetError, match="wants to be told of a time that it was just told of"):
        Rehearsed(rollout(plain("a")), decider=endless)


def test_what_nothing_brings_forward_is_said() -> None:
    run = Rehearsed(rollout(plain("a")), decider=lambda _state, _signal: Decision()).run

    assert (run.outcome, run.reason) == ("waiting", "wave w0 waits for what does not happen by itself")
    assert run.counts == RolloutCounts(waiting=1)


def test_what_wakes_each_night_and_never_begins_ends_after_two_years() -> None:
    def decider(_state: RolloutState, signal: Signal) -> Decision:
        return Decision(wake_at=signal.at + 86_400)

    run = Rehearsed(rollout(plain("a")), decider=decider).run

    assert (run.outcome, run.reason) == ("waiting", "it is not over after two years")
    assert run.seconds == rehearsal.LONGEST


def test_the_journal_holds_what_happened_with_its_times_and_snapshots() -> None:
    found = Rehearsed(rollout(plain(*MANY), forks=1, batch_size=1))

    ended = [at for at, event in zip(found.times, found.events, strict=True) if isinstance(event, ev.NodeApplied)]
    assert ended == [60.0 * turn for turn in range(1, 201)]
    assert isinstance(found.events[0], ev.RolloutStarted)
    assert isinstance(found.events[-1], ev.RolloutFinished)
    assert found.snapshots == len(found.events) // (rehearsal.EVENTS_PER_SNAPSHOT + 2), "three events a step"


def test_a_timeline_is_thinned_and_keeps_its_end_and_what_was_true_for_long() -> None:
    """400 hosts one by one. The first wave passes with its 69th and soaks for a day; its 137th is the last for long."""
    names = [f"x{at:03d}" for at in range(400)]
    first, second = (plain(*some, base="b1:old") for some in (names[:137], names[137:]))
    order = replace(with_policy(rollout(first, second, forks=1), 0, 0), timing=Timing(soak=86_400.0))

    run = Rehearsed(order).run

    kept = run.timeline
    assert 120 <= len(kept) <= MOMENTS
    assert [moment.at for moment in kept] == sorted({moment.at for moment in kept})
    assert (kept[0].at, kept[0].in_flight) == (0.0, 1)
    assert (kept[-1].at, kept[-1].applied) == (run.seconds, 400)
    assert next((moment.at, moment.applied) for moment in kept if not moment.in_flight) == (137 * 60.0, 137)
    for moment in kept[:-1]:
        is_second = moment.at >= 69 * 60 + 86_400
        busy = moment.at - (69 * 60 + 86_400 - 137 * 60) if is_second else moment.at
        assert moment.applied == busy // 60, "what was true at that time"
    gaps = [later.applied - moment.applied for moment, later in pairwise(kept)]
    assert max(gaps) <= 4


def test_hosts_side_by_side() -> None:
    assert hosts().run.seconds == 60.0
    assert hosts(forks=100).run.seconds == 120.0


def timed(timing: Timing, **wanted: bool) -> RolloutOrder:
    """Two waves of two hosts each, under a policy."""
    order = with_policy(rollout(plain("a", "b", base="b1:old"), plain("c", "d", base="b1:old")), 50, 50)
    first, second = order.waves
    return replace(order, waves=(first, replace(second, **wanted)), timing=timing, offline="defer")


def waited(run: SimulatedRun) -> list[tuple[str, float, float]]:
    return [(quiet.why, quiet.begins, quiet.ends) for quiet in run.quiet]


def test_a_soak_and_then_an_approval_are_waited_for() -> None:
    order = timed(Timing(soak=600.0), needs_approval=True)

    run = Rehearsed(order, approves_after=1800.0).run

    assert (run.outcome, run.approvals) == ("finished", 1)
    assert waited(run) == [("soak", 60.0, 660.0), ("approval", 660.0, 2460.0), ("soak", 2520.0, 3120.0)]
    assert [(wave.begins, wave.ends) for wave in run.waves] == [(0.0, 660.0), (2460.0, 3120.0)]


def test_an_approval_is_given_at_once_unless_it_is_said_otherwise() -> None:
    heard: list[Signal] = []

    def decider(state: RolloutState, signal: Signal) -> Decision:
        heard.append(signal)
        return decide(state, signal)

    found = Rehearsed(timed(Timing(), needs_approval=True), decider=decider)

    assert [signal.wave for signal in heard if isinstance(signal, sig.Approve)] == ["w1"], "that one, and no other"
    approved = [event for event in found.events if isinstance(event, ev.WaveApproved)]
    assert [(event.wave, event.at - EVEN.begins_at) for event in approved] == [("w1", 60.0)]
    assert (found.run.approvals, waited(found.run)) == (1, [])


@pytest.mark.parametrize(
    ("zone", "opens"), [("UTC", 18.0), ("Europe/Paris", 17.0), ("Asia/Tokyo", 9.0), ("America/New_York", 23.0)]
)
def test_a_window_is_waited_for_by_the_clock_of_the_site(zone: str, opens: float) -> None:
    """It is 08:00 UTC; the windows open at 02:00."""
    order = timed(Timing(schedule=Schedule("0 2 * * *", 3600.0, needed=600.0), zones={"yard": zone}))

    run = Rehearsed(order).run

    assert waited(run) == [("window", 0.0, opens * 3600)]
    assert (run.outcome, run.seconds) == ("finished", opens * 3600 + 120)


def test_a_window_that_shuts_leaves_the_rest_for_the_next_night() -> None:
    schedule = Schedule("0 8 * * *", 900.0, zone="UTC", needed=600.0)

    run = Rehearsed(replace(timed(Timing(schedule=schedule)), forks=1), replace(EVEN, latency=200.0)).run

    assert next((moment.at, moment.applied) for moment in run.timeline if moment.applied == 2) == (400.0, 2)
    assert waited(run) == [("window", 400.0, 86_400.0)]
    assert run.seconds == 86_800.0


def test_a_rate_spreads_nodes_out() -> None:
    run = Rehearsed(timed(Timing(rate=1.0)), replace(EVEN, latency=10.0)).run

    assert run.seconds == 190.0
    assert waited(run) == [("rate", 10.0, 60.0), ("rate", 70.0, 120.0), ("rate", 130.0, 180.0)]


def test_who_takes_longer_than_the_deadline_has_failed() -> None:
    order = timed(Timing(deadline=300.0))

    slow, quick = (Rehearsed(order, replace(EVEN, latency=latency)).run for latency in (301.0, 300.0))

    assert (slow.outcome, slow.seconds, slow.counts) == ("paused", 300.0, RolloutCounts(failed=2, waiting=2))
    assert (quick.outcome, quick.seconds) == ("finished", 600.0)
