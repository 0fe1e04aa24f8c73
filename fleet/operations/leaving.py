"""The cluster's side of a node that leaves: its pods, its Node, K3s's password for its name, its member of etcd.

A node stops, then its Node is deleted: one that runs would register anew, and a server that runs would join again or, the
first one, found a cluster of its own (k3s-io/k3s#3513, #13623). K3s takes a member out of etcd when its Node is deleted.
Of two members none can stop without standing the other still: there the Node goes first, the host right behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence

import msgspec

from fleet.errors import FleetError, RefusedError, UnavailableError
from fleet.model.cluster_node import NodeIdentity
from fleet.model.drain import DrainEvent, DrainRule, NodeNotDrained
from fleet.model.host import NodeUntouched
from fleet.model.node import Node
from fleet.operations.asking import ClusterOf, asked, quorum
from fleet.operations.intent import Intent

REASON = "it is being retired by fleet"


class Leaving(msgspec.Struct, frozen=True):
    """One node, and the servers of its cluster that stay and can be asked; at least one."""

    node: NodeIdentity
    is_server: bool
    servers: tuple[Node, ...]


def leaving(now: Intent, before: Intent, names: Collection[str]) -> dict[str, Leaving]:
    """Of `names` those that leave a cluster which goes on. `before` is the spec that has them; servers are reached as `now`
    says, where it has them. A sandbox has no Kubernetes.
    """
    nodes = {node.name: node for node in (*before.fleet.nodes, *now.fleet.nodes)}
    found = {}
    for node in before.fleet.nodes:
        if node.name not in names or not node.cluster:
            continue
        cluster = now.fleet.clusters.get(node.cluster) or before.fleet.clusters[node.cluster]
        staying = (nodes[name] for name in cluster.servers if name not in names and name in now.records)
        servers = tuple(server for server in staying if server.connection.type == "ssh")
        record = now.records.get(node.name)
        if servers and record is not None:
            found[node.name] = Leaving(NodeIdentity(node.name, record.machine_id), node.role == "server", servers)
    return found


def rounds(names: Sequence[str], found: Mapping[str, Leaving], cluster_of_node: Mapping[str, str]) -> list[list[str]]:
    """In which order nodes are given back: of a cluster's servers one in each round, all others in the first."""
    made: list[list[str]] = [[]]
    taken: dict[str, int] = {}
    for name in names:
        turn = 0
        if name in found and found[name].is_server:
            turn = taken.get(cluster_of_node[name], 0)
            taken[cluster_of_node[name]] = turn + 1
        while len(made) <= turn:
            made.append([])
        made[turn].append(name)
    return made


def drain_out(
    one: Leaving, cluster_of: ClusterOf, rule: DrainRule
) -> Generator[DrainEvent, None, NodeUntouched | None]:
    """Before the host is touched. Ends with why it may not be, if so; then the Node is there, and cordoned at most."""
    name = one.node.name
    try:
        with asked(one.servers, cluster_of) as (cluster, nodes):
            without = quorum(cluster, nodes, name)
            if refused := without.lost_for_good():
                return NodeUntouched(name, "failed", refused)
            if any(node.name == name for node in nodes):
                for event in cluster.drain(one.node, rule, REASON):
                    yield event
                    if isinstance(event, NodeNotDrained):
                        return NodeUntouched(
                            name, "failed", f"could not be drained, and stays cordoned: {event.reason}"
                        )
            if not without.can_stop():
                cluster.delete(one.node)
    except UnavailableError as error:
        return NodeUntouched(name, "unreachable", f"its cluster does not answer: {error.message}")
    except FleetError as error:
        return NodeUntouched(name, "failed", error.message)
    return None


def delete(one: Leaving, cluster_of: ClusterOf, *, is_gone: bool = False) -> None:
    """Node, password and member of a machine that has stopped, or `is_gone` as somebody says; done already is done.

    Raises RefusedError where etcd would lose its quorum, the Node is another machine's, or one that is gone is Ready;
    UnavailableError.
    """
    with asked(one.servers, cluster_of) as (cluster, nodes):
        if is_gone and any(node.is_ready for node in nodes if node.name == one.node.name):
            raise RefusedError(
                f"the Node {one.node.name} is Ready: its machine still runs K3s",
                "Switch that off; Kubernetes misses a machine after 40 s. Then do this again.",
            )
        if refused := quorum(cluster, nodes, one.node.name).lost_for_good():
            raise RefusedError(refused)
        cluster.delete(one.node)
