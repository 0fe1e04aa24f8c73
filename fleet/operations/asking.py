"""A cluster asked by way of its servers, and what it can do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fleet.errors import UnavailableError
from fleet.model.cluster_node import ClusterNode
from fleet.model.node import Node
from fleet.ports.cluster import Cluster

ClusterOf = Callable[[Node], Cluster]
"""A server's cluster, by way of that server."""


@contextmanager
def asked(servers: Sequence[Node], cluster_of: ClusterOf) -> Iterator[tuple[Cluster, Sequence[ClusterNode]]]:
    """The cluster, by the first server that answers, and its Nodes. Raises UnavailableError with what each of them said."""
    said = []
    for server in servers:
        with cluster_of(server) as cluster:
            try:
                nodes = cluster.nodes()
            except UnavailableError as error:
                said.append(error)
                continue
            yield cluster, nodes
            return
    raise UnavailableError("; ".join(error.message for error in said), said[0].hint)


def costs_quorum(cluster: Cluster, nodes: Sequence[ClusterNode], name: str, *, for_good: bool) -> str:
    """Why etcd would stand still without this member, empty if it would not, or if there is none.

    Without it for a while it still counts; where there are so few that it can never be spared, nothing is said.
    """
    health = cluster.datastore()
    if not health.is_serving:
        return f"the datastore of its cluster does not serve: {health.reason}"
    if name not in {member.node for member in health.members}:
        return ""
    ready = {node.name for node in nodes if node.is_ready}
    others = [member for member in health.members if member.node != name]
    up = [member.node for member in others if member.is_voter and member.node in ready]
    total = len(others) + (not for_good)
    needed = total // 2 + 1
    if len(up) >= needed or (needed > len(others) and not for_good):
        return ""
    down = ", ".join(member.node for member in others if member.node not in up) or "there is no other"
    return f"etcd would lose its quorum: without {name} it needs {needed} of {total} members up; not up: {down}"
