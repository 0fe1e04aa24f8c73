"""Many to be asked, some at once, and those again that have not passed yet, each until its own time is over."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from fleet.operations.gating.answers import Try
from fleet.operations.gating.scene import STOPPED, Scene, each_at_once

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
T = TypeVar("T")


class Crowd(Generic[T]):
    """`tries` asks one, and is told how many seconds are left for it. Who waits for its next try keeps nobody else waiting."""

    def __init__(self, scene: Scene, timeout: float, tries: Callable[[T, float], Try]) -> None:
        self._clock, self._stop, self._timeout, self._tries = scene.clock, scene.stop, timeout, tries
        # With less time than this left, nobody is asked again: that it did not answer so quickly would say nothing.
        self._fair = min(1.0, timeout / 4)
        self._lock = threading.Lock()
        self._found: dict[int, Try] = {}
        self._begun: dict[int, float] = {}
        self._count: dict[int, int] = {}
        self._due: list[tuple[float, int]] = []

    def ask(self, those: Sequence[T], at_once: int) -> list[Try]:
        """The last try of each, in their order; those that were not asked any more after a stop are unknown."""
        self._due = [(0.0, at) for at in range(len(those))]
        each_at_once(range(min(at_once, len(those))), at_once, lambda _: self._work(those))
        return [msgspec.structs.replace(self._found[at], tries=self._count.get(at, 0)) for at in range(len(those))]

    def _work(self, those: Sequence[T]) -> None:
        while (at := self._next()) is not None:
            ends = self._begun.setdefault(at, self._clock.now()) + self._timeout
            left = ends - self._clock.now()
            if left < self._fair:  # woken late: what its last try found stands
                continue
            found = self._tries(those[at], left)
            with self._lock:
                self._found[at] = found
                self._count[at] = self._count.get(at, 0) + 1
                due = self._clock.now() + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._count[at] - 1))
                if found.why and not found.is_final and due + self._fair <= ends:
                    heapq.heappush(self._due, (due, at))

    def _next(self) -> int | None:
        """Who is due; waits for it. None when nobody is left for this thread: a busy one looks again after its own."""
        while True:
            with self._lock:
                if self._stop.is_wished:
                    for _, at in self._due:
                        self._found[at] = Try(STOPPED, is_final=True, is_unknown=True)
                    self._due = []
                if not self._due:
                    return None
                due, at = self._due[0]
                if due <= self._clock.now():
                    heapq.heappop(self._due)
                    return at
            self._stop.sleep(min(0.2, due - self._clock.now()))
