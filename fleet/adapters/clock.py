"""SystemClock: this machine's time."""

from __future__ import annotations

import time


class SystemClock:
    """Fills `ports.Clock`."""

    def now(self) -> float:
        """Seconds since 1970, UTC. May step when the machine's clock is set."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Not below zero: a moment that has passed is not waited for."""
        time.sleep(max(0.0, seconds))
