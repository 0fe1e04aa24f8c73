"""When nothing was under way, and what was waited for; the pauses among that."""

from __future__ import annotations

from msgspec.structs import replace

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.simulation import Quiet, SimulatedPause, Why


class Stillness:
    """Times are seconds since the rollout began, at `began`; then nothing is under way yet."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._told: dict[Why, float] = {}
        self.quiet: list[Quiet] = []
        self.pauses: list[SimulatedPause] = []
        self._since: float | None = 0.0
        self._why: Why = "nothing"

    def hear(self, at: float, event: Event) -> None:
        match event:
            case ev.WaveSoaking():
                self._told["soak"] = event.until - self._began
                self._wait_for("soak", at)
            case ev.ApprovalAwaited():
                self._wait_for("approval", at)
            case ev.GatesAsked():
                self._wait_for("gates", at)
            case ev.WaitStarted():
                self._told[event.kind] = event.until - self._began
                self._wait_for(event.kind, at)
            case ev.RolloutPaused():
                self._wait_for("pause", at)
                self.pauses.append(SimulatedPause(at, event.reason))
            case ev.RolloutResumed() if self.pauses:
                self.pauses[-1] = replace(self.pauses[-1], resumed_at=at)

    def mark(self, at: float, in_flight: int) -> None:
        """After all that happened at one moment."""
        if in_flight:
            self.end(at)
            self._since, self._why = None, "nothing"
        elif self._since is None:
            self._since = at
            if self._why == "nothing":
                # What was told once, and is not over yet, is not told again.
                self._why = next((why for why, until in self._told.items() if until > at), "nothing")

    def end(self, at: float) -> None:
        if self._since is not None and at > self._since:
            self.quiet.append(Quiet(self._since, at, self._why))
            self._since = at

    def _wait_for(self, why: Why, at: float) -> None:
        if why != self._why:
            self.end(at)
            self._why = why
