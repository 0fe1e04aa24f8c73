from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from fleet.model.gate import CommandGate, Gate, GateAnswer, GateOrder, HttpGate, PrometheusGate, asks_each_node
from fleet.model.inquiry import CommandEnd, CommandOrder, Reply, Sample
from fleet.ports.clock import Clock

_STOPPED = "it was stopped"


class MemoryGates:
    """Answers by a script: for each gate, in the order of asking, what it was given; then, and for those that it was not
    told of, `passed`. Gates are told apart by type, and by URL or command. `orders` holds every order.

    `is_held`: nothing is answered before `stop_now`.
    """

    def __init__(self, script: Mapping[Gate, Sequence[GateAnswer]] | None = None) -> None:
        self._left = {gate: list(answers) for gate, answers in (script or {}).items()}
        self.orders: list[GateOrder] = []
        self.is_held = False
        self._stopped = threading.Event()

    def ask(self, order: GateOrder) -> Sequence[GateAnswer]:
        self.orders.append(order)
        if self.is_held:
            self._stopped.wait()
        return [self._answer(gate, order) for gate in order.gates]

    def stop_now(self) -> None:
        self._stopped.set()

    def _answer(self, gate: Gate, order: GateOrder) -> GateAnswer:
        if self._stopped.is_set():
            return GateAnswer(_named(gate), "unknown", reason=_STOPPED)
        if order.phase == "before" and asks_each_node(gate):
            return GateAnswer(_named(gate), "passed", "asked after the wave alone")
        if left := self._left.get(gate):
            return left.pop(0)
        return GateAnswer(_named(gate), "passed", "as its script says")


def _named(gate: Gate) -> str:
    match gate:
        case HttpGate():
            return f"http {gate.url}"
        case PrometheusGate():
            return f"prometheus {gate.url}"
        case CommandGate():
            return f"command {' '.join(gate.command)}"
        case _:
            return type(gate).__name__.removesuffix("Gate").lower()


class MemoryWeb:
    """Answers each URL with what it was given, the last one again and again; nobody is there at others. With a clock, each
    answer takes its `seconds` of it.
    """

    def __init__(self, replies: Mapping[str, Sequence[Reply]] | None = None, clock: Clock | None = None) -> None:
        self._left = {url: list(each) for url, each in (replies or {}).items()}
        self._clock = clock
        self._lock = threading.Lock()
        self._is_stopped = False
        self.asked: list[tuple[str, bool]] = []
        """URLs, and whether redirects were to be followed."""

    def get(self, url: str, seconds: float, *, follows: bool = True) -> Reply:
        with self._lock:
            self.asked.append((url, follows))
            if self._is_stopped:
                return Reply(trouble="stopped", reason=_STOPPED)
            left = self._left.get(url) or [Reply(trouble="unreachable", reason="connection refused")]
            reply = left.pop(0) if len(left) > 1 else left[0]
        if self._clock is not None:
            self._clock.sleep(min(reply.seconds, seconds))
        if reply.seconds > seconds:
            return Reply(trouble="late", reason=f"no whole answer in {seconds:g} s", seconds=seconds)
        return reply

    def stop_now(self) -> None:
        self._is_stopped = True


class MemoryMetrics:
    """Answers each query with what it was given, the last one again and again."""

    def __init__(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        self._left = {query: list(each) for query, each in samples.items()}
        self.asked: list[tuple[str, str]] = []

    def value(self, url: str, query: str, seconds: float) -> Sample:  # noqa: ARG002 - nobody waits here
        self.asked.append((url, query))
        left = self._left[query]
        return left.pop(0) if len(left) > 1 else left[0]


class MemoryCommands:
    """Ends each program as it was told to; those that it was not told of exit with 0, and one whose end is None does not end
    by itself. `orders` holds every one.
    """

    def __init__(self, ends: Mapping[tuple[str, ...], CommandEnd | None] | None = None) -> None:
        self._ends = dict(ends or {})
        self._stopped = threading.Event()
        self.orders: list[CommandOrder] = []

    def run(self, order: CommandOrder) -> CommandEnd:
        self.orders.append(order)
        if self._stopped.is_set():
            return CommandEnd(reason=_STOPPED)
        end = self._ends.get(order.command, CommandEnd(0, seconds=0.1))
        if end is not None:
            return end
        if self._stopped.wait(order.seconds):
            return CommandEnd(reason=_STOPPED)
        return CommandEnd(seconds=order.seconds, reason=f"it did not end within {order.seconds:g} s", is_late=True)

    def stop_now(self) -> None:
        self._stopped.set()
