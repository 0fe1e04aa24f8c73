"""What happens next when nothing more is heard: which batches start, and whether a wave or the rollout has ended."""

from __future__ import annotations

from fleet.decide.budget import Room
from fleet.decide.course import Course, block, block_behind, fail_wave, hold, must_stop
from fleet.decide.evolution import rate_of
from fleet.decide.gating import gates_hold
from fleet.decide.layout import members
from fleet.decide.picking import pick
from fleet.decide.undoing import back
from fleet.decide.waiting import reason_of, reboot_until, wait_of
from fleet.decide.wave import WaveVerdict, judged
from fleet.decide.way_back import next_back, owed
from fleet.errors import FleetError
from fleet.formats.words import count
from fleet.model import event as ev
from fleet.model.batch import BatchOrder
from fleet.model.effect import RunBatch
from fleet.model.rollout import RolloutState, RunningBatch


def go_on(course: Course) -> None:
    """Starts what may start, and says what is over. What a pause waited for may have been the last of all."""
    while _may_go_on(course.state) and _goes_on(course):
        pass
    if course.state.status in ("pausing", "cancelling", "superseding", "withdrawing") and not course.state.running:
        _come_to_rest(course)


def _goes_on(course: Course) -> bool:
    """One step; False where nothing more happens now."""
    if course.state.wave >= 0:
        verdict = judged(course.state)
        if verdict.outcome == "failed" and not (course.state.has_failed or course.state.is_over):
            fail_wave(course, verdict.reason)
            return True
        if _has_failed_too_often(course.state):
            hold(course, _too_often(course.state))
            return True
        _roll_back_nodes(course)
        _start_batches(course)
        if not course.state.running and _left(course.state) and _has_given_up(course):
            return True
        if not course.state.is_over:
            if not (_wave_is_over(course.state, verdict) and _has_soaked(course) and gates_hold(course, "after")):
                return False
            _finish_wave(course)
    if course.state.wave + 1 == len(course.state.order.waves):
        return _end(course)
    return _start_wave(course)


def batch_order(state: RolloutState, batch: RunningBatch) -> BatchOrder:
    order = state.order
    nodes = [state.layout.nodes[state.layout.index[name]] for name in batch.nodes]
    nodes = [back(node) for node in nodes] if batch.is_back else nodes
    wanted = {node.name: node.wanted for node in nodes}
    return BatchOrder(
        batch_id=batch.batch_id,
        rollout_id=state.order.id,
        epoch=state.epoch,
        nodes=batch.nodes,
        expect={node.name: node.expected for node in nodes},
        take_over=order.take_over,
        upkeep=order.upkeep and not batch.is_back,
        updates_now=order.updates_now and not batch.is_back,
        reboot_until=reboot_until(order, nodes, batch.at),
        wanted=wanted,
        deadline=order.timing.deadline,
        undo=wanted if order.undoes or batch.is_back else {},
    )


def _start_wave(course: Course) -> bool:
    """Begins the next wave; False where somebody must approve of it first. A wave without nodes asks nobody."""
    state = course.state
    index = state.wave + 1
    wave = state.order.waves[index]
    if wave.needs_approval and wave.nodes and state.approved < index:
        if state.asked < index:
            course.add(ev.ApprovalAwaited(state.order.id, wave.name, index))
        return False
    if not gates_hold(course, "before"):
        return False
    course.add(ev.WaveStarted(wave.name, index, len(wave.nodes)))
    return True


def _has_soaked(course: Course) -> bool:
    """A wave in which nothing was applied has nothing to show, and one that failed at the end of all needs no more."""
    state, seconds = course.state, course.state.order.timing.soak
    if not (seconds and state.applied & state.layout.waves[state.wave]):
        return True
    if state.has_failed and not state.counts().waiting:
        return True
    if not state.soaks_until:
        course.add(ev.WaveSoaking(state.order.waves[state.wave].name, state.wave, course.now + seconds))
    return course.now >= course.state.soaks_until


def _waits(course: Course) -> bool:
    """Whether time alone will let nodes begin; says so once."""
    state = course.state
    wait = wait_of(state, course.closed, course.now)
    if wait and wait != state.wait:
        course.add(ev.WaitStarted(wait.kind, reason_of(state, wait, course.now), wait.until))
    return wait is not None


def _wave_is_over(state: RolloutState, verdict: WaveVerdict) -> bool:
    """A wave that has passed waits for none of its nodes; the last one does, and for those of earlier waves too."""
    is_last = state.wave + 1 == len(state.order.waves)
    if verdict.outcome == "passed" and not is_last:
        return True
    return not (_left(state) if is_last else state.layout.waves[state.wave] & ~state.finals)


def _has_failed_too_often(state: RolloutState) -> bool:
    """It stops rollouts also where a wave that fails does not."""
    if not state.order.stop_at or not (must_stop(state) or (state.status == "running" and state.counts().waiting)):
        return False
    return _failures(state) >= state.order.stop_at


def _too_often(state: RolloutState) -> str:
    return f"{count(_failures(state), 'node')} failed, and maxFailures pauses at {state.order.stop_at:,}"


def _failures(state: RolloutState) -> int:
    return (state.failed & ~state.forgiven).bit_count()


def _left(state: RolloutState) -> int:
    """Nodes without an outcome of the waves that were begun."""
    return state.layout.begun[state.wave] & ~state.finals


def _has_given_up(course: Course) -> bool:
    """Nothing is in flight: nodes that nothing will let begin in this rollout are blocked, the others may wait.

    Raises `FleetError` where nothing keeps them: a state that contradicts itself is not gone round in for ever.
    """
    if _block_what_is_stuck(course, in_time=True):
        return True
    if _waits(course):
        return False
    if not _block_what_is_stuck(course, in_time=False):
        raise FleetError(f"rollout {course.state.order.id} is stuck: its state says neither what runs nor what waits")
    return True


def _block_what_is_stuck(course: Course, *, in_time: bool) -> bool:
    """Nothing is in flight: a budget that is used up stays so, but for those whose time of being away ends (`in_time`). So
    does a window that never opens again, for which nobody waits when this is asked without.
    """
    before = len(course.events)
    room = Room(course.state, in_time=in_time)
    why: dict[int, tuple[str, str]] = {}
    for index in members(course.state.ready & course.layout.begun[course.state.wave]):
        full = room.full(index)
        if full is not None:
            if full not in why:
                why[full] = (next(iter(room.users(full)), ""), room.told(full))
            by, reason = why[full]
        elif in_time or not course.closed >> index & 1:
            continue
        else:
            by, reason = "", "its window never opens again"
        block(course, index, by, reason)
        block_behind(course, index, by, reason)
    return len(course.events) > before


def _finish_wave(course: Course) -> None:
    state = course.state
    counts = state.counts(state.layout.waves[state.wave])
    course.add(ev.WaveFinished(state.order.waves[state.wave].name, state.wave, counts))


def _may_go_on(state: RolloutState) -> bool:
    if state.status in ("running", "withdrawing"):
        return state.status == "running"
    return not (state.has_ended or state.counts().waiting)


def _come_to_rest(course: Course) -> None:
    state = course.state
    counts = state.counts()
    if state.status == "pausing":
        course.add(ev.RolloutPaused(state.order.id, state.reason, counts))
    elif state.status == "superseding":
        course.add(ev.RolloutSuperseded(state.order.id, state.reason, counts))
    elif state.status == "withdrawing":
        course.add(ev.RolloutWithdrawn(state.order.id, state.reason, counts))
    else:
        course.add(ev.RolloutCancelled(state.order.id, state.reason, counts))


def _end(course: Course) -> bool:
    """False where nodes are still to go back."""
    state = course.state
    if owed(state):
        return False
    counts = state.counts()
    if state.doubted < 0 and (counts.applied == len(state.layout.nodes) or _is_deferred(state)):
        course.add(ev.RolloutFinished(state.order.id, counts))
    else:
        course.add(ev.RolloutHalted(state.order.id, counts))
    return True


def _is_deferred(state: RolloutState) -> bool:
    """Whether what was left undone is away, or waits behind what is: the next rollout catches it up."""
    return state.order.offline == "defer" and not (state.failed or state.is_barred)


def _roll_back_nodes(course: Course) -> None:
    while course.state.status == "running" and (names := next_back(course.state)):
        batch = RunningBatch(_batch_id(course.state), names, course.stamp, is_back=True)
        course.add(ev.NodesRollingBack(batch.batch_id, names, batch.at))
        course.effects.append(RunBatch(batch_order(course.state, batch)))


def _batch_id(state: RolloutState) -> str:
    return f"{state.order.id}-{state.batches + 1:04d}"


def _start_batches(course: Course) -> None:
    while size := _size(course):
        state = course.state
        names = pick(state, size, course.closed)
        if not names:
            return
        batch = RunningBatch(_batch_id(state), names, course.stamp)
        course.add(ev.BatchStarted(batch.batch_id, names, batch.at))
        course.effects.append(RunBatch(batch_order(course.state, batch)))


def _size(course: Course) -> int:
    """How many nodes may begin at once: a rate lets no more than it does in a minute."""
    state = course.state
    rate = rate_of(state)
    if not rate:
        return state.order.batch_size
    return 0 if course.now < state.paced_until else min(state.order.batch_size, max(1, int(rate)))
