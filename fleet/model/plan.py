"""A Plan: changes, every rule's verdict, and the blast radius. Saved as JSON, `fleet.plan/v1` (decision 8)."""

from __future__ import annotations

import msgspec

from fleet.model.change import Change, NodeChange
from fleet.model.fleet import Walk
from fleet.model.tree import Revision
from fleet.model.verdict import Verdict


class Scope(msgspec.Struct, frozen=True):
    """What --site, --selector and --limit left. Empty: everything. `limit` is a count of nodes, 0 for none."""

    sites: tuple[str, ...] = ()
    selector: str = ""
    nodes: tuple[str, ...] = ()
    limit: int = 0

    @property
    def is_everything(self) -> bool:
        return not (self.sites or self.selector or self.nodes or self.limit)


EVERYTHING = Scope()


class ChangeGroup(msgspec.Struct, frozen=True):
    """Equal changes of many nodes. `diff` holds lines of a unified diff without headers, cut when long.

    `sample` names up to three nodes.
    """

    change: Change
    nodes: int
    sites: int
    diff: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()


class BlastRadius(msgspec.Struct, frozen=True):
    """What carrying out the plan touches. `mirror_bytes` is what nodes fetch; `downtime_sites` have one server that
    restarts; `clusters_upgraded` change K3s's version; `quorum_lost` is 0 in every plan that is not refused.
    """

    nodes: int = 0
    sites: int = 0
    clusters: int = 0
    servers: int = 0
    restarts: dict[str, int] = {}
    clusters_upgraded: int = 0
    quorum_lost: int = 0
    downtime_sites: int = 0
    downtime_seconds: int = 0
    mirror_bytes: int = 0


class PlannedWave(msgspec.Struct, frozen=True):
    """`units` are clusters and hosts without one, or nodes, as the policy counts them. `matches_nothing`: no node of the
    fleet is what its selector asks for.
    """

    name: str
    nodes: int
    units: int
    needs_approval: bool = False
    matches_nothing: bool = False


class PlannedTime(msgspec.Struct, frozen=True):
    """What a policy says of time; seconds. `window` are cron's five fields, `zone` whose; `shut` nodes cannot begin now, the
    first of them at `opens` (seconds since 1970; 0 for never).
    """

    window: str = ""
    zone: str = ""
    window_seconds: float = 0.0
    shut: int = 0
    opens: float = 0.0
    freeze: str = ""
    soak: float = 0.0
    rate: float = 0.0


class Forecast(msgspec.Struct, frozen=True):
    """How long a plan takes in seconds, waits included, if nothing fails and nobody goes away: until `ends` (seconds since
    1970), with `forks` nodes at once, and each batch `batch_seconds`, the median of `measured` batches of earlier rollouts (0:
    assumed). `approvals` are waited for besides.

    `windows` counts the days on which a window lets nodes begin; `at_night`: each of them opens between 18 and 6 o'clock.
    `left` are nodes that cannot begin: they are away, or wait for what is, or no window of theirs ever opens.
    """

    seconds: float = 0.0
    ends: float = 0.0
    windows: int = 0
    at_night: bool = False
    approvals: int = 0
    left: int = 0
    batch_seconds: float = 0.0
    measured: int = 0
    forks: int = 0


class PlannedBudget(msgspec.Struct, frozen=True):
    """`groups` are those in which a node changes, `stuck` names those whose budget lets no node change. `lacking` counts,
    for each label that makes a group, the nodes that do not have it: they are a group of their own.
    """

    groups: int = 0
    stuck: tuple[str, ...] = ()
    lacking: dict[str, int] = {}


class Plan(msgspec.Struct, frozen=True):
    """`nodes` are the changing ones in the order of site and name; the counts speak of the scope."""

    fleet: str
    revision: Revision
    tree_digest: str
    scope: Scope
    total: int
    staying: int
    removed: tuple[str, ...]
    nodes: tuple[NodeChange, ...]
    groups: tuple[ChangeGroup, ...]
    verdicts: tuple[Verdict, ...]
    radius: BlastRadius
    reported: int = 0
    """How many nodes of the scope have ever told what they hold."""
    unenforced: tuple[str, ...] = ()
    pending: dict[str, int] = {}
    sandbox: str = ""
    rebooting_later: tuple[str, ...] = ()
    """Nodes on which a reboot is due, whose window is shut."""
    next_window: float = 0.0
    """When the first of their windows opens, in seconds since 1970; 0 for never."""
    adopting: tuple[str, ...] = ()
    """Nodes on which something waits to be taken: left alone until then."""
    draining: tuple[str, ...] = ()
    """Servers whose pods are moved away first, unless `apply` is told not to talk to Kubernetes."""
    confirming: tuple[str, ...] = ()
    """Nodes whose way in changes: each is confirmed over a new connection, or undoes it."""
    walking: tuple[Walk, ...] = ()
    """Clusters that are more than one minor behind: what the plan says is their next step, and not their last one."""

    held_back: dict[str, tuple[str, ...]] = {}
    """Nodes that keep what they have, because what git wants was rolled back: by the rollout that brought it."""

    waves: tuple[PlannedWave, ...] = ()
    budget: PlannedBudget = PlannedBudget()
    time: PlannedTime = PlannedTime()
    gates: tuple[str, ...] = ()
    """What is asked before each wave and after it."""
    rolls_back: bool = False
    """Whether a failure rolls back what the rollout brought."""
    away: tuple[str, ...] = ()
    """Nodes that were there once and do not answer: they use budgets up."""
    policy: str = ""
    """The RolloutPolicy that was asked for instead of the fleet's own."""
    forecast: Forecast | None = None
    """None without a policy, or where nothing changes."""

    @property
    def refused(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.outcome == "refused")
