"""What the suite of a Cluster asks to happen in the cluster without fleet, and two Nodes for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fleet.model.cluster_node import ClusterNode, NodeIdentity
from fleet.model.drain import DrainRule, Pod
from fleet.ports.cluster import Cluster

A = NodeIdentity("lyon-1-a", "6f1d2c3b4a5968778695a4b3c2d1e0f1")
IMPOSTOR = NodeIdentity(A.name, "00000000000000000000000000000bad")
B = NodeIdentity("lyon-1-b", "1a2b3c4d5e6f708192a3b4c5d6e7f809")
SECOND = ClusterNode(
    B.name, B.machine_id, "v1.35.4+k3s1", is_ready=False, reason="KubeletNotReady: cni plugin not initialized"
)
FIRST = ClusterNode(A.name, A.machine_id, "v1.36.3+k3s1", is_ready=True)
REGISTERED = {"gpu": "nvidia", "kubernetes.io/hostname": A.name}
WEB = Pod("shop/web-0", "u1", controller="ReplicaSet")
PAY = Pod("shop/pay-0", "u2", controller="ReplicaSet")
BARE = Pod("shop/bare", "u3")
DAEMON = Pod("shop/svclb-x", "u4", controller="DaemonSet")
MIRROR = Pod("shop/static", "u5", is_mirror=True)
FINISHED = Pod("shop/job-1", "u6", controller="Job", is_finished=True)
BARE_FINISHED = Pod("shop/once", "u7", is_finished=True)
CACHE = Pod("shop/cache", "u8", controller="ReplicaSet", has_empty_dir=True)
RULE = DrainRule(timeout=30.0)


class Stage(Protocol):
    """What happens in the cluster without fleet."""

    def add_node(self, node: ClusterNode, labels: Mapping[str, str] | None = None, etcd: str = "") -> None: ...
    def add_pod(self, node: str, pod: Pod, app: str = "", *, never_ends: bool = False) -> None: ...
    def end_pod(self, name: str) -> None: ...
    def set_budget(self, name: str, app: str, allowed: int) -> None: ...
    def others_label(self, manager: str, node: str, labels: Mapping[str, str]) -> None: ...
    def others_taint(self, node: str, taint: str) -> None: ...
    def others_cordon(self, manager: str, node: str) -> None: ...
    def others_uncordon(self, node: str) -> None: ...
    def pods_on(self, node: str) -> set[str]: ...
    def has_password(self, node: str) -> bool: ...
    def revision(self, node: str) -> str: ...


def node_of(cluster: Cluster, node: NodeIdentity = A) -> ClusterNode:
    (found,) = (each for each in cluster.nodes() if each.name == node.name)
    return found
