"""What rollouts left behind, and is still to become what they brought: nodes that were deferred, and nodes that failed."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.model import event as ev
from fleet.model.plan import Plan
from fleet.model.rollout import ENDED
from fleet.ports.journal import Journal


def deferred(journal: Journal, plan: Plan) -> tuple[str, ...]:
    """Nodes that could not be reached, or waited for one that could not, in the newest rollout that brought them what the
    plan brings.
    """
    wanted = {change.node: change.wanted for change in plan.nodes}
    found: set[str] = set()
    for rollout in journal.rollouts():
        if not wanted:
            break
        if rollout.status in ENDED:
            sent = {node.name: node.wanted for node in journal.order(rollout.id).nodes}
            here = {name for name, digest in wanted.items() if sent.get(name) == digest}
            if here:
                away, _ = left(entry.event for entry in journal.read(rollout.id))
                found |= away & here
                wanted = {name: digest for name, digest in wanted.items() if name not in here}
    return tuple(change.node for change in plan.nodes if change.node in found)


def failed(journal: Journal, rollout_id: str, plan: Plan) -> tuple[str, ...]:
    """Nodes that failed in a rollout, or waited for one that did, and are still to become what it brought. Raises UsageError
    for a rollout that is not known.
    """
    sent = {node.name: node.wanted for node in journal.order(rollout_id).nodes}
    _, broken = left(entry.event for entry in journal.read(rollout_id))
    return tuple(change.node for change in plan.nodes if change.node in broken and sent[change.node] == change.wanted)


def left(events: Iterable[ev.Event]) -> tuple[set[str], set[str]]:
    """Nodes that a rollout left undone because of who was away, and because of who failed."""
    away: set[str] = set()
    broken: set[str] = set()
    for event in events:
        match event:
            case ev.NodeUnreachable():
                away.add(event.node)
            case ev.NodeFailed() | ev.NodeUnhealthy():
                broken.add(event.node)
            case ev.NodeBlocked():
                (broken if event.by in broken else away).add(event.node)
            case _:
                continue
    return away, broken
