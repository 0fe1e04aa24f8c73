"""A server of the smallest size takes about 350 agents.

Source: k3s-io/docs installation/requirements.md, "Server Sizing Guide".
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.picture import Picture
from fleet.k3s.rules import SERVER_SIZES
from fleet.model.verdict import Verdict

RULE = "agents-per-server"

_SMALLEST = SERVER_SIZES[0][2]


def judge(picture: Picture) -> Iterator[Verdict]:
    """Speaks when a node joins. How many CPUs a server has is not in any record."""
    for cluster in picture.touched:
        count = len(cluster.agents)
        if count <= _SMALLEST or cluster.name not in picture.joined:
            continue
        size = next(((cpus, memory) for cpus, memory, agents in SERVER_SIZES if agents >= count), None)
        need = f"{size[0]} CPUs and {size[1]} GB" if size else "16 CPUs and 32 GB"
        yield Verdict(
            RULE,
            "warning",
            cluster.name,
            f"{count:,} agents: each server needs at least {need}",
            "See that the servers have that, or split the cluster.",
            cluster.place,
        )
