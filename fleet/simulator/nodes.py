"""Pretend nodes: what each of them does follows from the seed and its name, whatever happens to others.

So two rehearsals that differ in one share differ in nothing else: who fails at 1 % fails at 2 % too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from statistics import NormalDist
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from fleet.model.batch import BatchOrder, NodeResult
from fleet.model.gate import Gate, GateAnswer, GateOrder, asks_each_node
from fleet.model.rollout import RolloutNode, RolloutOrder
from fleet.model.simulation import World

PATIENCE = 30.0
"""Seconds until a node that does not answer is given up."""

GATE_SECONDS = 5.0
"""Until gates have answered."""

FLAP_SECONDS = (600.0, 1800.0)
"""The shortest and the longest time from one going of a flapping node to its next one. A third of it it is away."""

_FULL = 2.0**64
_NORMAL = NormalDist()


class Fate(msgspec.Struct, frozen=True):
    """`seconds` is what the node takes. `period` is 0 for one that does not flap; `phase` is where it is in that at 1970.

    `lie` is what it tells: `done` though it is not, `failed` though it is done, or empty for the truth.
    """

    seconds: float
    fails: bool
    lie: str
    period: float
    phase: float


class Answer(msgspec.Struct, frozen=True):
    """What comes of a batch, and when."""

    at: float
    results: tuple[NodeResult, ...]


class PretendNodes:
    """`offline` never answer. `held` is what nodes truly hold since they were touched, `lies` how many were told."""

    def __init__(self, order: RolloutOrder, world: World, zones: Mapping[str, str]) -> None:
        self._nodes = {node.name: node for node in order.nodes}
        self._world = world
        self._zones = zones
        self.offline = frozenset(name for name, node in self._nodes.items() if self._is_offline(node))
        self.held: dict[str, str] = {}
        self.lies = 0

    def run_batch(self, order: BatchOrder, at: float) -> Answer:
        """As one Ansible run: all nodes side by side, and no word before the slowest one is through."""
        ends = at
        results = []
        for name in order.nodes:
            took, result = self._run(self._nodes[name], at, back=order.undo.get(name, ""))
            if order.deadline and took > order.deadline:
                took, result = order.deadline, NodeResult(name, "failed", reason="it was not through in time")
            ends = max(ends, at + took)
            results.append(result)
        return Answer(ends, tuple(results))

    def ask(self, order: GateOrder) -> tuple[GateAnswer, ...]:
        """A gate that asks nodes finds out who lies; what asks the fleet as a whole finds it well."""
        return tuple(self._asked(gate, order) for gate in order.gates)

    def _asked(self, gate: Gate, order: GateOrder) -> GateAnswer:
        kind = str(gate.__struct_config__.tag)
        if not asks_each_node(gate):
            return GateAnswer(kind, "passed", measured="a pretend gate")
        ill = [name for name in order.nodes if self.held[name] != self._nodes[name].wanted]
        measured = f"{len(order.nodes) - len(ill):,} of {len(order.nodes):,} pretend nodes are well"
        outcome: Literal["passed", "failed"] = "failed" if ill else "passed"
        return GateAnswer(kind, outcome, measured, ill=dict.fromkeys(ill, "it is not what it said"))

    def _run(self, node: RolloutNode, at: float, back: str) -> tuple[float, NodeResult]:
        """`back` is the digest that it goes back to, empty where it is brought forward."""
        fate = fate_of(node.name, self._world)
        if not self._is_up(node, fate, at):
            return PATIENCE, NodeResult(node.name, "unreachable", reason="it does not answer")
        if not self._is_up(node, fate, at + fate.seconds):
            return fate.seconds + PATIENCE, NodeResult(node.name, "unreachable", reason="it went away meanwhile")
        if back:
            self.held[node.name] = back
            return fate.seconds, NodeResult(node.name, "applied", changed=1, digest=back)
        return fate.seconds, self._told(node, fate)

    def _told(self, node: RolloutNode, fate: Fate) -> NodeResult:
        is_done = not fate.fails and fate.lie != "done"
        self.held[node.name] = node.wanted if is_done else node.base
        self.lies += bool(fate.lie) and not fate.fails
        if fate.fails:
            return NodeResult(node.name, "failed", digest=node.base, reason="a failure of the rehearsal")
        if fate.lie == "failed":
            return NodeResult(node.name, "failed", digest=node.wanted, reason="it says that it is not well, and it is")
        return NodeResult(node.name, "applied", changed=1, digest=self.held[node.name])

    def _is_offline(self, node: RolloutNode) -> bool:
        share = self._world.offline
        return node.is_away or (share > 0 and _draws(node.name, self._world.seed)[0] * 100 < share)

    def _is_up(self, node: RolloutNode, fate: Fate, at: float) -> bool:
        if node.name in self.offline or (node.role != "server" and self._is_closed(node.site, at)):
            return False
        return not fate.period or (at + fate.phase) % fate.period >= fate.period / 3

    def _is_closed(self, site: str, at: float) -> bool:
        if self._world.closed is None:
            return False
        first, last = self._world.closed
        hour = datetime.fromtimestamp(at, ZoneInfo(self._zones.get(site, "UTC"))).hour
        return first <= hour < last if first <= last else hour >= first or hour < last


def fate_of(name: str, world: World) -> Fate:
    _, slow, fails, flaps, period, phase, lies, how = _draws(name, world.seed)
    shortest, longest = FLAP_SECONDS
    round_trip = shortest + (longest - shortest) * period if flaps * 100 < world.flapping else 0.0
    lie = ("done" if how < 0.5 else "failed") if lies * 100 < world.lying else ""
    # A draw of 0 has no place in the bell curve.
    slower = math.exp(math.log(world.spread) * _NORMAL.inv_cdf(max(slow, 1 / _FULL)))
    return Fate(round(world.latency * slower, 1), fails * 100 < world.failures, lie, round_trip, phase * round_trip)


def _draws(name: str, seed: int) -> tuple[float, ...]:
    """Eight numbers from 0 to 1, without 1 itself."""
    drawn = blake2b(f"{seed}/{name}".encode(), digest_size=64).digest()
    return tuple((int.from_bytes(drawn[at : at + 8]) >> 11) / 2.0**53 for at in range(0, 64, 8))
