"""One decision under way."""

from __future__ import annotations

from functools import cached_property

from fleet.decide.checked import under_way
from fleet.decide.evolution import evolve_all
from fleet.decide.layout import waiting_behind
from fleet.decide.waiting import shut
from fleet.model import event as ev
from fleet.model.effect import Effect
from fleet.model.event import Event
from fleet.model.gate import GateOrder
from fleet.model.rollout import RolloutState


class Course:
    """A state on its way through one decision: what happens is added, and is true from then on."""

    def __init__(self, state: RolloutState, now: float = 0.0) -> None:
        self.layout = state.layout
        self.now = now
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.gates: GateOrder | None = None
        self._state = state
        self._behind = 0

    @property
    def state(self) -> RolloutState:
        """Brought up to date when it is asked for: many events in a row are one step."""
        if self._behind < len(self.events):
            self._state = evolve_all(self._state, self.events[self._behind :])
            self._behind = len(self.events)
        return self._state

    @property
    def stamp(self) -> float:
        """The time for an event that only a policy looks at."""
        return self.now if self._state.order.policy else 0.0

    @cached_property
    def closed(self) -> int:
        """Nodes whose window does not let them begin now."""
        return shut(self._state, self.now)

    def add(self, event: Event) -> None:
        self.events.append(event)


def block(course: Course, index: int, by: str, reason: str) -> None:
    node = course.layout.nodes[index]
    course.add(ev.NodeBlocked(node.name, node.site, by, reason))


def block_behind(course: Course, index: int, by: str, reason: str) -> None:
    """Everything that can only come after node `index`."""
    for i in waiting_behind(course.layout, index):
        block(course, i, by, reason)


def hold(course: Course, reason: str) -> None:
    """What the policy does when it hurts. What was brought is brought back by another rollout: this one ends."""
    state = course.state
    if _rolls_back(state):
        course.add(ev.RollbackRequested(reason, under_way(state)))
    else:
        pause(course, reason)


def pause(course: Course, reason: str) -> None:
    course.add(ev.PauseRequested(reason, under_way(course.state), by_policy=True))


def fail_wave(course: Course, reason: str) -> None:
    state = course.state
    wave = state.order.waves[state.wave]
    course.add(ev.WaveFailed(wave.name, state.wave, reason, state.counts(state.layout.waves[state.wave])))
    if must_stop(state):
        hold(course, f"wave {wave.name} failed")


def must_stop(state: RolloutState) -> bool:
    """Whether the policy wants failures to stop the rollout, and there is something left to stop, or to bring back."""
    if _rolls_back(state):
        return state.status in ("running", "pausing")
    return state.status == "running" and state.order.on_failure != "continue" and state.counts().waiting > 0


def _rolls_back(state: RolloutState) -> bool:
    return state.order.on_failure == "rollback" and (state.applied | state.failed) > 0
