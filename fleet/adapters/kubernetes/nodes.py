"""Nodes as the API server writes them, and who owns what on them (managed fields of server-side apply).

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from fleet.model.cluster_node import ClusterNode, EtcdMember, Taint

ETCD_ROLE: Final = "node-role.kubernetes.io/etcd"
OUR_TAINTS: Final = "edgefleet.fleet/taints"
"""The annotation with the taints that the spec gave. A Node's taints are one atomic list: it has no owner for each."""
CORDON_REASON: Final = "edgefleet.fleet/cordoned"
REGISTRATION: Final = frozenset({"k3s", "k3s-server", "k3s-agent", "kubelet"})
"""Field managers of a kubelet of K3s: what they own came from the node's own config.yaml."""
# K3s keeps it on the Nodes of servers with embedded etcd (pkg/etcd/etcd.go).
_IS_VOTER: Final = "EtcdIsVoter"


class ManagedFields(msgspec.Struct, frozen=True, rename={"fields": "fieldsV1"}):
    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields: dict[str, Any] = {}

    def has(self, *path: str) -> bool:
        found: Any = self.fields
        for step in path:
            found = found.get(f"f:{step}") if isinstance(found, dict) else None
        return found is not None


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    managed_fields: tuple[ManagedFields, ...] = ()


class WireTaint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    key: str
    value: str = ""
    effect: str = ""
    time_added: str | None = None

    @property
    def plain(self) -> Taint:
        return Taint(self.key, self.value, self.effect)


class WireSpec(msgspec.Struct, frozen=True):
    unschedulable: bool = False
    taints: tuple[WireTaint, ...] = ()


class Condition(msgspec.Struct, frozen=True):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class NodeInfo(msgspec.Struct, frozen=True, rename={"machine_id": "machineID", "kubelet_version": "kubeletVersion"}):
    machine_id: str = ""
    kubelet_version: str = ""


class WireStatus(msgspec.Struct, frozen=True, rename="camel"):
    conditions: tuple[Condition, ...] = ()
    node_info: NodeInfo = NodeInfo()


class WireNode(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: WireSpec = WireSpec()
    status: WireStatus = WireStatus()

    def owners(self, *path: str) -> Iterator[ManagedFields]:
        """Who set the field at this path, in the object itself."""
        return (each for each in self.metadata.managed_fields if not each.subresource and each.has(*path))

    def condition(self, kind: str) -> Condition | None:
        return next((each for each in self.status.conditions if each.type == kind), None)


class Page(msgspec.Struct, frozen=True, rename={"more": "continue"}):
    more: str = ""


class NodeList(msgspec.Struct, frozen=True):
    items: tuple[WireNode, ...] = ()
    metadata: Page = Page()


def plain(node: WireNode) -> ClusterNode:
    ready = node.condition("Ready")
    is_ready = ready is not None and ready.status == "True"
    reason = "" if is_ready else "it has not said that it is ready"
    if ready is not None and not is_ready:
        reason = " ".join(f"{ready.reason}: {ready.message}".split()).strip(": ")
    is_cordoned = node.spec.unschedulable
    owners = sorted({each.manager for each in node.owners("spec", "unschedulable")}) if is_cordoned else []
    return ClusterNode(
        name=node.metadata.name,
        machine_id=node.status.node_info.machine_id,
        version=node.status.node_info.kubelet_version,
        is_ready=is_ready,
        reason=reason or ("" if is_ready else "it is not ready and says no reason"),
        is_cordoned=is_cordoned,
        cordoned_by=tuple(owners),
        labels=node.metadata.labels,
        taints=tuple(taint.plain for taint in node.spec.taints),
    )


def etcd_member(node: WireNode) -> EtcdMember:
    said = node.condition(_IS_VOTER)
    if said is None:
        return EtcdMember(node.metadata.name, is_voter=False, reason="Unknown")
    return EtcdMember(node.metadata.name, is_voter=said.status == "True", reason=said.reason)
