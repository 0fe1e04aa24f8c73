from __future__ import annotations

START = 1_750_000_000.0
"""2025-06-15T15:06:40Z."""


class MemoryClock:
    """Stands still until somebody sleeps, or moves it by `advance`."""

    def __init__(self, now: float = START) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += seconds
