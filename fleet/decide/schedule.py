"""What happens next when nothing more is heard: which batches start, and whether a wave or the rollout has ended."""

from __future__ import annotations

from fleet.decide.evolution import evolve
from fleet.decide.layout import MAX_JOINING
from fleet.model import event as ev
from fleet.model.batch import BatchOrder
from fleet.model.effect import Effect, RunBatch
from fleet.model.event import Event
from fleet.model.rollout import RolloutState, RunningBatch


class Course:
    """A state on its way through one decision: what happens is added, and is true from then on."""

    def __init__(self, state: RolloutState) -> None:
        self.state = state
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)


def go_on(course: Course) -> None:
    """Starts what may start, and says what is over. What a pause waited for may have been the last of all."""
    while _may_go_on(course.state):
        if course.state.wave >= 0:
            _start_batches(course)
            if not _wave_is_over(course.state):
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


def _wave_is_over(state: RolloutState) -> bool:
    return not state.layout.waves[state.wave] & ~state.finals


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
    while names := _pick(course.state, size):
        state = course.state
        batch = RunningBatch(f"{state.order.id}-{state.batches + 1:04d}", names)
        course.add(ev.BatchStarted(batch.batch_id, names))
        course.effects.append(RunBatch(batch_order(course.state, batch)))


def _pick(state: RolloutState, size: int) -> tuple[str, ...]:
    """The first nodes of the order that may start now: clusters that were begun come before those that were not."""
    room = min(size, state.order.forks - state.in_flight.bit_count())
    ready = state.ready & state.layout.waves[state.wave]
    joining = _joining(state)
    names: list[str] = []
    while ready and len(names) < room:
        lowest = ready & -ready
        node = state.layout.nodes[lowest.bit_length() - 1]
        if node.joins and node.cluster in joining:
            if joining[node.cluster] >= MAX_JOINING:
                ready &= ~state.layout.crowded[node.cluster]
                continue
            joining[node.cluster] += 1
        ready ^= lowest
        names.append(node.name)
    return tuple(names)


def _joining(state: RolloutState) -> dict[str, int]:
    """How many agents join now, of each cluster that has too many to join at once."""
    return {cluster: (state.in_flight & those).bit_count() for cluster, those in state.layout.crowded.items()}
