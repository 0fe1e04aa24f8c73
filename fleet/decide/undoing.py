"""A rollout that rolls back another one: itself a rollout, in reverse order, under the same budgets.

Nobody is asked, no gate and no window is waited for: what hurts is to end. It goes on where nodes fail, so that one that
cannot go back keeps no other one from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from fleet.decide.layout import members
from fleet.model.rollout import AwayNode, GroupBudget, RolloutNode, RolloutOrder, RolloutState, WaveOrder
from fleet.model.window import Timing


def undoing(state: RolloutState, rollout_id: str, only: Collection[str] = ()) -> RolloutOrder | None:
    """What brings back what a rollout that has ended brought, as rollout `rollout_id`; None where there is nothing. Of the
    nodes `only`, of all where there are none.

    Nodes that failed or never answered may hold what they were sent. One that held nothing before has nothing to go back
    to, and stays as it is.
    """
    order, nodes = state.order, state.layout.nodes
    touched = {nodes[i].name for i in members((state.applied | state.failed | state.unreachable) & ~state.undone)}
    touched &= set(only) or touched
    away = _away(state)
    waves = [[node for node in wave.nodes if node.name in touched and node.base] for wave in reversed(order.waves)]
    if not any(waves):
        return None
    behind = _behind_servers(waves)
    names = [wave.name for wave in reversed(order.waves)]
    return replace(
        order,
        id=rollout_id,
        undoes=order.id,
        stays=tuple(node.name for node in nodes if node.name in touched and not node.base),
        waves=tuple(
            WaveOrder(name, tuple(_back(node, away) for node in wave))
            for name, wave in zip(names, behind, strict=True)
            if wave
        ),
        budgets=_budgets(order, away, {node.name for wave in waves for node in wave}),
        stop_at=0,
        on_failure="continue",
        gates=(),
        timing=Timing(deadline=order.timing.deadline, offline_after=order.timing.offline_after),
        upkeep=False,
        updates_now=False,
        break_glass="",
    )


def _behind_servers(waves: list[list[RolloutNode]]) -> list[list[RolloutNode]]:
    """An agent whose server went first went later, and goes back with it: servers come first, always."""
    last = {node.cluster: at for at, wave in enumerate(waves) for node in wave if node.role == "server"}
    found: list[list[RolloutNode]] = [[] for _ in waves]
    for at, wave in enumerate(waves):
        for node in wave:
            found[max(at, last.get(node.cluster, 0)) if node.role == "agent" else at].append(node)
    return found


def back(node: RolloutNode) -> RolloutNode:
    """The node on its way back to what it held before, and has kept."""
    sent = (*node.sent, node.base)
    return replace(node, base=node.wanted, wanted=node.base, sent=sent, may_reboot=False, downloads=False)


def _back(node: RolloutNode, away: Mapping[str, float]) -> RolloutNode:
    return replace(back(node), is_away=node.name in away, away_since=away.get(node.name, 0.0))


def _away(state: RolloutState) -> dict[str, float]:
    """Nodes that do not answer, as far as the rollout knows, and since when: they use budgets up on the way back as well."""
    since = {i: moment - state.order.timing.offline_after for moment, those in state.lost for i in members(those)}
    gone = members(state.unreachable | (state.layout.away & ~(state.applied | state.unhealthy)))
    return {state.layout.nodes[i].name: state.layout.nodes[i].away_since or since.get(i, 0.0) for i in gone}


def _budgets(order: RolloutOrder, away: Mapping[str, float], going: Collection[str]) -> tuple[GroupBudget, ...]:
    """As they were, with those that are away and do not go back."""
    more: dict[str, list[AwayNode]] = {}
    for node in order.nodes:
        if node.name in away and node.name not in going:
            for group in node.groups:
                more.setdefault(group, []).append(AwayNode(node.name, away[node.name]))
    return tuple(replace(each, away=(*each.away, *more.get(each.name, ()))) for each in order.budgets)
