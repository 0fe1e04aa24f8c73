"""FleetGates: the gates of a fleet, asked at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import msgspec

from fleet.errors import FleetError
from fleet.model.gate import (
    ClusterGate,
    CommandGate,
    Gate,
    GateAnswer,
    GateOrder,
    HttpGate,
    NodeGate,
    PrometheusGate,
    asks_each_node,
)
from fleet.operations.asking import ClusterOf
from fleet.operations.gating.answers import cleared, named
from fleet.operations.gating.cluster import ClusterAsker
from fleet.operations.gating.command import CommandAsker
from fleet.operations.gating.http import HttpAsker
from fleet.operations.gating.node import NodeAsker
from fleet.operations.gating.prometheus import PrometheusAsker
from fleet.operations.gating.scene import STOPPED, Scene, Stop
from fleet.operations.intent import Intent
from fleet.ports.applier import Hand
from fleet.ports.clock import Clock
from fleet.ports.commands import Commands
from fleet.ports.metrics import Metrics
from fleet.ports.records import Records
from fleet.ports.web import Web

_STOP_SECONDS = 5.0
"""After `stop_now`, what has not come back by then is left behind."""
_LOOK = 0.2


class GateHands(msgspec.Struct, frozen=True, eq=False):
    """What gates are asked with. `cluster_of` None: nobody talks to Kubernetes."""

    web: Web
    metrics: Metrics
    commands: Commands
    hand: Hand
    records: Records
    clock: Clock
    cluster_of: ClusterOf | None = None


class FleetGates:
    """Fills `ports.Gates`. All gates of an order are asked at once, each for as long as its own timeout."""

    def __init__(self, intent: Intent, hands: GateHands) -> None:
        self._intent, self._hands = intent, hands
        self._stop = Stop(hands.clock)

    def ask(self, order: GateOrder) -> Sequence[GateAnswer]:
        if not order.gates:
            return ()
        pool = ThreadPoolExecutor(len(order.gates), thread_name_prefix="gate")
        ends = [pool.submit(self._answer, order, at) for at in range(len(order.gates))]
        left = _STOP_SECONDS
        while not all(end.done() for end in ends) and left > 0:
            wait(ends, timeout=_LOOK)
            left -= _LOOK if self._stop.is_wished else 0.0
        pool.shutdown(wait=False, cancel_futures=True)
        return [
            end.result() if end.done() and not end.cancelled() else _stopped(gate, order)
            for gate, end in zip(order.gates, ends, strict=True)
        ]

    def stop_now(self) -> None:
        self._stop.wish()
        for each in (self._hands.web, self._hands.commands, self._hands.hand):
            each.stop_now()

    def _answer(self, order: GateOrder, at: int) -> GateAnswer:
        gate, hands = order.gates[at], self._hands
        if self._stop.is_wished:
            return _stopped(gate, order)
        if order.phase == "before" and asks_each_node(gate):
            return GateAnswer(named(gate, order.wave), "passed", "asked after the wave alone")
        scene = Scene(self._intent, order, hands.clock, self._stop, at)
        try:
            answer = cleared(gate, _asked(gate, scene, hands))
            # What it found so far is no verdict on any node.
            return answer if answer.outcome == "passed" or not self._stop.is_wished else _stopped(gate, order)
        except FleetError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return GateAnswer(named(gate, order.wave), "unknown", reason=f"{error.message}{hint}")


def _stopped(gate: Gate, order: GateOrder) -> GateAnswer:
    return GateAnswer(named(gate, order.wave), "unknown", reason=STOPPED)


def _asked(gate: Gate, scene: Scene, hands: GateHands) -> GateAnswer:
    match gate:
        case NodeGate():
            return NodeAsker(hands.hand, hands.records, hands.cluster_of).ask(gate, scene)
        case ClusterGate():
            return ClusterAsker(hands.records, hands.cluster_of).ask(gate, scene)
        case HttpGate():
            return HttpAsker(hands.web).ask(gate, scene)
        case PrometheusGate():
            return PrometheusAsker(hands.metrics).ask(gate, scene)
        case CommandGate():
            return CommandAsker(hands.commands).ask(gate, scene)
