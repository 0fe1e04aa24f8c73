"""A rollout after another one: whether it supersedes it, and what it is then to do itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from fleet.decide.layout import members
from fleet.model.rollout import RolloutOrder, RolloutState


def supersedes(order: RolloutOrder, older: RolloutState) -> bool:
    """Whether a rollout that has not ended is to end before the order begins: it is of another commit (a folder outside git
    says none), something of it is under way, or the order takes all that it has left. Else it stays as it is: who applies to
    one site does not end what paused everywhere.
    """
    if older.has_ended:
        return False
    if not order.commit or order.commit != older.order.commit or older.running:
        return True
    left = ((1 << len(older.layout.nodes)) - 1) & ~older.finals
    taken = {node.name for node in order.nodes}
    return all(older.layout.nodes[index].name in taken for index in members(left))


def after(order: RolloutOrder, flying: Mapping[str, str], applied: Collection[str]) -> RolloutOrder:
    """The order as it is to be begun after another rollout ended that it supersedes. `flying` maps the nodes that were under
    way there to what they were sent; those in `applied` hold it.

    Nodes that hold what they are to hold are left out, the others may hold what they were sent.
    """
    if not flying:
        return order
    waves = []
    for wave in order.waves:
        left = (node for node in wave.nodes if not (node.name in applied and flying[node.name] == node.wanted))
        nodes = tuple(
            replace(node, sent=(*node.sent, flying[node.name])) if node.name in flying else node for node in left
        )
        waves.append(replace(wave, nodes=nodes))
    return replace(order, waves=tuple(waves))
