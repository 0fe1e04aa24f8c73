"""`decide`: what a signal leads to."""

from __future__ import annotations

from typing import assert_never

from fleet.decide.checked import under_way
from fleet.decide.course import Course, block_behind
from fleet.decide.evolution import check_version
from fleet.decide.gating import ask_again, hear_answers
from fleet.decide.schedule import batch_order, go_on
from fleet.decide.waiting import long_offline, wake_at
from fleet.decide.way_back import settle_back
from fleet.model import event as ev
from fleet.model import signal as sig
from fleet.model.batch import NodeResult
from fleet.model.effect import Decision, RunBatch
from fleet.model.rollout import RolloutNode, RolloutState, RunningBatch
from fleet.model.signal import Request, Signal


def decide(state: RolloutState, signal: Signal) -> Decision:
    """A signal that means nothing in this state (a batch that has ended, a pause of what is paused) leads to nothing.

    Raises `UsageError` for a state of a version that this fleet does not know.
    """
    check_version(state.version)
    course = Course(state, signal.at)
    if state.has_ended:
        return Decision()
    if gone := long_offline(state, course.now):
        course.add(ev.NodesLongOffline(gone))
    _hear(course, signal)
    return Decision(tuple(course.events), tuple(course.effects), wake_at(course.state, course.now), course.gates)


def _hear(course: Course, signal: Signal) -> None:
    match signal:
        case sig.Begin():
            _begin(course, signal)
        case sig.TakeOver():
            _take_over(course, signal)
        case sig.BatchFinished():
            _finish_batch(course, signal)
        case sig.BatchLost():
            _lose_batch(course, signal)
        case sig.GatesAnswered():
            if hear_answers(course, signal):
                go_on(course)
        case sig.Tick():
            go_on(course)
        case _:
            _hear_request(course, signal)


def _hear_request(course: Course, request: Request) -> None:
    match request:
        case sig.Pause():
            _pause(course, request)
        case sig.Resume():
            _resume(course)
        case sig.Cancel():
            _cancel(course, request)
        case sig.Approve():
            _approve(course, request)
        case sig.Supersede():
            _supersede(course, request)
        case _:
            assert_never(request)


def _begin(course: Course, signal: sig.Begin) -> None:
    order = course.state.order
    if course.state.status != "new":
        return
    total, waves = len(course.layout.nodes), len(order.waves)
    course.add(
        ev.RolloutStarted(order.id, order.fleet, order.commit, order.controller, signal.epoch, total, waves),
    )
    if order.policy:
        course.add(ev.PolicyFollowed(order.id, order.policy, len(order.budgets), order.stop_at))
    if order.undoes:
        course.add(ev.RollbackBegun(order.id, order.undoes, order.stays))
    if order.break_glass:
        course.add(ev.GlassBroken(order.id, order.break_glass, order.controller))
    go_on(course)


def _take_over(course: Course, signal: sig.TakeOver) -> None:
    """Starts nothing new: every earlier decision has started what it could, and a pause may be waiting."""
    state = course.state
    if state.status == "new":
        return
    batches = tuple(batch.batch_id for batch in state.running)
    course.add(ev.RolloutTakenOver(state.order.id, signal.controller, signal.epoch, batches))
    course.effects.extend(RunBatch(batch_order(course.state, batch)) for batch in state.running)
    ask_again(course)


def _pause(course: Course, signal: sig.Pause) -> None:
    if course.state.status == "running":
        course.add(ev.PauseRequested(signal.reason, under_way(course.state)))
        go_on(course)


def _resume(course: Course) -> None:
    if course.state.status in ("pausing", "paused"):
        course.add(ev.RolloutResumed(course.state.order.id, course.state.counts()))
        go_on(course)


def _cancel(course: Course, signal: sig.Cancel) -> None:
    if course.state.status in ("running", "pausing", "paused"):
        course.add(ev.CancelRequested(signal.reason, under_way(course.state)))
        go_on(course)


def _approve(course: Course, signal: sig.Approve) -> None:
    """Of what waits for it; an approval in advance would be of nobody knows what."""
    state = course.state
    if state.status not in ("running", "pausing", "paused") or state.asked <= state.approved:
        return
    wave = state.order.waves[state.asked]
    if signal.wave in ("", wave.name) and state.order.may_approve(signal.by):
        course.add(ev.WaveApproved(wave.name, state.asked, signal.by, signal.at))
        go_on(course)


def _supersede(course: Course, signal: sig.Supersede) -> None:
    """The last one that asks takes over."""
    state = course.state
    is_newer = state.status == "superseding" and state.reason != signal.by
    if is_newer or state.status in ("new", "running", "pausing", "paused"):
        course.add(ev.SupersedeRequested(signal.by, under_way(course.state)))
        go_on(course)


def _lose_batch(course: Course, signal: sig.BatchLost) -> None:
    batch = _running(course.state, signal.batch_id)
    if batch:
        course.add(ev.BatchRequeued(batch.batch_id, batch.nodes, signal.reason))
        go_on(course)


def _finish_batch(course: Course, signal: sig.BatchFinished) -> None:
    batch = _running(course.state, signal.batch_id)
    if not batch:
        return
    results = {result.node: result for result in signal.results}
    for name in batch.nodes:
        result = results.get(name) or NodeResult(name, "failed", reason="the batch ended without a word about it")
        if batch.is_back:
            settle_back(course, batch, result)
        else:
            _settle(course, batch.batch_id, result)
    course.add(ev.BatchEnded(batch.batch_id))
    go_on(course)


def _running(state: RolloutState, batch_id: str) -> RunningBatch | None:
    return next((batch for batch in state.running if batch.batch_id == batch_id), None)


def _settle(course: Course, batch_id: str, result: NodeResult) -> None:
    layout = course.layout
    index = layout.index[result.node]
    node = layout.nodes[index]
    if result.outcome == "unreachable" and course.state.order.offline != "count":
        course.add(ev.NodeUnreachable(node.name, node.site, batch_id, result.reason, course.stamp))
        block_behind(course, index, node.name, f"server {node.name} could not be reached: {result.reason}")
        return
    reason = _not_done(node, result) if result.outcome == "applied" else result.reason
    if reason is None:
        course.add(
            ev.NodeApplied(
                node.name,
                node.site,
                batch_id,
                result.digest,
                result.changed,
                result.restarted,
                result.warnings,
                result.updated,
                result.rebooted,
            )
        )
        return
    course.add(ev.NodeFailed(node.name, node.site, batch_id, reason, result.changed, result.warnings))
    block_behind(course, index, node.name, f"server {node.name} failed: {reason}")


def _not_done(node: RolloutNode, result: NodeResult) -> str | None:
    """A node is done if and only if it holds the wanted digest (engine.md), whatever the batch says of it."""
    if result.digest == node.wanted:
        return None
    return f"it holds {result.digest or 'no digest'} after the batch, wanted {node.wanted}"
