"""Time that passes only when it is told to."""

from __future__ import annotations

from fleet.errors import FleetError


class VirtualClock:
    """Implements `fleet.ports.clock.Clock`."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.jump_to(self._now + seconds)

    def jump_to(self, moment: float) -> None:
        if moment < self._now:
            raise FleetError(f"a rehearsal would go back in time, from {self._now} to {moment}")
        self._now = moment
