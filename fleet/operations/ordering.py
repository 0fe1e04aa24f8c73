"""A plan as an order: its waves and budgets, as the fleet's policy wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from fleet.model.check import Missing
from fleet.model.plan import Plan, PlannedBudget, PlannedWave
from fleet.model.policy import NodeGroup, RolloutPolicy
from fleet.model.rollout import GroupBudget, RolloutNode, WaveOrder
from fleet.operations.intent import Intent
from fleet.resolve import budgets, waves


def in_waves(intent: Intent, plan: Plan, gone: Missing) -> Plan:
    """The plan with its policy, waves and budgets. `gone` are nodes that were asked just now, and are not as they were."""
    changing = {change.node for change in plan.nodes}
    # What never held anything cannot be missed; what was sent something last, and did not answer, is.
    silent = {name for name, how in gone.items() if how == "silent"}
    away = tuple(sorted(name for name in silent.union(intent.unanswered) if intent.held(name)))
    found = waves(intent.fleet, changing) if changing else ()
    return msgspec.structs.replace(
        plan,
        waves=tuple(PlannedWave(wave.name, len(wave.nodes), wave.units) for wave in found),
        budget=_budget(budgets(intent.fleet, changing, away)),
        away=away,
        policy=intent.policy,
    )


def _budget(groups: Collection[NodeGroup]) -> PlannedBudget:
    lacking: Counter[str] = Counter()
    for group in groups:
        for label in group.lacking:
            lacking[label] += len(group.nodes)
    return PlannedBudget(len(groups), tuple(group.name for group in groups if not group.allowed), dict(lacking))


def wave_orders(intent: Intent, plan: Plan) -> tuple[tuple[WaveOrder, ...], tuple[GroupBudget, ...]]:
    """The waves of a plan, and the budgets that its nodes use up."""
    changing = {change.node for change in plan.nodes}
    groups = budgets(intent.fleet, changing, plan.away)
    nodes = _rollout_nodes(intent, plan, groups)
    made = tuple(
        WaveOrder(wave.name, tuple(nodes[name] for name in wave.nodes), wave.success_threshold, wave.min_finished)
        for wave in waves(intent.fleet, changing)
    )
    missing = set(plan.away) - changing
    kept = tuple(
        GroupBudget(group.name, group.allowed, tuple(name for name in group.nodes if name in missing))
        for group in groups
    )
    return made, kept


def stop_at(policy: RolloutPolicy | None, nodes: int) -> int:
    """The failure of a rollout of so many nodes that pauses it: the first one where none may fail; 0 for none."""
    if policy is None or policy.max_failures is None:
        return 0
    return max(1, policy.max_failures.of(nodes))


def _rollout_nodes(intent: Intent, plan: Plan, groups: Collection[NodeGroup]) -> Mapping[str, RolloutNode]:
    ranks = {name: at for cluster in intent.fleet.clusters.values() for at, name in enumerate(cluster.servers)}
    member_of: dict[str, tuple[str, ...]] = {}
    for group in groups:
        for name in group.nodes:
            member_of[name] = (*member_of.get(name, ()), group.name)
    silent = frozenset(plan.away)
    return {
        change.node: RolloutNode(
            name=change.node,
            site=change.site,
            cluster=change.cluster,
            role=change.role,  # type: ignore[arg-type]  # NodeChange takes it from a Node
            rank=ranks.get(change.node, 0),
            base=change.base,
            wanted=change.wanted,
            sent=intent.unanswered.get(change.node, ()),
            groups=member_of.get(change.node, ()),
            is_away=change.node in silent,
        )
        for change in plan.nodes
    }
