"""Nodes that a gate was against go back while the rollout goes on (`onFailure: rollback`).

They have failed, and use up budgets already. But who is ill may still serve, so no more nodes of a group go back at once than
may be away; a cluster's servers go one at a time, and before its agents. Windows and rates are not waited for: what hurts is
to end.
"""

from __future__ import annotations

from fleet.decide.checked import returning
from fleet.decide.course import Course
from fleet.decide.layout import bits, members
from fleet.model import event as ev
from fleet.model.batch import NodeResult
from fleet.model.rollout import RolloutState, RunningBatch


def owed(state: RolloutState) -> int:
    """Nodes that are still to go back, or on their way. What held nothing before has nothing to go back to."""
    if state.order.on_failure != "rollback":
        return 0
    ill = state.unhealthy & ~(state.undone | state.stuck)
    return bits(i for i in members(ill) if state.layout.nodes[i].base) if ill else 0


def next_back(state: RolloutState) -> tuple[str, ...]:
    """The nodes that may go back now."""
    waiting = owed(state)
    if not waiting:
        return ()
    nodes = state.layout.nodes
    under_way = returning(state)
    waiting &= ~under_way
    busy = state.in_flight | under_way
    room = min(state.order.batch_size, state.order.forks - busy.bit_count())
    first = {nodes[i].cluster for i in members(waiting | under_way) if nodes[i].role == "server"}
    names: list[str] = []
    for index in members(waiting):
        node = nodes[index]
        if len(names) >= room:
            break
        if (node.role == "agent" and node.cluster in first) or _has_no_room(state, index, busy):
            continue
        busy |= 1 << index
        names.append(node.name)
    return tuple(names)


def _has_no_room(state: RolloutState, index: int, busy: int) -> bool:
    nodes, groups = state.layout.nodes, state.layout.groups
    node = nodes[index]
    if node.role == "server" and any(
        nodes[i].role == "server" and nodes[i].cluster == node.cluster for i in members(busy)
    ):
        return True
    return any(
        sum((busy >> shift & those).bit_count() for shift, those in groups[number].pieces)
        >= max(1, groups[number].allowed)
        for number in state.layout.member_of[index]
    )


def settle_back(course: Course, batch: RunningBatch, result: NodeResult) -> None:
    node = course.layout.nodes[course.layout.index[result.node]]
    if result.outcome == "applied" and result.digest == node.base:
        course.add(
            ev.NodeRolledBack(
                node.name, node.site, batch.batch_id, result.digest, result.changed, result.restarted, result.warnings
            )
        )
        return
    reason = result.reason or f"it holds {result.digest or 'no digest'} after the batch, and held {node.base} before"
    course.add(ev.NodeNotRolledBack(node.name, node.site, batch.batch_id, reason))
