"""A plan as an order: its waves and budgets, as the fleet's policy wants them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from fleet.decide.forecast import forecast
from fleet.decide.windows import freeze_at, span
from fleet.estimate import downloads
from fleet.model.check import Missing
from fleet.model.plan import Forecast, Plan, PlannedBudget, PlannedTime, PlannedWave
from fleet.model.policy import NodeGroup, RolloutPolicy, Wave
from fleet.model.rollout import AwayNode, GroupBudget, RolloutNode, RolloutOrder, WaveOrder
from fleet.operations.gating.answers import named
from fleet.operations.intent import Intent
from fleet.operations.pace import Pace
from fleet.resolve import budgets, matches_nothing, waves


def in_waves(intent: Intent, plan: Plan, gone: Missing, now: float = 0.0, pace: Pace | None = None) -> Plan:
    """The plan with its policy, waves, budgets and windows. `gone` are nodes that were asked just now, and are not as they were;
    `now` in seconds since 1970. With a `pace`, how long it takes under a policy.
    """
    changing = {change.node for change in plan.nodes}
    # What never held anything cannot be missed; who did not answer the last look, or what was sent last, is.
    silent = intent.silent.union(name for name, how in gone.items() if how == "silent")
    away = tuple(sorted(name for name in silent.union(intent.unanswered) if intent.held(name)))
    found = waves(intent.fleet, changing) if changing else ()
    groups = budgets(intent.fleet, changing, away)
    idle, policy = matches_nothing(intent.fleet), intent.fleet.policy
    plan = msgspec.structs.replace(
        plan,
        waves=tuple(
            PlannedWave(wave.name, len(wave.nodes), wave.units, wave.needs_approval, wave.name in idle)
            for wave in found
        ),
        time=_time(intent, plan, now),
        budget=_budget(groups),
        away=away,
        policy=intent.policy,
        gates=tuple(named(gate, "{wave}") for gate in policy.gates) if policy else (),
        rolls_back=policy is not None and policy.on_failure == "rollback",
    )
    if pace is None or policy is None or not changing:
        return plan
    return msgspec.structs.replace(plan, forecast=_forecast(intent, plan, found, groups, pace))


def _forecast(intent: Intent, plan: Plan, waves: Sequence[Wave], groups: Sequence[NodeGroup], pace: Pace) -> Forecast:
    made, kept = _orders(intent, plan, waves, groups, dict.fromkeys(plan.away, pace.now))
    limits = intent.fleet.downloads
    order = RolloutOrder(plan.policy, plan.fleet, "", "", made, pace.forks, budgets=kept, downloads=limits)
    told = forecast(policed(order, intent), pace.batch_seconds, pace.now)
    return msgspec.structs.replace(told, measured=pace.measured)


def _time(intent: Intent, plan: Plan, now: float) -> PlannedTime:
    policy = intent.fleet.policy
    if policy is None:
        return PlannedTime()
    timing, schedule = policy.timing, policy.timing.schedule
    if schedule is None:
        return PlannedTime(soak=timing.soak, rate=timing.rate)
    nodes = Counter(intent.fleet.sites[change.site].time_zone for change in plan.nodes)
    spans = {zone: span(schedule, zone, now) for zone in nodes}
    shut = [zone for zone, each in spans.items() if not each.is_open]
    frozen = next((freeze for zone in shut if (freeze := freeze_at(schedule, zone, now))), None)
    return PlannedTime(
        window=schedule.at,
        zone=schedule.zone,
        window_seconds=schedule.seconds,
        shut=sum(nodes[zone] for zone in shut),
        opens=min((spans[zone].end for zone in shut if not math.isinf(spans[zone].end)), default=0.0),
        freeze=(frozen.reason or "a freeze") if frozen else "",
        soak=timing.soak,
        rate=timing.rate,
    )


def _budget(groups: Collection[NodeGroup]) -> PlannedBudget:
    lacking: Counter[str] = Counter()
    for group in groups:
        for label in group.lacking:
            lacking[label] += len(group.nodes)
    return PlannedBudget(len(groups), tuple(group.name for group in groups if not group.allowed), dict(lacking))


def wave_orders(
    intent: Intent, plan: Plan, since: Mapping[str, float]
) -> tuple[tuple[WaveOrder, ...], tuple[GroupBudget, ...]]:
    """The waves of a plan, and the budgets that its nodes use up. `since` tells when those that are away answered last."""
    changing = {change.node for change in plan.nodes}
    groups = budgets(intent.fleet, changing, plan.away)
    return _orders(intent, plan, waves(intent.fleet, changing), groups, since)


def _orders(
    intent: Intent, plan: Plan, waves: Sequence[Wave], groups: Sequence[NodeGroup], since: Mapping[str, float]
) -> tuple[tuple[WaveOrder, ...], tuple[GroupBudget, ...]]:
    nodes = _rollout_nodes(intent, plan, groups, since)
    made = tuple(
        WaveOrder(
            wave.name,
            tuple(nodes[name] for name in wave.nodes),
            wave.success_threshold,
            wave.min_finished,
            wave.needs_approval,
        )
        for wave in waves
    )
    missing = set(plan.away) - nodes.keys()
    kept = tuple(
        GroupBudget(
            group.name,
            group.allowed,
            tuple(AwayNode(name, since[name]) for name in group.nodes if name in missing),
            group.is_quorum,
        )
        for group in groups
    )
    return made, kept


def in_one(name: str, waves: Sequence[WaveOrder]) -> tuple[WaveOrder, ...]:
    """All nodes in one wave, which proves nothing and asks nobody: their rollout did."""
    return (WaveOrder(name, tuple(node for wave in waves for node in wave.nodes)),)


def policed(order: RolloutOrder, intent: Intent) -> RolloutOrder:
    """The order as the fleet's policy wants it; as it is where the fleet has none."""
    policy = intent.fleet.policy
    if policy is None:
        return order
    timing = policy.timing
    if order.break_glass and timing.schedule:
        melted = msgspec.structs.replace(timing.schedule, freezes=())
        timing = msgspec.structs.replace(timing, schedule=melted if melted.at else None)
    if timing.schedule:
        zones = {node.site: intent.fleet.sites[node.site].time_zone for node in order.nodes}
        timing = msgspec.structs.replace(timing, zones=zones)
    return msgspec.structs.replace(
        order,
        policy=policy.name,
        batch_size=policy.batch_size,
        stop_at=stop_at(policy, len(order.nodes)),
        on_failure=policy.on_failure,
        offline=policy.offline,
        timing=timing,
        gates=policy.gates,
        approvers=policy.approvers,
    )


def stop_at(policy: RolloutPolicy, nodes: int) -> int:
    """The failure of a rollout of so many nodes that pauses it: the first one where none may fail; 0 for none."""
    if policy.max_failures is None:
        return 0
    return max(1, policy.max_failures.of(nodes))


def _rollout_nodes(
    intent: Intent, plan: Plan, groups: Collection[NodeGroup], since: Mapping[str, float]
) -> Mapping[str, RolloutNode]:
    ranks = {name: at for cluster in intent.fleet.clusters.values() for at, name in enumerate(cluster.servers)}
    member_of: dict[str, tuple[str, ...]] = {}
    for group in groups:
        for name in group.nodes:
            member_of[name] = (*member_of.get(name, ()), group.name)
    silent = frozenset(plan.away)
    kept_up = ((node.name, node.settings.os.updates) for node in intent.fleet.nodes)
    rebooting = {name for name, updates in kept_up if updates.are_wanted and updates.reboot == "window"}
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
            away_since=since.get(change.node, 0.0),
            may_reboot=change.node in rebooting,
            downloads=downloads(change),
        )
        for change in plan.nodes
    }
