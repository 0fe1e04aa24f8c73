"""What MemoryCluster keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from fleet.model.cluster_node import ClusterNode, Taint
from fleet.model.drain import Pod

REGISTRATION = "k3s"
"""The field manager of what came from the node's own config.yaml."""


@dataclass
class Owned:
    value: str
    owners: set[str]


@dataclass
class MemoryPod:
    name: str
    node: str
    plain: Pod
    app: str
    never_ends: bool


@dataclass
class StagedNode:
    node: ClusterNode
    labels: dict[str, Owned]
    taints: list[Taint]
    our_taints: set[Taint] = field(default_factory=set)
    cordons: set[str] = field(default_factory=set)
    etcd: str = ""
    writes: int = 0

    def plain(self) -> ClusterNode:
        return replace(
            self.node,
            is_cordoned=bool(self.cordons),
            cordoned_by=tuple(sorted(self.cordons)),
            labels={key: owned.value for key, owned in self.labels.items()},
            taints=tuple(self.taints),
        )

    def state(self) -> tuple[dict[str, str], list[Taint], dict[str, frozenset[str]]]:
        owners = {key: frozenset(owned.owners) for key, owned in self.labels.items()}
        return {key: owned.value for key, owned in self.labels.items()}, list(self.taints), owners
