"""The loop: what comes next is taken from a heap of moments, told to the decider, and kept in the journal."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Literal

import msgspec
from msgspec.structs import replace

from fleet.decide import decide, evolve_all, initial, snapshot
from fleet.errors import FleetError
from fleet.model import event as ev
from fleet.model.effect import Decision
from fleet.model.event import Event
from fleet.model.rollout import RolloutNode, RolloutOrder, RolloutState
from fleet.model.signal import Approve, BatchFinished, Begin, GatesAnswered, Resume, Signal, Tick
from fleet.model.simulation import Operator, RehearsalOrder, SimulatedRun, World
from fleet.ports.journal import Journal, Step
from fleet.simulator.clock import VirtualClock
from fleet.simulator.nodes import GATE_SECONDS, PretendNodes
from fleet.simulator.tally import Tally

LONGEST = 2 * 366 * 86400.0
"""Seconds. What is not over by then never ends: a window that is too short opens again each night."""

EVENTS_PER_SNAPSHOT = 256
"""At least so many, and as many as there are nodes: as the local engine does."""

Decider = Callable[[RolloutState, Signal], Decision]
Outcome = Literal["finished", "halted", "paused", "cancelled", "withdrawn", "waiting"]

_ENDS: dict[str, Outcome] = {
    "finished": "finished",
    "halted": "halted",
    "cancelled": "cancelled",
    "withdrawn": "withdrawn",
    "paused": "paused",
}


class Stage(msgspec.Struct, frozen=True, eq=False):
    """`clock` is the journal's own, and stands where the rollout begins."""

    journal: Journal
    clock: VirtualClock


def rehearse(
    made: RehearsalOrder, world: World, operator: Operator, stage: Stage, decider: Decider = decide
) -> SimulatedRun:
    """Goes through the order until nothing more happens by itself."""
    nodes = PretendNodes(made.order, world, made.zones)
    order = _with_known(made.order, nodes.offline, world.begins_at) if world.is_offline_known else made.order
    rehearsal = _Rehearsal(order, nodes, operator, stage, decider)
    outcome, reason = rehearsal.run()
    tally = rehearsal.tally
    return SimulatedRun(
        failures=world.failures,
        outcome=outcome,
        reason=reason,
        seconds=rehearsal.elapsed,
        counts=tally.counts,
        batches=tally.batches,
        approvals=tally.approvals,
        waves=tally.waves(),
        pauses=tuple(tally.stillness.pauses),
        quiet=tuple(tally.stillness.quiet),
        groups=tally.away.groups(),
        sites=tally.away.sites(),
        timeline=tally.timeline(),
        lies=nodes.lies,
        believed=rehearsal.believed,
    )


class _Rehearsal:
    def __init__(
        self, order: RolloutOrder, nodes: PretendNodes, operator: Operator, stage: Stage, decider: Decider
    ) -> None:
        self.tally = Tally(order, nodes.offline, stage.clock.now())
        self.believed = 0
        self._wanted = {node.name: node.wanted for node in order.nodes}
        self._state = initial(order)
        self._nodes = nodes
        self._journal = stage.journal
        self._clock = stage.clock
        self._began = stage.clock.now()
        self._operator = operator
        self._decider = decider
        self._lease = stage.journal.acquire(order.controller)
        self._heap: list[tuple[float, int, Signal]] = []
        self._turns = count()
        self._unkept = 0
        self._wake_at: float | None = None
        self._settled_at_pause = -1
        self._will_resume = False

    @property
    def elapsed(self) -> float:
        return round(self._clock.now() - self._began, 1)

    def run(self) -> tuple[Outcome, str]:
        order = self._state.order
        self._journal.begin(self._lease, order)
        self._later(self._began, Begin(self._lease.epoch))
        while self._heap and not self._is_over():
            at, _, signal = heappop(self._heap)
            if isinstance(signal, Tick):
                if at != self._wake_at:
                    continue  # since then the decider has named another time
                self._wake_at = None
            self._clock.jump_to(at)
            self._hear(replace(signal, at=at))
        self.tally.end(self.elapsed)
        self._journal.release(self._lease)
        return self._end()

    def _is_over(self) -> bool:
        is_left = self._state.status == "paused" and not self._will_resume
        return self._state.has_ended or is_left or self.elapsed >= LONGEST

    def _hear(self, signal: Signal) -> None:
        decision = self._decider(self._state, signal)
        self._state = evolve_all(self._state, decision.events)
        self._keep(decision)
        self.tally.hear(self.elapsed, decision.events)
        for effect in decision.effects:
            answer = self._nodes.run_batch(effect.order, signal.at)
            self._later(answer.at, BatchFinished(effect.order.batch_id, answer.results))
        if decision.gates:
            answers = self._nodes.ask(decision.gates)
            self._later(signal.at + GATE_SECONDS, GatesAnswered(check_id=decision.gates.check_id, answers=answers))
        for event in decision.events:
            self._look_at(event, signal.at)
        self._wake(decision, signal)

    def _keep(self, decision: Decision) -> None:
        if not (decision.events or decision.effects):
            return
        self._unkept += len(decision.events)
        is_due = self._unkept >= max(EVENTS_PER_SNAPSHOT, len(self._wanted)) or self._state.status == "paused"
        kept = snapshot(self._state) if is_due else None
        if is_due:
            self._unkept = 0
        self._journal.append(self._lease, self._state.order.id, Step(decision.events, decision.effects, kept))

    def _look_at(self, event: Event, at: float) -> None:
        """What the operator does about it, and whether a node was believed what is not so."""
        match event:
            case ev.NodeApplied():
                self.believed += self._nodes.held[event.node] != self._wanted[event.node]
            case ev.NodeUnhealthy():
                self.believed -= self._nodes.held[event.node] != self._wanted[event.node]
            case ev.RolloutPaused() if self._operator.resumes_after is not None:
                # Who goes on and sees the same pause at once, without a node more or less, would do so for ever.
                if self.tally.settled > self._settled_at_pause:
                    self._settled_at_pause = self.tally.settled
                    self._will_resume = True
                    self._later(at + self._operator.resumes_after, Resume())
            case ev.RolloutResumed():
                self._will_resume = False
            case ev.ApprovalAwaited():
                approval = Approve(by=self._state.order.controller, wave=event.wave)
                self._later(at + self._operator.approves_after, approval)

    def _wake(self, decision: Decision, signal: Signal) -> None:
        if decision.wake_at is None:
            self._wake_at = None
            return
        if isinstance(signal, Tick) and decision.wake_at <= signal.at and not decision.events:
            raise FleetError(f"rollout {self._state.order.id} wants to be told of a time that it was just told of")
        wake_at = max(decision.wake_at, signal.at)
        if wake_at != self._wake_at:
            self._wake_at = wake_at
            self._later(wake_at, Tick())

    def _later(self, at: float, signal: Signal) -> None:
        heappush(self._heap, (at, next(self._turns), signal))

    def _end(self) -> tuple[Outcome, str]:
        state = self._state
        if state.status in _ENDS:
            return _ENDS[state.status], state.reason
        if self.elapsed >= LONGEST:
            return "waiting", "it is not over after two years"
        wave = state.order.waves[max(state.wave, 0)].name
        return "waiting", f"wave {wave} waits for what does not happen by itself"


def _with_known(order: RolloutOrder, offline: frozenset[str], since: float) -> RolloutOrder:
    """Who never answers is found out when it begins."""

    def known(node: RolloutNode) -> RolloutNode:
        is_new = node.name in offline and not node.is_away
        return replace(node, is_away=True, away_since=since) if is_new else node

    waves = (replace(wave, nodes=tuple(known(node) for node in wave.nodes)) for wave in order.waves)
    return replace(order, waves=tuple(waves))
