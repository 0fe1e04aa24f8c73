"""`evolve`: what is true after an event. It never judges: what came into the journal has happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from fleet.decide import checked
from fleet.decide.layout import bits, lapses_at
from fleet.errors import UsageError
from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.rollout import KNOWN_VERSIONS, STATE_VERSION, RolloutState, RunningBatch
from fleet.model.window import Wait


def evolve(state: RolloutState, event: Event) -> RolloutState:
    """Raises `UsageError` for a state of a version that this fleet does not know."""
    check_version(state.version)
    return _STEPS[type(event)](state, event)


def evolve_all(state: RolloutState, events: Iterable[Event]) -> RolloutState:
    """As `evolve` with each. Nodes that were applied one after the other are taken at once: each copies the bit sets."""
    applied: list[ev.NodeApplied] = []
    for event in events:
        if isinstance(event, ev.NodeApplied):
            applied.append(event)
            continue
        if applied:
            state, applied = _all_applied(state, applied), []
        state = evolve(state, event)
    return _all_applied(state, applied) if applied else state


def check_version(version: int) -> None:
    if version not in KNOWN_VERSIONS:
        raise UsageError(
            f"the rollout's state has version {version}, this fleet knows version {STATE_VERSION} and older ones",
            hint="Go on with the version of fleet that started the rollout.",
        )


def _started(state: RolloutState, event: ev.RolloutStarted) -> RolloutState:
    return replace(state, status="running", epoch=event.epoch, controller=event.controller)


def _taken_over(state: RolloutState, event: ev.RolloutTakenOver) -> RolloutState:
    return replace(state, epoch=event.epoch, controller=event.controller)


def _wave_started(state: RolloutState, event: ev.WaveStarted) -> RolloutState:
    return replace(state, wave=event.index, has_failed=False, soaks_until=0.0, is_over=False)


def _wave_over(state: RolloutState, event: ev.WaveFinished) -> RolloutState:  # noqa: ARG001 - as the others
    return replace(state, is_over=True)


def _wave_failed(state: RolloutState, event: ev.WaveFailed) -> RolloutState:  # noqa: ARG001 - same shape as the others
    return replace(state, has_failed=True)


def _batch_started(state: RolloutState, event: ev.BatchStarted) -> RolloutState:
    those = bits(state.layout.index[name] for name in event.nodes)
    return replace(
        state,
        batches=state.batches + 1,
        running=(*state.running, RunningBatch(event.batch_id, event.nodes, event.at)),
        ready=state.ready & ~those,
        in_flight=state.in_flight | those,
        wait=None,
        paced_until=_paced_until(state, event),
    )


def _paced_until(state: RolloutState, event: ev.BatchStarted) -> float:
    rate = rate_of(state)
    return max(state.paced_until, event.at) + 60 * len(event.nodes) / rate if rate else state.paced_until


def rate_of(state: RolloutState) -> float:
    """How many nodes may begin in a minute of the wave that runs; 0 for any number."""
    timing = state.order.timing
    return timing.rate * timing.rate_factor ** max(0, state.wave)


def _batch_ended(state: RolloutState, event: ev.BatchEnded) -> RolloutState:
    return replace(state, running=tuple(b for b in state.running if b.batch_id != event.batch_id))


def _batch_requeued(state: RolloutState, event: ev.BatchRequeued) -> RolloutState:
    those = bits(state.layout.index[name] for name in event.nodes)
    running = tuple(b for b in state.running if b.batch_id != event.batch_id)
    if any(batch.is_back for batch in state.running if batch.batch_id == event.batch_id):
        return replace(state, running=running)
    return replace(
        state,
        running=running,
        ready=state.ready | those,
        in_flight=state.in_flight & ~those,
    )


def _applied(state: RolloutState, event: ev.NodeApplied) -> RolloutState:
    return _all_applied(state, [event])


def _all_applied(state: RolloutState, events: Sequence[ev.NodeApplied]) -> RolloutState:
    check_version(state.version)
    indexes = [state.layout.index[event.node] for event in events]
    followers = [i for index in indexes for i in state.layout.followers.get(index, ())]
    those = bits(indexes)
    return replace(
        state,
        in_flight=state.in_flight & ~those,
        applied=state.applied | those,
        # What was blocked meanwhile, because a server before it turned ill, stays so.
        ready=state.ready | bits(followers) & ~state.blocked if followers else state.ready,
    )


def _failed(state: RolloutState, event: ev.NodeFailed) -> RolloutState:
    bit = 1 << state.layout.index[event.node]
    return replace(state, in_flight=state.in_flight & ~bit, failed=state.failed | bit)


def _unreachable(state: RolloutState, event: ev.NodeUnreachable) -> RolloutState:
    bit = 1 << state.layout.index[event.node]
    lost = _with_lost(state, event.at, bit)
    return replace(state, in_flight=state.in_flight & ~bit, unreachable=state.unreachable | bit, lost=lost)


def _with_lost(state: RolloutState, since: float, bit: int) -> tuple[tuple[float, int], ...]:
    offline_after = state.order.timing.offline_after
    if not offline_after:
        return state.lost
    found = dict(state.lost)
    moment = lapses_at(since, offline_after)
    found[moment] = found.get(moment, 0) | bit
    return tuple(sorted(found.items()))


def _long_offline(state: RolloutState, event: ev.NodesLongOffline) -> RolloutState:
    those = bits(state.layout.index[name] for name in event.nodes)
    left = ((moment, some & ~those) for moment, some in state.lost)
    return replace(state, lapsed=state.lapsed | those, lost=tuple((moment, some) for moment, some in left if some))


def _unhealthy(state: RolloutState, event: ev.NodeUnhealthy) -> RolloutState:
    bit = 1 << state.layout.index[event.node]
    return replace(state, applied=state.applied & ~bit, failed=state.failed | bit, unhealthy=state.unhealthy | bit)


def _blocked(state: RolloutState, event: ev.NodeBlocked) -> RolloutState:
    bit = 1 << state.layout.index[event.node]
    by = state.layout.index.get(event.by)
    # Who goes on bears a failure, and what that keeps from starting.
    borne = bit if by is not None and state.forgiven >> by & 1 else 0
    return replace(
        state,
        ready=state.ready & ~bit,
        blocked=state.blocked | bit,
        forgiven=state.forgiven | borne,
        is_barred=state.is_barred or not event.by,
    )


def _pause_requested(state: RolloutState, event: ev.PauseRequested) -> RolloutState:
    return replace(state, status="pausing", reason=event.reason, is_held=event.by_policy, checking=None, asking=0)


def _cancel_requested(state: RolloutState, event: ev.CancelRequested) -> RolloutState:
    return replace(state, status="cancelling", reason=event.reason, checking=None, asking=0)


def _supersede_requested(state: RolloutState, event: ev.SupersedeRequested) -> RolloutState:
    return replace(state, status="superseding", reason=event.by, checking=None, asking=0)


def _rollback_requested(state: RolloutState, event: ev.RollbackRequested) -> RolloutState:
    return replace(state, status="withdrawing", reason=event.reason, checking=None, asking=0)


def _soaking(state: RolloutState, event: ev.WaveSoaking) -> RolloutState:
    return replace(state, soaks_until=event.until)


def _asked(state: RolloutState, event: ev.ApprovalAwaited) -> RolloutState:
    return replace(state, asked=event.index)


def _approved(state: RolloutState, event: ev.WaveApproved) -> RolloutState:
    return replace(state, approved=event.index)


def _waits(state: RolloutState, event: ev.WaitStarted) -> RolloutState:
    return replace(state, wait=Wait(event.kind, event.until))


def _resumed(state: RolloutState, event: ev.RolloutResumed) -> RolloutState:  # noqa: ARG001 - same shape as the others
    if not state.is_held:
        return replace(state, status="running", reason="")
    forgiven = state.forgiven | state.failed | state.unreachable | state.blocked
    return replace(state, status="running", reason="", is_held=False, has_failed=False, forgiven=forgiven)


def _status(state: RolloutState, event: Event) -> RolloutState:
    return replace(state, status=ev.STATUS_AFTER[type(event)])


def _same(state: RolloutState, event: Event) -> RolloutState:  # noqa: ARG001 - same shape as the others
    return state


_STEPS: dict[type[Event], Callable[[RolloutState, Any], RolloutState]] = {
    ev.RolloutStarted: _started,
    ev.PolicyFollowed: _same,
    ev.RolloutTakenOver: _taken_over,
    ev.WaveStarted: _wave_started,
    ev.WaveFinished: _wave_over,
    ev.WaveFailed: _wave_failed,
    ev.BatchStarted: _batch_started,
    ev.BatchEnded: _batch_ended,
    ev.BatchRequeued: _batch_requeued,
    ev.NodeApplied: _applied,
    ev.NodeFailed: _failed,
    ev.NodeUnhealthy: _unhealthy,
    ev.NodeUnreachable: _unreachable,
    ev.NodeBlocked: _blocked,
    ev.NodesRollingBack: checked.rolling_back,
    ev.NodeRolledBack: checked.rolled_back,
    ev.NodeNotRolledBack: checked.not_rolled_back,
    ev.PauseRequested: _pause_requested,
    ev.CancelRequested: _cancel_requested,
    ev.RolloutResumed: _resumed,
    ev.RolloutPaused: _status,
    ev.RolloutFinished: _status,
    ev.RolloutHalted: _status,
    ev.RolloutCancelled: _status,
    ev.GlassBroken: _same,
    ev.RollbackBegun: _same,
    ev.WaveSoaking: _soaking,
    ev.GatesAsked: checked.gates_asked,
    ev.GatesPassed: checked.gates_passed,
    ev.GatesFailed: checked.gates_failed,
    ev.ApprovalAwaited: _asked,
    ev.WaveApproved: _approved,
    ev.WaitStarted: _waits,
    ev.NodesLongOffline: _long_offline,
    ev.SupersedeRequested: _supersede_requested,
    ev.RolloutSuperseded: _status,
    ev.RollbackRequested: _rollback_requested,
    ev.RolloutWithdrawn: _status,
}
