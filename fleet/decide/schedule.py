"""What happens next when nothing more is heard: which batches start, and whether a wave or the rollout has ended."""

from __future__ import annotations

from fleet.decide.budget import Room
from fleet.decide.evolution import evolve_all
from fleet.decide.layout import members, waiting_behind
from fleet.decide.picking import pick
from fleet.decide.wave import WaveVerdict, judged
from fleet.errors import FleetError
from fleet.formats.words import count
from fleet.model import event as ev
from fleet.model.batch import BatchOrder
from fleet.model.effect import Effect, RunBatch
from fleet.model.event import Event
from fleet.model.rollout import RolloutState, RunningBatch


class Course:
    """A state on its way through one decision: what happens is added, and is true from then on."""

    def __init__(self, state: RolloutState) -> None:
        self.layout = state.layout
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self._state = state
        self._behind = 0

    @property
    def state(self) -> RolloutState:
        """Brought up to date when it is asked for: many events in a row are one step."""
        if self._behind < len(self.events):
            self._state = evolve_all(self._state, self.events[self._behind :])
            self._behind = len(self.events)
        return self._state

    def add(self, event: Event) -> None:
        self.events.append(event)


def go_on(course: Course) -> None:
    """Starts what may start, and says what is over. What a pause waited for may have been the last of all."""
    while _may_go_on(course.state):
        if course.state.wave >= 0:
            verdict = judged(course.state)
            if verdict.outcome == "failed" and not course.state.has_failed:
                _fail_wave(course, verdict.reason)
                continue
            if _has_failed_too_often(course.state):
                _hold(course, _too_often(course.state))
                continue
            _start_batches(course)
            if not course.state.running and _left(course.state):
                _block_what_is_stuck(course)
                continue
            if not _wave_is_over(course.state, verdict):
                return
            _finish_wave(course)
        if course.state.wave + 1 == len(course.state.order.waves):
            _end(course)
        else:
            _start_wave(course)
    if course.state.status in ("pausing", "cancelling") and not course.state.running:
        _come_to_rest(course)


def batch_order(state: RolloutState, batch: RunningBatch) -> BatchOrder:
    nodes, index, order = state.layout.nodes, state.layout.index, state.order
    return BatchOrder(
        batch_id=batch.batch_id,
        rollout_id=state.order.id,
        epoch=state.epoch,
        nodes=batch.nodes,
        expect={name: nodes[index[name]].expected for name in batch.nodes},
        take_over=order.take_over,
        upkeep=order.upkeep,
        updates_now=order.updates_now,
        reboot_until={name: order.reboot_until[name] for name in batch.nodes if name in order.reboot_until},
        wanted={name: nodes[index[name]].wanted for name in batch.nodes},
    )


def _start_wave(course: Course) -> None:
    index = course.state.wave + 1
    wave = course.state.order.waves[index]
    course.add(ev.WaveStarted(wave.name, index, len(wave.nodes)))


def _wave_is_over(state: RolloutState, verdict: WaveVerdict) -> bool:
    """A wave that has passed waits for none of its nodes; the last one does, and for those of earlier waves too."""
    is_last = state.wave + 1 == len(state.order.waves)
    if verdict.outcome == "passed" and not is_last:
        return True
    return not (_left(state) if is_last else state.layout.waves[state.wave] & ~state.finals)


def _fail_wave(course: Course, reason: str) -> None:
    state = course.state
    wave = state.order.waves[state.wave]
    course.add(ev.WaveFailed(wave.name, state.wave, reason, state.counts(state.layout.waves[state.wave])))
    if state.status == "running" and state.order.on_failure == "pause" and state.counts().waiting:
        _hold(course, f"wave {wave.name} failed")


def _hold(course: Course, reason: str) -> None:
    course.add(ev.PauseRequested(reason, course.state.in_flight.bit_count(), by_policy=True))


def _has_failed_too_often(state: RolloutState) -> bool:
    if not state.order.stop_at or state.status != "running" or not state.counts().waiting:
        return False
    return _failures(state) >= state.order.stop_at


def _too_often(state: RolloutState) -> str:
    return f"{count(_failures(state), 'node')} failed, and maxFailures pauses at {state.order.stop_at:,}"


def _failures(state: RolloutState) -> int:
    return (state.failed & ~state.forgiven).bit_count()


def _left(state: RolloutState) -> int:
    """Nodes without an outcome of the waves that were begun."""
    return state.layout.begun[state.wave] & ~state.finals


def _block_what_is_stuck(course: Course) -> None:
    """Nothing is in flight, and no node may start: what keeps them will not change in this rollout.

    Raises `FleetError` where nothing keeps them: a state that contradicts itself is not gone round in for ever.
    """
    before = len(course.events)
    room = Room(course.state)
    why: dict[int, tuple[str, str]] = {}
    for index in members(course.state.ready & course.layout.begun[course.state.wave]):
        full = room.full(index)
        if full is not None:
            if full not in why:
                why[full] = (next(iter(room.users(full)), ""), room.told(full))
            by, reason = why[full]
            block(course, index, by, reason)
            block_behind(course, index, by, reason)
    if len(course.events) == before:
        raise FleetError(f"rollout {course.state.order.id} is stuck: its state says neither what runs nor what waits")


def block(course: Course, index: int, by: str, reason: str) -> None:
    node = course.layout.nodes[index]
    course.add(ev.NodeBlocked(node.name, node.site, by, reason))


def block_behind(course: Course, index: int, by: str, reason: str) -> None:
    """Everything that can only come after node `index`."""
    for i in waiting_behind(course.layout, index):
        block(course, i, by, reason)


def _finish_wave(course: Course) -> None:
    state = course.state
    counts = state.counts(state.layout.waves[state.wave])
    course.add(ev.WaveFinished(state.order.waves[state.wave].name, state.wave, counts))


def _may_go_on(state: RolloutState) -> bool:
    return state.status == "running" or not (state.has_ended or state.counts().waiting)


def _come_to_rest(course: Course) -> None:
    state = course.state
    counts = state.counts()
    if state.status == "pausing":
        course.add(ev.RolloutPaused(state.order.id, state.reason, counts))
    else:
        course.add(ev.RolloutCancelled(state.order.id, state.reason, counts))


def _end(course: Course) -> None:
    state = course.state
    counts = state.counts()
    if counts.applied == len(state.layout.nodes):
        course.add(ev.RolloutFinished(state.order.id, counts))
    else:
        course.add(ev.RolloutHalted(state.order.id, counts))


def _start_batches(course: Course) -> None:
    size = course.state.order.batch_size
    while names := pick(course.state, size):
        state = course.state
        batch = RunningBatch(f"{state.order.id}-{state.batches + 1:04d}", names)
        course.add(ev.BatchStarted(batch.batch_id, names))
        course.effects.append(RunBatch(batch_order(course.state, batch)))
