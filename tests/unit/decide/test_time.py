"""What time makes of a rollout: soaks, approvals, rates, windows, nodes that are away for long, and who comes after."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.event import Event
from fleet.model.rollout import AwayNode, GroupBudget, RolloutCounts, RolloutOrder
from fleet.model.signal import Approve, BatchFinished, Begin, Cancel, Pause, Resume, Signal, Supersede, TakeOver, Tick
from fleet.model.window import Freeze, Schedule, Timing
from fleet.testing.orders import cluster, plain, rollout

AB, CD = plain("a", "b", base="b1:old"), plain("c", "d", base="b1:old")


class Timed:
    """A rollout that is told things at given times."""

    def __init__(self, order: RolloutOrder, at: float = 0.0) -> None:
        self.state = initial(order)
        self.wake_at: float | None = None
        self.hear(Begin(1), at)

    def hear(self, signal: Signal, at: float) -> tuple[Event, ...]:
        decision = decide(self.state, replace(signal, at=at))
        self.state, self.wake_at = evolve_all(self.state, decision.events), decision.wake_at
        return decision.events

    def became(self, outcome: str, *names: str, at: float) -> tuple[Event, ...]:
        """The batch of these nodes ends."""
        (batch,) = [batch.batch_id for batch in self.state.running if set(names) == set(batch.nodes)]
        found = (NodeResult(name, outcome, digest=f"b1:{name}", reason="why") for name in names)  # type: ignore[arg-type]
        return self.hear(BatchFinished(batch, tuple(found)), at)

    @property
    def flying(self) -> list[str]:
        return [name for batch in self.state.running for name in batch.nodes]


def timed(*waves: Any, forks: int = 100, size: int = 50, **timing: Any) -> RolloutOrder:
    order = rollout(*waves, forks=forks, batch_size=size)
    return replace(order, policy="standard", offline="defer", timing=Timing(**timing))


def kinds(events: tuple[Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_wave_soaks_before_the_next_one() -> None:
    one = Timed(timed(AB, CD, soak=600), at=1000.0)
    assert one.wake_at is None
    assert one.became("applied", "a", "b", at=1100.0)[-1] == ev.WaveSoaking("w0", 0, until=1700.0)
    assert one.wake_at == 1700.0
    assert one.hear(Tick(), 1699.9) == ()
    assert kinds(one.hear(Tick(), 1700.0)) == ["WaveFinished", "WaveStarted", "BatchStarted"]
    assert kinds(one.became("applied", "c", "d", at=1800.0))[-1] == "WaveSoaking", "the last wave, too"
    assert kinds(one.hear(Tick(), 2400.0)) == ["WaveFinished", "RolloutFinished"]


def test_a_wave_in_which_nothing_was_applied_does_not_soak() -> None:
    one = Timed(timed(AB, (), CD, soak=600))
    assert kinds(one.became("unreachable", "a", "b", at=5.0))[-4:] == [
        "WaveStarted", "WaveFinished", "WaveStarted", "BatchStarted",
    ]  # fmt: skip


def test_a_soak_goes_on_while_a_rollout_is_paused_and_driven_by_another() -> None:
    one = Timed(timed(AB, CD, soak=600))
    one.became("applied", "a", "b", at=100.0)
    assert kinds(one.hear(Pause("lunch"), 200.0)) == ["PauseRequested", "RolloutPaused"]
    assert one.wake_at is None
    assert one.hear(Tick(), 900.0) == ()
    one.hear(TakeOver(2, "spare"), 901.0)
    assert kinds(one.hear(Resume(), 902.0)) == ["RolloutResumed", "WaveFinished", "WaveStarted", "BatchStarted"]


def approved(order: RolloutOrder, *indexes: int) -> RolloutOrder:
    waves = (replace(wave, needs_approval=at in indexes) for at, wave in enumerate(order.waves))
    return replace(order, waves=tuple(waves))


def test_a_wave_waits_for_its_approval() -> None:
    one = Timed(approved(timed(AB, CD), 1))
    assert one.became("applied", "a", "b", at=10.0)[-2:] == (
        ev.WaveFinished("w0", 0, RolloutCounts(applied=2)),
        ev.ApprovalAwaited("7f3c", "w1", 1),
    )
    assert one.wake_at is None
    assert one.hear(Tick(), 99.0) == (), "it is asked for once"
    assert one.hear(Approve("eve", wave="w0"), 99.0) == (), "of another wave"
    events = one.hear(Approve("ops@desk", wave="w1"), 100.0)
    assert events[0] == ev.WaveApproved("w1", 1, "ops@desk", at=100.0)
    assert kinds(events[1:]) == ["WaveStarted", "BatchStarted"]
    assert one.hear(Approve("ops@desk"), 101.0) == (), "nothing waits any more"


def test_an_approval_of_what_does_not_wait_counts_for_nothing() -> None:
    one = Timed(approved(timed(AB, CD), 1))
    assert one.hear(Approve("ops@desk"), 5.0) == ()
    assert kinds(one.became("applied", "a", "b", at=10.0))[-1] == "ApprovalAwaited"


def test_the_first_wave_may_wait_too_and_an_empty_one_asks_nobody() -> None:
    one = Timed(approved(timed(AB, (), CD), 0, 1))
    assert one.flying == []
    assert kinds(one.hear(Approve("ops@desk"), 1.0)) == ["WaveApproved", "WaveStarted", "BatchStarted"]
    one.became("applied", "a", "b", at=2.0)
    assert one.flying == ["c", "d"]


def test_an_approval_while_paused_is_kept() -> None:
    one = Timed(approved(timed(AB, CD), 1))
    one.became("applied", "a", "b", at=10.0)
    one.hear(Pause("lunch"), 11.0)
    assert kinds(one.hear(Approve("ops@desk"), 12.0)) == ["WaveApproved"]
    assert kinds(one.hear(Resume(), 13.0)) == ["RolloutResumed", "WaveStarted", "BatchStarted"]


def test_a_rate_lets_so_many_begin_in_a_minute_and_grows_with_each_wave() -> None:
    many = [node for name in "klmnop" for node in plain(name)]
    one = Timed(timed(AB, many, rate=1, rate_factor=4), at=0.0)
    assert one.flying == ["a"]
    assert one.wake_at == 60.0
    one.became("applied", "a", at=1.0)
    assert one.flying == []
    assert one.state.wait
    assert one.hear(Tick(), 59.0) == ()
    one.hear(Tick(), 60.0)
    assert one.flying == ["b"]
    assert kinds(one.became("applied", "b", at=61.0))[-1] == "WaitStarted"
    one.hear(Tick(), 120.0)
    assert one.flying == ["k", "l", "m", "n"], "four in a minute, in the second wave"
    assert one.wake_at == 180.0
    one.hear(Tick(), 180.0)
    assert one.flying == ["k", "l", "m", "n", "o", "p"]


def test_a_slow_rate_says_what_it_waits_for() -> None:
    one = Timed(timed(AB, rate=0.1), at=0.0)
    assert one.became("applied", "a", at=5.0)[-1] == ev.WaitStarted(
        "rate", "1 node waits for the rate of the rollout", 600.0
    )


NIGHT = Schedule("0 2 * * *", 3 * 3600.0, needed=1800.0)


def located(order: RolloutOrder, **zones: str) -> RolloutOrder:
    waves = (replace(wave, nodes=tuple(replace(node, site=node.name) for node in wave.nodes)) for wave in order.waves)
    return replace(order, waves=tuple(waves), timing=replace(order.timing, zones=zones))


def test_nodes_begin_in_the_window_of_their_own_zone() -> None:
    order = located(timed(AB, schedule=NIGHT), a="Asia/Tokyo", b="America/New_York")
    one = Timed(order, at("2026-03-02T12:00"))
    assert one.flying == []
    tokyo = at("2026-03-02T17:00")
    assert one.wake_at == tokyo
    assert one.state.wait
    assert one.hear(Tick(), tokyo - 1) == ()
    one.hear(Tick(), tokyo)
    assert one.flying == ["a"]
    assert one.became("applied", "a", at=tokyo + 60)[-1] == ev.WaitStarted(
        "window", "1 node waits for its window", at("2026-03-03T07:00")
    )
    one.hear(Tick(), at("2026-03-03T07:00"))
    assert one.flying == ["b"]


def test_what_could_not_end_inside_its_window_does_not_begin() -> None:
    order = located(timed(AB, schedule=NIGHT, forks=1), a="UTC", b="UTC")
    one = Timed(order, at("2026-03-02T02:00"))
    assert one.flying == ["a"]
    one.became("applied", "a", at=at("2026-03-02T04:30:01"))
    assert one.flying == []
    assert one.wake_at == at("2026-03-03T02:00")
    two = Timed(order, at("2026-03-02T04:30"))
    assert two.flying == ["a"], "to the second"


def test_a_zone_of_the_schedule_stands_for_all_sites() -> None:
    order = located(timed(AB, schedule=replace(NIGHT, zone="Asia/Tokyo")), a="UTC", b="America/New_York")
    assert Timed(order, at("2026-03-02T17:00")).flying == ["a", "b"]


def test_a_reboot_may_begin_while_the_window_is_open_that_let_its_node_begin() -> None:
    """Whenever the rollout was ordered, and whoever drives it by then."""
    order = located(timed(AB, schedule=NIGHT), a="UTC", b="Asia/Tokyo")
    wave = order.waves[0]
    nodes = tuple(replace(node, may_reboot=True) for node in wave.nodes)
    one = Timed(replace(order, waves=(replace(wave, nodes=nodes),)), at("2026-03-02T12:00"))
    decision = decide(one.state, Tick(at=at("2026-03-02T17:20")))
    (first,) = decision.effects
    assert first.order.reboot_until == {"b": at("2026-03-02T19:30")}
    state = evolve_all(one.state, decision.events)
    (again,) = decide(state, TakeOver(2, "spare", at=at("2026-03-02T18:00"))).effects
    assert replace(again.order, epoch=first.order.epoch) == first.order, "it is the same work"
    (effect,) = decide(initial(order), Begin(1, at=at("2026-03-02T02:00"))).effects
    assert effect.order.reboot_until == {}, "who is not to be rebooted"


def test_a_freeze_is_waited_for_and_told_by_its_reason() -> None:
    frozen = replace(NIGHT, freezes=(Freeze("2026-03-02", "2026-03-04", "stocktaking"),))
    order = located(timed(AB, schedule=frozen), a="UTC", b="UTC")
    one = Timed(order, at("2026-03-02T02:10"))
    assert one.state.wait
    assert one.wake_at == at("2026-03-05T02:00")
    events = decide(initial(order), Begin(1, at=at("2026-03-02T02:10"))).events
    assert events[-1] == ev.WaitStarted(
        "window", "2 nodes wait for the end of a freeze: stocktaking", at("2026-03-05T02:00")
    )


def test_freezes_alone_leave_every_other_moment_open() -> None:
    alone = Schedule("", 0.0, needed=1800.0, freezes=(Freeze("2026-03-02", "2026-03-02"),))
    order = located(timed(AB, schedule=alone), a="UTC", b="Asia/Tokyo")
    one = Timed(order, at("2026-03-02T14:00"))
    assert one.flying == []
    one.hear(Tick(), at("2026-03-02T15:00"))
    assert one.flying == ["b"], "it is the third in Tokyo"
    assert one.wake_at == at("2026-03-03T00:00")
    assert Timed(order, at("2026-03-01T09:00")).flying == ["a", "b"]
    assert Timed(order, at("2026-03-01T14:31")).flying == ["a"], "half an hour before the freeze in Tokyo"


def test_a_window_that_never_opens_blocks_and_is_no_success() -> None:
    never = located(timed(AB, schedule=replace(NIGHT, at="0 2 30 2 *")), a="UTC", b="UTC")
    one = Timed(never, at("2026-03-02T02:10"))
    assert one.state.status == "halted"
    assert one.state.is_barred
    blocked = [event for event in decide(initial(never), Begin(1)).events if isinstance(event, ev.NodeBlocked)]
    assert blocked[0] == ev.NodeBlocked("a", "a", "", "its window never opens again")


def test_what_no_time_will_free_is_blocked_while_others_wait_for_their_window() -> None:
    order = located(
        replace(timed((*grouped("a", "b"), *plain("c")), schedule=NIGHT), budgets=(GroupBudget("yard", 1),)),
        a="UTC", b="UTC", c="Asia/Tokyo",
    )  # fmt: skip
    one = Timed(order, at("2026-03-02T02:10"))
    assert one.flying == ["a"]
    events = one.became("failed", "a", at=at("2026-03-02T02:20"))
    assert [event.node for event in events if isinstance(event, ev.NodeBlocked)] == ["b"]
    assert isinstance(events[-1], ev.WaitStarted)
    assert one.wake_at == at("2026-03-02T17:00")


def test_a_wave_that_has_passed_does_not_wait_for_the_windows_of_its_last_nodes() -> None:
    order = located(timed(AB, CD, schedule=NIGHT), a="UTC", b="Asia/Tokyo", c="UTC", d="UTC")
    half = replace(order.waves[0], success_threshold=Decimal(0), min_finished=Decimal(50))
    one = Timed(replace(order, waves=(half, order.waves[1])), at("2026-03-02T02:10"))
    assert one.flying == ["a"]
    one.became("applied", "a", at=at("2026-03-02T02:20"))
    assert one.flying == ["c", "d"]
    one.became("applied", "c", "d", at=at("2026-03-02T02:30"))
    assert one.state.status == "running", "the last wave waits for those of earlier ones"
    assert one.wake_at == at("2026-03-02T17:00")
    one.hear(Tick(), at("2026-03-02T17:00"))
    one.became("applied", "b", at=at("2026-03-02T17:10"))
    assert one.state.status == "finished"


GROUP = (GroupBudget("yard", 1),)


def grouped(*names: str, **parts: Any) -> tuple[Any, ...]:
    return tuple(replace(node, groups=("yard",), **parts) for node in plain(*names, base="b1:old"))


def test_a_node_that_is_away_for_long_uses_up_no_budget_any_more() -> None:
    """In a window of the next night, after it went away in this one."""
    order = replace(timed(grouped("a", "b", "c"), forks=1, offline_after=1600.0, schedule=NIGHT), budgets=GROUP)
    order = located(order, a="UTC", b="UTC", c="UTC")
    one = Timed(order, at("2026-03-02T04:20"))
    assert one.flying == ["a"]
    late = at("2026-03-02T04:40")
    one.became("unreachable", "a", at=late)
    assert one.state.wait
    one.hear(Tick(), at("2026-03-03T02:00"))
    assert one.flying == ["b"]
    assert one.state.lapsed == 0b001


@pytest.mark.parametrize(("since", "is_gone"), [(0.0, True), (9000.0, False)])
def test_those_that_were_away_for_long_before_are_told_first(*, since: float, is_gone: bool) -> None:
    nodes = (*grouped("a", is_away=True, away_since=since), *grouped("b"))
    order = replace(timed(nodes, forks=1, offline_after=1600.0), budgets=GROUP)
    one = Timed(order, at=10000.0)
    one.became("unreachable", "a", at=10001.0)
    assert (one.flying == ["b"]) == is_gone
    assert (one.state.status == "running") == is_gone


def test_others_of_a_group_that_are_away_for_long_make_room() -> None:
    outside = (GroupBudget("yard", 1, (AwayNode("z", since=8000.0),)),)
    order = replace(timed(grouped("a"), offline_after=1600.0), budgets=outside)
    assert Timed(order, at=9000.0).state.status == "finished", "deferred: who is away is caught up"
    one = Timed(order, at=9700.0)
    assert one.flying == ["a"]
    assert decide(initial(order), Begin(1, at=9700.0)).events[0] == ev.NodesLongOffline(("z",))


def test_a_quorum_counts_a_server_however_long_it_is_away() -> None:
    quorum = (GroupBudget("servers of lyon", 1, (AwayNode("z", since=0.0),), is_quorum=True),)
    servers = tuple(replace(node, groups=("servers of lyon",)) for node in cluster("lyon", 2, base="b1:old"))
    one = Timed(replace(timed(servers, offline_after=1600.0), budgets=quorum), at=10000.0)
    assert one.flying == []
    assert one.state.blocked == 0b11


def test_a_quorum_counts_a_server_of_its_own_rollout_that_is_away_for_long() -> None:
    first, second = (replace(node, groups=("servers of lyon",)) for node in cluster("lyon", 2, base="b1:old"))
    order = timed((first, replace(second, is_away=True, away_since=0.0)), offline_after=1600.0)
    quorum = GroupBudget("servers of lyon", 1, is_quorum=True)
    assert Timed(replace(order, budgets=(quorum,)), at=10000.0).flying == ["lyon-s1"], "nobody else may begin before"
    assert Timed(replace(order, budgets=(replace(quorum, is_quorum=False),)), at=10000.0).flying == ["lyon-s0"]


def test_a_quorum_counts_a_server_of_a_later_wave_that_is_away_for_long() -> None:
    first, second = (replace(node, groups=("servers of lyon",)) for node in cluster("lyon", 2, base="b1:old"))
    order = timed((first,), (replace(second, is_away=True, away_since=0.0),), offline_after=1600.0)
    quorum = GroupBudget("servers of lyon", 1, is_quorum=True)
    assert Timed(replace(order, budgets=(quorum,)), at=10000.0).state.blocked & 1, "two of two would be away"
    assert Timed(replace(order, budgets=(replace(quorum, is_quorum=False),)), at=10000.0).flying == ["lyon-s0"]


def test_a_node_that_failed_uses_its_budget_up_for_ever() -> None:
    order = replace(timed(grouped("a", "b"), forks=1, offline_after=1600.0), budgets=GROUP)
    one = Timed(replace(order, waves=(replace(order.waves[0], nodes=grouped("a", "b", is_away=False)),)))
    one.became("failed", "a", at=10.0)
    assert one.state.blocked == 0b10


def test_who_comes_back_after_long_and_fails_uses_its_budget_up_again() -> None:
    nodes = (*grouped("a", is_away=True, away_since=0.0), *grouped("b"))
    one = Timed(replace(timed(nodes, forks=1, offline_after=1600.0), budgets=GROUP), at=10000.0)
    assert (one.flying, one.state.lapsed) == (["a"], 0b01)
    one.became("failed", "a", at=10010.0)
    assert one.state.blocked == 0b10


def test_a_deferred_node_is_no_failure_and_a_counted_one_is() -> None:
    one = Timed(timed(AB))
    (batch,) = one.state.running
    results = (NodeResult("a", "unreachable", reason="no route"), NodeResult("b", "applied", digest="b1:b"))
    events = one.hear(BatchFinished(batch.batch_id, results), 5.0)
    assert events[0] == ev.NodeUnreachable("a", "yard", batch.batch_id, "no route", at=5.0)
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(applied=1, unreachable=1))
    two = Timed(replace(timed(AB), offline="count"))
    events = two.hear(BatchFinished(batch.batch_id, results), 5.0)
    assert events[0] == ev.NodeFailed("a", "yard", batch.batch_id, "no route")
    assert events[-1] == ev.RolloutHalted("7f3c", RolloutCounts(applied=1, failed=1))
    three = Timed(replace(timed(AB), offline="leave"))
    assert three.hear(BatchFinished(batch.batch_id, results), 5.0)[-1] == ev.RolloutHalted(
        "7f3c", RolloutCounts(applied=1, unreachable=1)
    )


def test_what_waits_behind_a_deferred_server_is_deferred_too() -> None:
    one = Timed(timed(cluster("lyon", 1, 2, "b1:old")))
    events = one.became("unreachable", "lyon-s0", at=5.0)
    assert events[-1] == ev.RolloutFinished("7f3c", RolloutCounts(unreachable=1, blocked=2))


def test_a_newer_rollout_takes_what_has_not_begun() -> None:
    one = Timed(timed(AB, CD))
    assert one.hear(Supersede("8a4d"), 3.0) == (ev.SupersedeRequested("8a4d", in_flight=2),)
    assert one.hear(Supersede("8a4d"), 4.0) == (), "it is on its way"
    assert one.hear(Supersede("9b5e"), 4.0) == (ev.SupersedeRequested("9b5e", in_flight=2),), "the last one wins"
    assert one.hear(Cancel("no"), 4.0) == ()
    events = one.became("applied", "a", "b", at=5.0)
    assert events[-1] == ev.RolloutSuperseded("7f3c", "9b5e", RolloutCounts(applied=2, waiting=2))
    assert one.state.has_ended
    assert one.hear(Resume(), 6.0) == ()


def test_a_paused_rollout_is_superseded_at_once() -> None:
    one = Timed(timed(AB, CD))
    one.hear(Pause("lunch"), 3.0)
    one.became("applied", "a", "b", at=5.0)
    assert kinds(one.hear(Supersede("8a4d"), 6.0)) == ["SupersedeRequested", "RolloutSuperseded"]


def test_who_breaks_the_glass_is_told() -> None:
    order = replace(timed(AB), break_glass="the tills are down")
    events = decide(initial(order), Begin(1)).events
    assert ev.GlassBroken("7f3c", "the tills are down", "ops@desk") in events


def test_a_batch_carries_the_deadline_of_its_nodes() -> None:
    decision = decide(initial(timed(AB, deadline=1800.0)), Begin(1))
    assert [effect.order.deadline for effect in decision.effects] == [1800.0]


@pytest.mark.parametrize(
    ("approvers", "by", "may"),
    [
        ((), "anybody@desk", True),
        (("ops",), "ops@desk", True),
        (("ops@desk",), "ops@desk", True),
        (("ops@desk",), "ops@spare", False),
        (("ops",), "opsy@desk", False),
        (("ops",), "intern@desk", False),
    ],
)
def test_who_may_approve(approvers: tuple[str, ...], by: str, may: bool) -> None:  # noqa: FBT001 - a column of the table
    order = timed(AB, CD)
    waves = (order.waves[0], replace(order.waves[1], needs_approval=True))
    it = Timed(replace(order, waves=waves, approvers=approvers))
    it.became("applied", "a", "b", at=1.0)
    told = kinds(it.hear(Approve(by), 2.0))
    assert told == (["WaveApproved", "WaveStarted", "BatchStarted"] if may else [])
