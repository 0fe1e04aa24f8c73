"""A rollout rehearsed with pretend nodes: what they are like, and what came of it.

Times without a date are seconds since the rollout began; shares are percentages.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fleet.model.rollout import RolloutCounts, RolloutOrder

BEGINS_AT = 1_767_600_000.0
"""2026-01-05 08:00 UTC, a Monday: the same rehearsal on any day gives the same answer."""


class World(msgspec.Struct, frozen=True):
    """What pretend nodes are like. All that chance decides follows from `seed` and a node's name.

    A node takes `latency` seconds, one in six more than `spread` times that. `failures`, `offline`, `flapping` and `lying`
    are shares of the nodes: those that fail, never answer, come and go, and tell of themselves what is not so. With
    `closed`, nodes that are no servers are switched off from one hour to the other, by their site's clock.
    """

    seed: int = 0
    begins_at: float = BEGINS_AT
    latency: float = 60.0
    spread: float = 1.5
    failures: float = 0.0
    offline: float = 0.0
    flapping: float = 0.0
    lying: float = 0.0
    closed: tuple[int, int] | None = None
    is_offline_known: bool = False
    """Who never answers was found out before, as by `fleet plan --refresh`."""


class Operator(msgspec.Struct, frozen=True):
    """Who looks after the rollout: goes on `resumes_after` seconds after a pause (None: does not), and approves of a wave
    `approves_after` seconds after it asked.
    """

    resumes_after: float | None = None
    approves_after: float = 0.0


class Rehearsal(msgspec.Struct, frozen=True):
    """`nodes` as many, 0 for those of the plan; with `everything`, every node changes. One run for each of `failures`,
    percentages that take the place of the world's own.
    """

    world: World = World()
    operator: Operator = Operator()
    failures: tuple[float, ...] = (0.0, 2.0)
    everything: bool = False
    nodes: int = 0
    forks: int = 20


class RehearsalOrder(msgspec.Struct, frozen=True):
    """`zones` are the sites' time zones. `commit` and `notes` are for who reads the answer: what `fleet apply` would refuse,
    or do besides. `copies`: how often the fleet is in it.
    """

    order: RolloutOrder
    zones: dict[str, str]
    notes: tuple[str, ...] = ()
    copies: int = 1


class SimulatedWave(msgspec.Struct, frozen=True):
    """`begins` and `ends` are None for what did not happen; `reason` says why a wave failed. One that passed may have had
    nodes under way.
    """

    name: str
    nodes: int
    outcome: Literal["passed", "failed", "unfinished", "not begun"] = "not begun"
    begins: float | None = None
    ends: float | None = None
    reason: str = ""
    counts: RolloutCounts = RolloutCounts()


class SimulatedGroup(msgspec.Struct, frozen=True):
    """The most nodes of a group that were away at once: under way, failed, or without an answer.

    `known` as the controller knew it, which a budget of `allowed` bounds; `away` with those that never answer and that it
    had not asked yet. `allowed` is None where there is no budget.
    """

    name: str
    nodes: int
    known: int
    away: int
    allowed: int | None = None


class SimulatedPause(msgspec.Struct, frozen=True):
    at: float
    reason: str
    resumed_at: float | None = None


Why = Literal["window", "rate", "soak", "gates", "approval", "pause", "nothing"]


class Quiet(msgspec.Struct, frozen=True):
    """Nothing was under way, and nodes were left; `why` says what was waited for."""

    begins: float
    ends: float
    why: Why


class Moment(msgspec.Struct, frozen=True):
    """How many nodes were what, from `at` on."""

    at: float
    in_flight: int
    applied: int
    failed: int
    unreachable: int
    blocked: int


class SimulatedRun(msgspec.Struct, frozen=True):
    """One way in which the rollout may go. `outcome` is `waiting` where nothing would happen any more by itself.

    `approvals` were asked for and given. `lies` were told by nodes, and `believed` are those that the rollout took for true. `groups` are those with a budget.
    `timeline` is thinned out; its last moment is the end.
    """

    failures: float
    outcome: Literal["finished", "halted", "paused", "cancelled", "withdrawn", "waiting"]
    reason: str
    seconds: float
    counts: RolloutCounts
    batches: int
    waves: tuple[SimulatedWave, ...]
    pauses: tuple[SimulatedPause, ...]
    quiet: tuple[Quiet, ...]
    groups: tuple[SimulatedGroup, ...]
    sites: tuple[SimulatedGroup, ...]
    timeline: tuple[Moment, ...]
    approvals: int = 0
    lies: int = 0
    believed: int = 0


class Simulation(msgspec.Struct, frozen=True):
    """What `fleet simulate` answers. `runs` differ in their share of failures alone."""

    fleet: str
    commit: str
    policy: str
    nodes: int
    sites: int
    copies: int
    forks: int
    batch_size: int
    world: World
    operator: Operator
    notes: tuple[str, ...]
    runs: tuple[SimulatedRun, ...]
