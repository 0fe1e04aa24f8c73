"""rollout rollback of a part: the nodes of some waves, and some nodes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from fleet.errors import UsageError
from fleet.formats.words import some
from fleet.model.rollout import RolloutOrder


def part_of(order: RolloutOrder, waves: Sequence[str], nodes: Sequence[str]) -> tuple[str, ...]:
    """Nodes of these waves and these nodes, in the order's order; none where none are named, which means all. Raises
    UsageError with every name that the rollout does not have.
    """
    known = {wave.name: {node.name for node in wave.nodes} for wave in order.waves}
    names = {node.name for node in order.nodes}
    unknown = [f"no wave {name}" for name in waves if name not in known]
    unknown += [f"no node {name}" for name in nodes if name not in names]
    if unknown:
        near = [match for name in nodes if name not in names for match in get_close_matches(name, names, 1)]
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"rollout {order.id} has {some(unknown, 10)}",
            f"{hint}Its waves are {some(list(known), 10)}; fleet rollout show {order.id} --nodes lists its nodes.",
        )
    wanted = set(nodes).union(*(known[name] for name in waves))
    return tuple(node.name for node in order.nodes if node.name in wanted)
