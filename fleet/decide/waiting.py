"""What a rollout waits for by itself: windows, its rate, a wave's soak. And who was away for too long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fleet.decide.layout import members
from fleet.decide.windows import freeze_at, span
from fleet.formats.words import count
from fleet.model.rollout import RolloutNode, RolloutOrder, RolloutState
from fleet.model.window import Wait


def shut(state: RolloutState, now: float) -> int:
    """The nodes whose window does not let them begin."""
    schedule, found = state.order.timing.schedule, 0
    if schedule is not None:
        for zone, those in state.layout.zones:
            if not span(schedule, zone, now).is_open:
                found |= those
    return found


def wait_of(state: RolloutState, closed: int, now: float) -> Wait | None:
    """What nodes wait for that time alone will let begin, where nothing runs. `closed` are those whose window is shut."""
    ready = state.ready & state.layout.begun[state.wave]
    waits = [Wait("window", opening) for opening in _openings(state, ready & closed, now) if not math.isinf(opening)]
    if ready & ~closed and state.paced_until > now:
        waits.append(Wait("rate", state.paced_until))
    return min(waits, key=lambda wait: wait.until, default=None)


def reason_of(state: RolloutState, wait: Wait, now: float) -> str:
    ready = state.ready & state.layout.begun[state.wave]
    number = ready.bit_count()
    told = f"{count(number, 'node')} {'waits' if number == 1 else 'wait'} for"
    schedule = state.order.timing.schedule
    if wait.kind == "rate" or schedule is None:
        return f"{told} the rate of the rollout"
    for zone, those in state.layout.zones:
        if ready & those and (freeze := freeze_at(schedule, zone, now)):
            return f"{told} the end of a freeze" + (f": {freeze.reason}" if freeze.reason else "")
    return f"{told} {'its' if number == 1 else 'their'} window"


def reboot_until(order: RolloutOrder, nodes: Sequence[RolloutNode], began: float) -> dict[str, float]:
    """Until when a reboot that is due may begin on nodes that began then: while the window that let them begin is open;
    never without an updateSchedule.
    """
    schedule = order.timing.schedule
    if schedule is None or not schedule.at:
        return {}
    ends = ((node.name, span(schedule, order.timing.zones[node.site], began).end) for node in nodes if node.may_reboot)
    return dict(ends)


def wake_at(state: RolloutState, now: float) -> float | None:
    """When more happens by itself; None where it does not."""
    if state.status != "running" or state.wave < 0:
        return None
    closed = shut(state, now)
    ready = state.ready & state.layout.begun[state.wave]
    times = [*_openings(state, ready & closed, now)]
    if state.soaks_until > now:
        times.append(state.soaks_until)
    if ready & ~closed and state.paced_until > now:
        times.append(state.paced_until)
    if ready:
        times += [moment for moment, _ in state.lost if moment > now]
    return min((moment for moment in times if not math.isinf(moment)), default=None)


def long_offline(state: RolloutState, now: float) -> tuple[str, ...]:
    """Nodes that have been away for too long by now, and that nobody told of yet."""
    if not state.lost or min(moment for moment, _ in state.lost) > now:
        return ()
    names, outside = state.layout.nodes, state.layout.outside
    due = 0
    for moment, those in state.lost:
        due |= those if moment <= now else 0
    due &= ~(state.applied | state.lapsed)
    return tuple(names[i].name if i < len(names) else outside[i - len(names)] for i in members(due))


def _openings(state: RolloutState, waiting: int, now: float) -> Iterator[float]:
    schedule = state.order.timing.schedule
    if waiting and schedule is not None:
        for zone, those in state.layout.zones:
            if waiting & those:
                yield span(schedule, zone, now).end
