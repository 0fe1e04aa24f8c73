"""A Rollout: which nodes are brought to which bundle, in which order, and how far that has come.

Sets of nodes are bit sets (an int whose bit i is the i-th node of the order): immutable, a copy of 100,000 nodes is
12 kB, and counting or finding the first one is a handful of machine words.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fleet.model.crowd import Crowd, Downloads
from fleet.model.gate import Gate, Phase
from fleet.model.node import Role
from fleet.model.window import Timing, Wait

STATE_VERSION = 4
"""Of `RolloutState` and `RolloutSnapshot`. Raised when a state would be read wrongly by older code, or what that wrote by
this one. 2: a policy's waves may fail, soak and wait. 3: gates, and rollouts that are rolled back."""
KNOWN_VERSIONS = (1, 2, 3, 4)
"""What this fleet reads. A state of version 1 is one in which no wave failed."""

RolloutStatus = Literal[
    "new", "running", "pausing", "paused", "cancelling", "superseding", "withdrawing",
    "finished", "halted", "cancelled", "superseded", "withdrawn",
]  # fmt: skip
ENDED: frozenset[RolloutStatus] = frozenset({"finished", "halted", "cancelled", "superseded", "withdrawn"})


class RolloutNode(msgspec.Struct, frozen=True):
    """One node to bring from digest `base` ("" for a node without a record) to `wanted`. `sent`: digests that were sent to
    it, and it never answered. `cluster` is empty for role none. `rank` is a server's place in its cluster, from 0: the order
    of updating. `groups` name the budgets that it uses up while it is away; `is_away`: it does not answer even before, since `away_since`.
    `may_reboot`: within its window, where that is due. `downloads`: an artifact that it does not hold.
    """

    name: str
    site: str
    cluster: str
    role: Role
    rank: int
    base: str
    wanted: str
    sent: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_away: bool = False
    away_since: float = 0.0
    may_reboot: bool = False
    downloads: bool = False

    @property
    def expected(self) -> str:
        """As in `BatchOrder.expect`."""
        return ",".join((self.base, *self.sent))

    @property
    def joins(self) -> bool:
        """An agent that is new to its cluster: many of them at once overload a server (k3s-contract, rule 13)."""
        return self.role == "agent" and not self.base


class WaveOrder(msgspec.Struct, frozen=True):
    """`success_threshold` is the share, in percent, that must succeed of the nodes that succeeded or failed; `min_finished`
    that of the wave that must have done either. None: the wave is over when all its nodes have an outcome, whichever.
    `needs_approval`: a person must say that it may begin.
    """

    name: str
    nodes: tuple[RolloutNode, ...]
    success_threshold: Decimal | None = None
    min_finished: Decimal | None = None
    needs_approval: bool = False


class AwayNode(msgspec.Struct, frozen=True):
    """A node that does not answer, and since when (seconds since 1970)."""

    name: str
    since: float = 0.0


class GroupBudget(msgspec.Struct, frozen=True):
    """At most `allowed` nodes of a group are away at once. `away` are those that are, and that the rollout does not bring
    forward. `is_quorum`: the group are a cluster's servers, and one that is away counts however long it is.
    """

    name: str
    allowed: int
    away: tuple[AwayNode, ...] = ()
    is_quorum: bool = False


class RolloutOrder(msgspec.Struct, frozen=True):
    """What a rollout is to do. `id` is short hex; `forks` is how many nodes are in flight at once, at most.

    `take_over` is the operator's reason for overruling what nodes say they hold, empty for none. `upkeep` and
    `updates_now` are as in `BatchOrder`. `policy` is the name of the RolloutPolicy that the rest came of, empty for none:
    `stop_at` failures in all stop it (0: any number is borne), and so does a wave that fails, with `on_failure`. Nodes that
    could not be reached are deferred, which is no failure, or count as failed; without a policy they are left undone.
    `break_glass` is the operator's reason for overruling freezes, empty for none. `gates` are asked before each wave and
    after it. `approvers` may let waves begin, as `user` or `user@machine`; none: anybody. `undoes` is the rollout that this one
    rolls back, empty for none; `stays` are nodes that have nothing to go back to.
    """

    id: str
    fleet: str
    commit: str
    controller: str
    waves: tuple[WaveOrder, ...]
    forks: int
    batch_size: int = 50
    take_over: str = ""
    upkeep: bool = False
    updates_now: bool = False
    policy: str = ""
    stop_at: int = 0
    on_failure: Literal["pause", "rollback", "continue"] = "pause"
    budgets: tuple[GroupBudget, ...] = ()
    offline: Literal["leave", "defer", "count"] = "leave"
    timing: Timing = Timing()
    break_glass: str = ""
    gates: tuple[Gate, ...] = ()
    undoes: str = ""
    stays: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    downloads: Downloads = Downloads()

    def may_approve(self, by: str) -> bool:
        """Whether `user@machine` is one of those who may let waves begin."""
        return not self.approvers or by in self.approvers or by.partition("@")[0] in self.approvers

    @property
    def nodes(self) -> tuple[RolloutNode, ...]:
        return tuple(node for wave in self.waves for node in wave.nodes)


class RolloutCounts(msgspec.Struct, frozen=True):
    """Nodes by what came of them; `waiting` have no outcome yet."""

    applied: int = 0
    failed: int = 0
    unreachable: int = 0
    blocked: int = 0
    waiting: int = 0


class RunningBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at` as in the event that started it. `is_back`: its nodes go back, and are in `failed`, not in `in_flight`."""

    batch_id: str
    nodes: tuple[str, ...]
    at: float = 0.0
    is_back: bool = False


class RunningCheck(msgspec.Struct, frozen=True):
    """Gates that were asked, and have not answered; of the wave `index`."""

    check_id: str
    phase: Phase
    index: int

    @property
    def place(self) -> int:
        """Where in the rollout: grows from one check to the next."""
        return 2 * self.index + (self.phase == "after")


class BudgetGroup(msgspec.Struct, frozen=True):
    """A `GroupBudget` and its nodes in the rollout: bit sets `(shift, bits)`, each of nodes that are near each other.

    One bit set of a group would be as long as the order up to its last node, times the number of groups. `is_wide`: its
    nodes are many, or far from each other. `outside` are nodes that are away and not of the order, as in
    `RolloutLayout.outside`.
    """

    name: str
    allowed: int
    is_quorum: bool
    outside: tuple[int, ...]
    pieces: tuple[tuple[int, int], ...]
    is_wide: bool


class RolloutLayout(msgspec.Struct, frozen=True):
    """What follows from an order and never changes: worked out once by `decide.initial`.

    `after[i]` is the node that must be applied before node i, -1 for none; `followers` is the same the other way.
    `waves` are bit sets, `begun[w]` is that of the waves up to w. `crowds` are those of more nodes than may be in flight at once,
    `crowd_of[i]` their numbers for node i. `groups` are those with a budget, `member_of[i]` their indexes for node i; `away` is the bit set of
    nodes that are away already. `outside` are others that are away: the first one's index is the number of nodes. `zones`
    are the time zones, each with the bit set of its nodes.
    """

    nodes: tuple[RolloutNode, ...]
    index: dict[str, int]
    after: tuple[int, ...]
    followers: dict[int, tuple[int, ...]]
    waves: tuple[int, ...]
    begun: tuple[int, ...]
    crowds: tuple[Crowd, ...]
    crowd_of: dict[int, tuple[int, ...]]
    groups: tuple[BudgetGroup, ...]
    member_of: tuple[tuple[int, ...], ...]
    away: int
    outside: tuple[str, ...] = ()
    zones: tuple[tuple[str, int], ...] = ()


class RolloutState(msgspec.Struct, frozen=True):
    """How far a rollout has come. Changed by `decide.evolve` only; kept as a `RolloutSnapshot`.

    `wave` is the one that runs (-1: none yet), `batches` how many were ever started. A node is in at most one of the
    sets `ready`, `in_flight`, `applied`, `failed`, `unreachable` and `blocked`; in none: it waits for another node.
    `is_held`: the policy paused it, and nobody went on since. `has_failed`: the wave that runs has failed. `forgiven` are
    nodes without success that were there when somebody went on after such a pause, and those that they block since: no
    threshold counts them any more.
    `soaks_until`: when the wave that runs has soaked, 0 before its soak begins; `is_over`: the next one may come. `asked` is
    the last wave that somebody was asked to approve, `approved` the last one that somebody did; `wait` is what was last
    told. No node begins before `paced_until`. `lost` are nodes that do not answer, by when they will have been away too long;
    `lapsed` are those that are (nodes outside the order, too). `is_barred`: some can never begin under the policy.
    `checking` are the gates that are being asked, `checks` how many times any were. `gated` is the last place (as in
    `RunningCheck`) where they let the rollout go on, `doubted` one where they did not pass and have not since, -1 for none.
    `unready` is as in `GateOrder`; `asking` are the nodes that gates after a wave are asked about, `proven` those about which
    they were, and went on; `unhealthy` those that were applied and failed at one (they are in `failed`): of them `undone` are
    back at what they held before, and `stuck` could not go back.
    """

    order: RolloutOrder
    layout: RolloutLayout
    version: int = STATE_VERSION
    status: RolloutStatus = "new"
    epoch: int = 0
    controller: str = ""
    reason: str = ""
    wave: int = -1
    batches: int = 0
    running: tuple[RunningBatch, ...] = ()
    ready: int = 0
    in_flight: int = 0
    applied: int = 0
    failed: int = 0
    unreachable: int = 0
    blocked: int = 0
    is_held: bool = False
    has_failed: bool = False
    forgiven: int = 0
    soaks_until: float = 0.0
    is_over: bool = False
    asked: int = -1
    approved: int = -1
    wait: Wait | None = None
    paced_until: float = 0.0
    lost: tuple[tuple[float, int], ...] = ()
    lapsed: int = 0
    is_barred: bool = False
    checking: RunningCheck | None = None
    checks: int = 0
    gated: int = -1
    doubted: int = -1
    unready: tuple[str, ...] = ()
    unhealthy: int = 0
    asking: int = 0
    proven: int = 0
    undone: int = 0
    stuck: int = 0

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def finals(self) -> int:
        return self.applied | self.failed | self.unreachable | self.blocked

    def counts(self, among: int = -1) -> RolloutCounts:
        """Counts of the nodes in the bit set `among`; -1, every bit, is all of them."""
        total = (((1 << len(self.layout.nodes)) - 1) & among).bit_count()
        return RolloutCounts(
            applied=(self.applied & among).bit_count(),
            failed=(self.failed & among).bit_count(),
            unreachable=(self.unreachable & among).bit_count(),
            blocked=(self.blocked & among).bit_count(),
            waiting=total - (self.finals & among).bit_count(),
        )


class RolloutSummary(msgspec.Struct, frozen=True):
    """A line of the list of rollouts. Times are seconds since 1970; `nodes` is the size of the order."""

    id: str
    fleet: str
    commit: str
    controller: str
    nodes: int
    status: RolloutStatus
    started_at: float
    updated_at: float
