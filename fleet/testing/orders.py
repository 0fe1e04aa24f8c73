"""Small rollout orders, for tests that state them in a line."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.model.rollout import RolloutNode, RolloutOrder, WaveOrder


def cluster(name: str, servers: int, agents: int = 0, base: str = "") -> tuple[RolloutNode, ...]:
    """Nodes NAME-s0, NAME-s1, ... and NAME-a0, ... of site NAME, each wanting the digest `b1:` and its own name."""
    return (
        *(RolloutNode(f"{name}-s{i}", name, name, "server", i, base, f"b1:{name}-s{i}") for i in range(servers)),
        *(RolloutNode(f"{name}-a{i}", name, name, "agent", 0, base, f"b1:{name}-a{i}") for i in range(agents)),
    )


def plain(*names: str, base: str = "") -> tuple[RolloutNode, ...]:
    """Hosts without K3s, at site `yard`."""
    return tuple(RolloutNode(name, "yard", "", "none", 0, base, f"b1:{name}") for name in names)


def rollout(*waves: Sequence[RolloutNode], forks: int = 100, batch_size: int = 50, id: str = "7f3c") -> RolloutOrder:  # noqa: A002 - the field's name
    """Of fleet `acme` at commit 4be1f02 by ops@desk; the waves are called w0, w1, ..."""
    return RolloutOrder(
        id=id,
        fleet="acme",
        commit="4be1f02",
        controller="ops@desk",
        waves=tuple(WaveOrder(f"w{i}", tuple(nodes)) for i, nodes in enumerate(waves)),
        forks=forks,
        batch_size=batch_size,
    )


def wanted(order: RolloutOrder) -> dict[str, str]:
    """What each node of the order is to hold, as appliers for tests want it."""
    return {node.name: node.wanted for node in order.nodes}
