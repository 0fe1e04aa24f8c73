"""The Nodes of clusters, by way of those servers that can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fleet.errors import FleetError, UnavailableError
from fleet.model.cluster_node import ClusterNode
from fleet.model.learned import LearnedCluster
from fleet.model.node import Node
from fleet.model.record import Record
from fleet.operations.asking import ClusterOf, asked
from fleet.operations.gating.scene import Scene
from fleet.ports.records import Records

AT_ONCE = 8
LEFT_OUT = "Kubernetes is left out of this (--no-cluster)"


class Told(msgspec.Struct, frozen=True):
    """The Nodes of a cluster, or in `trouble` why it could not be asked. `is_final`: no time mends that. `missing`: machines
    of the spec that have held a whole bundle, and have no Node.
    """

    nodes: tuple[ClusterNode, ...] = ()
    missing: tuple[str, ...] = ()
    trouble: str = ""
    is_final: bool = False


class Clusters:
    """Those of one order, as records know them now. `cluster_of` None: they are named, and never asked."""

    def __init__(self, scene: Scene, records: Records, cluster_of: ClusterOf | None) -> None:
        self._scene, self._cluster_of = scene, cluster_of
        self._known: Mapping[str, Record] = records.all()
        self._learned: Mapping[str, LearnedCluster] = records.clusters()
        self._nodes = {node.name: node for node in scene.intent.fleet.nodes}

    def names(self, nodes: Iterable[Node]) -> list[str]:
        """The clusters of these nodes that are machines: a sandbox has no Kubernetes."""
        named = sorted({node.cluster for node in nodes if node.is_k3s and node.connection.type == "ssh"})
        return [name for name in named if self._servers(name)]

    def exists(self, name: str) -> bool:
        """Whether a server of it has ever come through: before that, nobody can be asked."""
        learned = self._learned.get(name)
        return self._scene.intent.fleet.clusters[name].existed or (learned is not None and learned.existed)

    def told(self, name: str) -> Told:
        if self._cluster_of is None:
            return Told(trouble=LEFT_OUT, is_final=True)
        servers = [node for node in self._servers(name) if node.name in self._known]
        if not servers:
            return Told(trouble=f"no server of {name} is enrolled", is_final=True)
        # Those that hold a whole bundle first: the others may not have a running K3s yet.
        servers.sort(key=lambda each: not self._known[each.name].last_digest)
        try:
            with asked(servers, self._cluster_of) as (_, nodes):
                return Told(tuple(nodes), self._missing(name, nodes))
        except FleetError as error:
            hint = f" ({error.hint})" if error.hint else ""
            is_final = not isinstance(error, UnavailableError)
            return Told(trouble=f"{name} could not be asked: {error.message}{hint}", is_final=is_final)

    def _missing(self, name: str, nodes: Iterable[ClusterNode]) -> tuple[str, ...]:
        cluster = self._scene.intent.fleet.clusters[name]
        listed = (self._nodes[each] for each in (*cluster.servers, *cluster.agents))
        machines = {node.name for node in listed if node.connection.type == "ssh"}
        joined = {each for each in machines if (record := self._known.get(each)) and record.last_digest}
        return tuple(sorted(joined - {node.name for node in nodes}))

    def _servers(self, name: str) -> Sequence[Node]:
        servers = (self._nodes[each] for each in self._scene.intent.fleet.clusters[name].servers)
        return [node for node in servers if node.connection.type == "ssh"]
