"""^C while a rollout runs: once, what runs is finished and the rollout pauses; twice, it is left at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fleet.cli.streams import Stream

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stops:
    """How often the user, or the system, asked to stop."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def stopping(stop: Callable[[], None], err: Stream) -> Iterator[Stops]:
    stops = Stops()

    def heard(_number: int, _frame: FrameType | None) -> None:
        stops.count += 1
        stop()
        if stops.count == 1:
            err.line("stopping: what runs is finished, then the rollout pauses; once more leaves now (safe)")
        elif stops.count == 2:
            err.line("leaving now")

    before = {number: signal.signal(number, heard) for number in _SIGNALS}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
