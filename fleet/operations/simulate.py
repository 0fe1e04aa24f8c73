"""simulate: the order that apply would start, made ready to be rehearsed. Nothing of it reaches a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fleet.errors import UsageError
from fleet.formats.words import count, some
from fleet.model.change import NodeChange
from fleet.model.plan import BlastRadius, Plan, Scope
from fleet.model.rollout import RolloutNode, RolloutOrder
from fleet.model.simulation import RehearsalOrder
from fleet.operations.apply import ApplyOptions, order_of
from fleet.operations.intent import Intent
from fleet.operations.ordering import in_waves, stop_at
from fleet.ports.records import Records
from fleet.resolve import in_scope

_ID, _CONTROLLER = "5ee0", "fleet simulate"
_BEFORE, _AFTER = "b1:before", "b1:after"


def everything(intent: Intent, scope: Scope) -> Plan:
    """A plan in which every node of the scope changes, as if each of them held something already."""
    nodes = in_scope(intent.fleet, scope)
    changing = tuple(
        NodeChange(
            node=node.name, site=node.site, cluster=node.cluster, role=node.role,
            base=intent.held(node.name) or _BEFORE, wanted=_AFTER, changes=(),
        )
        for node in nodes
        if not intent.is_waiting(node.name)
    )  # fmt: skip
    made = Plan(
        fleet=intent.fleet.name,
        revision=intent.tree.revision,
        tree_digest=intent.spec.digest,
        scope=scope,
        total=len(nodes),
        staying=len(nodes) - len(changing),
        removed=(),
        nodes=changing,
        groups=(),
        verdicts=(),
        radius=BlastRadius(),
        unenforced=intent.fleet.unenforced,
    )
    return in_waves(intent, made, {})


def rehearsal_of(intent: Intent, plan: Plan, records: Records, options: ApplyOptions, nodes: int = 0) -> RehearsalOrder:
    """`nodes`: as many, in copies of the whole plan, rounded up; 0 for those of the plan. Raises UsageError where nothing
    is to be rehearsed, or fewer nodes are wanted than change.
    """
    if not plan.nodes:
        raise _nothing(intent, plan)
    if 0 < nodes < len(plan.nodes):
        raise UsageError(
            f"--nodes {nodes:,} is less than the {count(len(plan.nodes), 'node')} that change",
            "--site, --selector, --node and --limit leave nodes out.",
        )
    times = -(-nodes // len(plan.nodes)) or 1
    order = msgspec.structs.replace(order_of(intent, plan, records, _CONTROLLER, options), id=_ID)
    if intent.fleet.policy is not None:
        order = msgspec.structs.replace(order, stop_at=stop_at(intent.fleet.policy, times * len(plan.nodes)))
    zones = {name: site.time_zone for name, site in intent.fleet.sites.items()}
    return RehearsalOrder(
        order=copied(order, times),
        zones=_zones(zones, times),
        notes=tuple(_notes(plan)),
        copies=times,
    )


def copied(order: RolloutOrder, times: int) -> RolloutOrder:
    """The order of a fleet that is so many times as large: each site, cluster and group comes so often, in the same wave."""
    if times == 1:
        return order
    waves = tuple(
        msgspec.structs.replace(wave, nodes=tuple(_copy(node, at) for at in range(times) for node in wave.nodes))
        for wave in order.waves
    )
    budgets = tuple(
        msgspec.structs.replace(
            group,
            name=_nth(group.name, at),
            away=tuple(msgspec.structs.replace(gone, name=_nth(gone.name, at)) for gone in group.away),
        )
        for at in range(times)
        for group in order.budgets
    )
    timing = msgspec.structs.replace(order.timing, zones=_zones(order.timing.zones, times))
    return msgspec.structs.replace(order, waves=waves, budgets=budgets, timing=timing)


def _copy(node: RolloutNode, at: int) -> RolloutNode:
    return msgspec.structs.replace(
        node,
        name=_nth(node.name, at),
        site=_nth(node.site, at),
        cluster=node.cluster and _nth(node.cluster, at),
        groups=_all_nth(node.groups, at),
    )


def _zones(zones: Mapping[str, str], times: int) -> dict[str, str]:
    return {_nth(site, at): zone for site, zone in zones.items() for at in range(times)}


def _nth(name: str, at: int) -> str:
    return f"{name}~{at + 1}" if at else name


def _all_nth(names: Iterable[str], at: int) -> tuple[str, ...]:
    return tuple(_nth(name, at) for name in names)


def _notes(plan: Plan) -> Iterator[str]:
    if plan.refused:
        yield f"fleet apply would not begin: {count(len(plan.refused), 'change')} refused (fleet plan shows why)"
    if plan.unenforced:
        yield f"declared, but not enforced yet: {', '.join(plan.unenforced)}"
    if plan.walking:
        clusters = sorted({walk.cluster for walk in plan.walking})
        yield f"the first of several rollouts: K3s goes up step by step in {some(clusters)}"
    if plan.budget.stuck:
        yield f"the budget of {some(plan.budget.stuck)} lets no node change"


def _nothing(intent: Intent, plan: Plan) -> UsageError:
    if not intent.fleet.nodes:
        return UsageError(f"fleet {intent.fleet.name} has no node to rehearse with", "Add a Site that has nodes.")
    if not plan.total:
        return UsageError("no node is in this scope", "fleet node list shows all of them.")
    return UsageError(
        f"nothing to rehearse: {count(plan.total, 'node')} hold what git wants",
        "--all rehearses a change of every node.",
    )
