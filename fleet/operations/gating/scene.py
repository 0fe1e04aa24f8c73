"""What each gate of one order is asked with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Protocol, TypeVar

import msgspec

from fleet.formats.words import count
from fleet.model.gate import Gate, GateAnswer, GateOrder, Phase
from fleet.model.node import Node
from fleet.operations.intent import Intent
from fleet.ports.clock import Clock

STOPPED = "it was stopped"
_NAP = 0.2
T = TypeVar("T")


class Stop:
    """The wish to stop, and a sleep that hears it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wished = threading.Event()

    def wish(self) -> None:
        self._wished.set()

    @property
    def is_wished(self) -> bool:
        return self._wished.is_set()

    def sleep(self, seconds: float) -> None:
        ends = self._clock.now() + seconds
        while not self.is_wished and (left := ends - self._clock.now()) > 0:
            self._clock.sleep(min(_NAP, left))


class Scene(msgspec.Struct, frozen=True, eq=False, dict=True):
    """An order, and what git says of its nodes. `place` is the gate's among those of the order."""

    intent: Intent
    order: GateOrder
    clock: Clock
    stop: Stop
    place: int = 0

    @cached_property
    def nodes(self) -> Sequence[Node]:
        """Those of the order that the spec still has."""
        named = set(self.order.nodes)
        return [node for node in self.intent.fleet.nodes if node.name in named]

    @property
    def left(self) -> str:
        """That nodes of the order left the spec meanwhile, and are not asked; empty where none did."""
        gone = len(self.order.nodes) - len(self.nodes)
        return f"{count(gone, 'node')} not in the spec any more" if gone else ""

    @property
    def phase(self) -> Phase:
        return self.order.phase


class Asker(Protocol):
    """Asks gates of one type. Raises nothing for a gate that cannot be asked."""

    def ask(self, gate: Gate, scene: Scene) -> GateAnswer: ...


def each_at_once(those: Sequence[T], at_once: int, does: Callable[[T], None]) -> None:
    """`does` each, so many at a time. Raises what one raised, when all have ended."""
    if those:
        with ThreadPoolExecutor(min(at_once, len(those)), thread_name_prefix="gates") as pool:
            ends = [pool.submit(does, one) for one in those]
        for end in ends:
            end.result()
