"""A cluster asked by way of its servers, and what it can do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from fleet.errors import UnavailableError
from fleet.model.cluster_node import ClusterNode
from fleet.model.node import Node
from fleet.ports.cluster import Cluster

LEFT_OUT = "fleet apply --no-cluster leaves Kubernetes out of it"
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


class Quorum(msgspec.Struct, frozen=True):
    """What etcd has without one of its members: the others, those of them that are up, and `trouble` where that cannot be
    told. No others where there is no such member.
    """

    member: str
    others: tuple[str, ...] = ()
    up: tuple[str, ...] = ()
    trouble: str = ""

    def lost_for_good(self) -> str:
        """Why etcd would stand still once the member is out of it; empty if it would not."""
        return self._lost(len(self.others)) if self.others or self.trouble else ""

    def lost_for_a_while(self) -> str:
        """The same while the member has stopped and still counts; nothing where there are too few to spare any, ever."""
        can_be_spared = len(self.others) > 1 or self.trouble
        return self._lost(len(self.others) + 1) if can_be_spared else ""

    def can_stop(self) -> bool:
        """Whether etcd goes on while the member has stopped and still counts."""
        return not self.trouble and (not self.others or len(self.up) > (len(self.others) + 1) // 2)

    def _lost(self, total: int) -> str:
        needed = total // 2 + 1
        if self.trouble or len(self.up) >= needed:
            return self.trouble
        down = ", ".join(name for name in self.others if name not in self.up)
        return (
            f"etcd would lose its quorum: without {self.member} it needs {needed} of {total} members up; not up: {down}"
        )


def quorum(cluster: Cluster, nodes: Sequence[ClusterNode], name: str) -> Quorum:
    health = cluster.datastore()
    if not health.is_serving:
        return Quorum(name, trouble=f"the datastore of its cluster does not serve: {health.reason}")
    if name not in {member.node for member in health.members}:
        return Quorum(name)
    ready = {node.name for node in nodes if node.is_ready}
    others = [member for member in health.members if member.node != name]
    up = tuple(member.node for member in others if member.is_voter and member.node in ready)
    return Quorum(name, tuple(member.node for member in others), up)
