"""One rollout under way: signals in, steps into the journal, batches out."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from fleet.decide import decide, evolve_all, snapshot
from fleet.engine.crew import Answered, Crew, Done
from fleet.engine.heartbeat import Heartbeat
from fleet.errors import FleetError, StoppedError
from fleet.model.event import Event, NodeRolledBack, RolloutWithdrawn
from fleet.model.gate import GateAnswer
from fleet.model.record import Record
from fleet.model.rollout import RolloutOrder, RolloutState
from fleet.model.signal import BatchFinished, BatchLost, GatesAnswered, Pause, Signal, Tick
from fleet.ports.journal import Journal, Step
from fleet.ports.records import Records

EVENTS_PER_SNAPSHOT = 256
"""At least, and never fewer than the order has nodes: a snapshot holds some bits of each, an event more than a hundred
bytes, so what steps write does not grow with the fleet. Reading back costs some 3 us an event."""


class Incoming(msgspec.Struct, frozen=True):
    """`handled` are the ids of the inbox that the signal came with. `records` and `unanswered` are what nodes told, and what
    was sent to those that did not: kept together with the step.
    """

    signal: Signal
    handled: tuple[int, ...] = ()
    records: tuple[Record, ...] = ()
    unanswered: dict[str, str] = {}


class Drive:
    """`stops` tells how often somebody has asked to stop; `elsewhere` hears what others ask of what nobody drives."""

    def __init__(  # noqa: PLR0913 - all that a rollout is driven with
        self,
        journal: Journal,
        records: Records,
        crew: Crew,
        heartbeat: Heartbeat,
        *,
        stops: Callable[[], int],
        elsewhere: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._records = records
        self._crew = crew
        self._heartbeat = heartbeat
        self._stops = stops
        self._elsewhere = elsewhere
        self._now = now
        self._wake_at: float | None = None
        self._heard_stops = 0
        self._unkept = 0
        self._next_look = 0.0
        self._error: FleetError | None = None

    def run(self, state: RolloutState, signals: Iterable[Incoming], poll_seconds: float) -> Iterator[Event]:
        """Ends when the rollout has ended or is paused. Raises what the applier, the records or the journal raised."""
        queue = deque(signals)
        while queue or not self._is_at_rest(state) or self._hear_late(state, queue):
            if not queue:
                queue.extend(self._next(state.order.id, poll_seconds))
                continue
            incoming = queue.popleft()
            decision = decide(state, msgspec.structs.replace(incoming.signal, at=self._now()))
            self._wake_at = decision.wake_at
            state = evolve_all(state, decision.events)
            # On disk before anything is carried out or shown: what ran unseen would be lost by a crash.
            self._keep(state, Step(decision.events, decision.effects, handled=incoming.handled), incoming)
            for effect in decision.effects:
                self._crew.start(effect.order)
            if decision.gates:
                self._crew.ask(decision.gates)
            yield from decision.events
        if self._error:
            raise self._error
        if state.running:
            raise StoppedError(
                f"stopped at once, with {sum(len(batch.nodes) for batch in state.running)} nodes under way",
                hint=f"fleet rollout resume {state.order.id} finds out how far they came, and goes on.",
            )

    def _is_at_rest(self, state: RolloutState) -> bool:
        ended_by_force = self._heard_stops > 1 and not self._crew.active
        return state.has_ended or state.status == "paused" or ended_by_force

    def _hear_late(self, state: RolloutState, queue: deque[Incoming]) -> bool:
        """A pause is left again by who asked before it came: nobody would read the inbox any more."""
        if state.status == "paused":
            queue.extend(inbox(self._journal, state.order.id))
        return bool(queue)

    def _keep(self, state: RolloutState, step: Step, incoming: Incoming) -> None:
        if not (step.events or step.effects or step.handled or incoming.records):
            return
        lease = self._heartbeat.lease
        self._unkept += len(step.events)
        if state.status == "paused" or self._unkept >= max(EVENTS_PER_SNAPSHOT, len(state.layout.nodes)):
            step = msgspec.structs.replace(step, snapshot=snapshot(state))
            self._unkept = 0
        with self._journal.together():
            # Before the step: a record that is kept twice is harmless, one that is missing makes the next plan wrong.
            if incoming.records:
                self._records.save(incoming.records, lease)
            if incoming.unanswered:
                self._records.note_unanswered(incoming.unanswered, lease)
            if any(isinstance(event, RolloutWithdrawn) for event in step.events):
                self._records.hold_back(sent_by(state.order), state.order.id, lease)
            elif back := {event.node for event in step.events if isinstance(event, NodeRolledBack)}:
                held = {name: digest for name, digest in sent_by(state.order).items() if name in back}
                self._records.hold_back(held, state.order.id, lease)
            self._journal.append(lease, state.order.id, step)

    def _next(self, rollout_id: str, poll_seconds: float) -> list[Incoming]:
        """Waits until something has happened, or until it is time to look into the inbox, or to wake up."""
        done = self._crew.wait(min(poll_seconds, self._left()))
        if self._heartbeat.lost:
            raise self._heartbeat.lost
        heard = self._hear_stop()
        if isinstance(done, Answered):
            heard.append(_hear_answers(done))
        elif done:
            heard += self._hear_done(done)
        if time.monotonic() >= self._next_look:
            heard += inbox(self._journal, rollout_id)
            self._elsewhere()
            self._next_look = time.monotonic() + poll_seconds
        return heard if heard or self._left() else [Incoming(Tick())]

    def _left(self) -> float:
        """Seconds until the decision's moment. The clock is asked again each time: it may be set meanwhile."""
        return math.inf if self._wake_at is None else max(0.0, self._wake_at - self._now())

    def _hear_stop(self) -> list[Incoming]:
        before, self._heard_stops = self._heard_stops, self._stops()
        if before < 2 <= self._heard_stops:
            self._crew.end_now()
        return [Incoming(Pause("stopped by the operator"))] if not before and self._heard_stops else []

    def _hear_done(self, done: Done) -> list[Incoming]:
        batch_id = done.order.batch_id
        try:
            result = done.result()
        except FleetError as error:
            if self._heard_stops > 1:
                return []  # ended by force: it stays open, and `resume` asks for it again
            self._error = self._error or error
            return [Incoming(BatchLost(batch_id, error.message)), Incoming(Pause(error.message))]
        if not result.is_begun:
            return [Incoming(BatchLost(batch_id, "it was not begun"))]
        told = tuple(found.record for found in result.results if found.record)
        lost = [found.node for found in result.results if found.outcome == "unreachable"]
        sent = {name: done.order.wanted[name] for name in lost if name in done.order.wanted}
        return [Incoming(BatchFinished(batch_id, result.results), records=told, unanswered=sent)]


def sent_by(order: RolloutOrder) -> dict[str, str]:
    """What a rollout brings each of its nodes, or would have."""
    return {node.name: node.wanted for node in order.nodes}


def _hear_answers(done: Answered) -> Incoming:
    """What kept gates from being asked is no pass."""
    try:
        answers = tuple(done.result())
    except FleetError as error:
        answers = (GateAnswer("gates", "unknown", reason=error.message),)
    return Incoming(GatesAnswered(check_id=done.check_id, answers=answers))


def inbox(journal: Journal, rollout_id: str) -> list[Incoming]:
    """Requests of other processes. Each leaves the inbox with the step that answers it."""
    return [Incoming(posted.request, (posted.id,)) for posted in journal.posted(rollout_id)]
