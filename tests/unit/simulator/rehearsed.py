"""Small rehearsals, stated in a line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from fleet.decide import decide
from fleet.model.event import Event
from fleet.model.rollout import GroupBudget, RolloutOrder, WaveOrder
from fleet.model.simulation import Operator, RehearsalOrder, SimulatedRun, World
from fleet.simulator import Stage, VirtualClock, rehearse
from fleet.simulator.rehearsal import Decider
from fleet.testing import MemoryJournal
from fleet.testing.orders import cluster, rollout

EVEN = World(spread=1.0)
"""Every node takes the same time."""


def clusters(names: Sequence[str], servers: int = 1, agents: int = 2, forks: int = 100) -> RolloutOrder:
    """A wave of clusters that hold something already."""
    return rollout([node for name in names for node in cluster(name, servers, agents, "b1:old")], forks=forks)


def with_policy(order: RolloutOrder, *thresholds: int, allowed: int = 0, stop_at: int = 0) -> RolloutOrder:
    """A threshold for each wave, and with `allowed` a budget for each site."""
    waves = []
    for wave, threshold in zip(order.waves, thresholds, strict=True):
        nodes = tuple(replace(node, groups=(f"site={node.site}",)) if allowed else node for node in wave.nodes)
        waves.append(WaveOrder(wave.name, nodes, Decimal(threshold), Decimal(50)))
    sites = dict.fromkeys(node.site for node in order.nodes) if allowed else {}
    budgets = tuple(GroupBudget(f"site={site}", allowed) for site in sites)
    return replace(order, waves=tuple(waves), budgets=budgets, stop_at=stop_at, policy="standard")


class Rehearsed:
    """`run` is the answer, `events` are what the journal holds, with their times since the beginning."""

    def __init__(
        self, order: RolloutOrder, world: World = EVEN, *, resumes_after: float | None = None, zone: str = "UTC",
        approves_after: float = 0.0, decider: Decider = decide,
    ) -> None:  # fmt: skip
        clock = VirtualClock(world.begins_at)
        journal = MemoryJournal(clock)
        made = RehearsalOrder(order, {node.site: zone for node in order.nodes})
        self.run: SimulatedRun = rehearse(
            made, world, Operator(resumes_after, approves_after), Stage(journal, clock), decider
        )
        entries = journal.read(order.id)
        self.events: list[Event] = [entry.event for entry in entries]
        self.times = [round(entry.at - world.begins_at, 1) for entry in entries]
        self.status = journal.rollouts()[0].status
        self.snapshots = sum(step.snapshot is not None for step in journal.steps)
