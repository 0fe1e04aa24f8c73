"""A Plan as JSON for programs: `fleet.plan-report/v1`, additive, whose schema `fleet schema --output plan` prints.

It is what `fleet plan --json` prints. The saved plan that `fleet apply` takes is another document (`fleet.plan/v1`).
"""

from __future__ import annotations

import msgspec

from fleet.model.fleet import Walk
from fleet.model.plan import BlastRadius, ChangeGroup, Forecast, Plan, PlannedBudget, PlannedTime, Scope
from fleet.model.tree import Revision

FORMAT = "fleet.plan-report/v1"


class PlannedNode(msgspec.Struct, frozen=True):
    """One node that changes. `base` is the digest that it holds, empty for none; `wanted` the one that git wants."""

    node: str
    site: str
    cluster: str
    role: str
    base: str
    wanted: str


class ReportedVerdict(msgspec.Struct, frozen=True):
    """`outcome` is refused or warning; `where` is file:line:col, empty where nothing in the spec is to blame."""

    rule: str
    outcome: str
    subject: str
    message: str
    hint: str
    where: str
    page: str


class Wave(msgspec.Struct, frozen=True):
    name: str
    nodes: int


class PlanReport(msgspec.Struct, frozen=True):
    """`changing`, `staying` and `removed` speak of `scope`; `reported` nodes have told what they hold."""

    format: str
    fleet: str
    revision: Revision
    tree_digest: str
    scope: Scope
    sandbox: str
    total: int
    reported: int
    changing: int
    staying: int
    is_refused: bool
    removed: tuple[str, ...]
    groups: tuple[ChangeGroup, ...]
    waves: tuple[Wave, ...]
    radius: BlastRadius
    verdicts: tuple[ReportedVerdict, ...]
    pending: dict[str, int]
    unenforced: tuple[str, ...]
    nodes: tuple[PlannedNode, ...]
    adopting: tuple[str, ...] = ()
    """Nodes that are being adopted, and on which something waits to be taken."""
    rebooting_later: tuple[str, ...] = ()
    """Nodes on which a reboot is due, whose window is shut."""
    next_window: float = 0.0
    draining: tuple[str, ...] = ()
    """Servers whose pods are moved away before K3s is exchanged there."""
    confirming: tuple[str, ...] = ()
    """Nodes whose way in changes: each is confirmed over a new connection, or undoes it."""
    walking: tuple[Walk, ...] = ()
    budget: PlannedBudget = PlannedBudget()
    time: PlannedTime = PlannedTime()
    away: tuple[str, ...] = ()
    """Nodes that were there once and do not answer: they use budgets up."""
    policy: str = ""
    """The RolloutPolicy that was asked for instead of the fleet's own."""
    gates: tuple[str, ...] = ()
    """What is asked before each wave and after it."""
    rolls_back: bool = False
    held_back: dict[str, tuple[str, ...]] = {}
    """Nodes that keep what they have because what git wants was rolled back, by the rollout that brought it."""
    forecast: Forecast | None = None
    """How long it takes. None without a policy, or where nothing changes."""


def plan_document(plan: Plan) -> PlanReport:
    """The report as a value; `msgspec.json.encode` makes the text."""
    return PlanReport(
        format=FORMAT,
        fleet=plan.fleet,
        revision=plan.revision,
        tree_digest=plan.tree_digest,
        scope=plan.scope,
        sandbox=plan.sandbox,
        total=plan.total,
        reported=plan.reported,
        changing=len(plan.nodes),
        staying=plan.staying,
        is_refused=bool(plan.refused),
        removed=plan.removed,
        groups=plan.groups,
        waves=tuple(Wave(wave.name, wave.nodes) for wave in plan.waves),
        radius=plan.radius,
        verdicts=tuple(
            ReportedVerdict(v.rule, v.outcome, v.subject, v.message, v.hint, v.where, f"docs/rules/{v.rule}.md")
            for v in plan.verdicts
        ),
        pending=plan.pending,
        unenforced=plan.unenforced,
        nodes=tuple(PlannedNode(n.node, n.site, n.cluster, n.role, n.base, n.wanted) for n in plan.nodes),
        adopting=plan.adopting,
        rebooting_later=plan.rebooting_later,
        next_window=plan.next_window,
        draining=plan.draining,
        confirming=plan.confirming,
        walking=plan.walking,
        budget=plan.budget,
        time=plan.time,
        away=plan.away,
        policy=plan.policy,
        gates=plan.gates,
        rolls_back=plan.rolls_back,
        held_back=plan.held_back,
        forecast=plan.forecast,
    )
