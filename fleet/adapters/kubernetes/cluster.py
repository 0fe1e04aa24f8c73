"""KubernetesCluster: Nodes as the API server has them. Nothing is written before the machine was found to be the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from fleet.adapters.clock import SystemClock
from fleet.adapters.kubernetes.access import Access
from fleet.adapters.kubernetes.answers import one_line
from fleet.adapters.kubernetes.connection import APPLY, MERGE, Call, Connection, Patience
from fleet.adapters.kubernetes.eviction import Eviction
from fleet.adapters.kubernetes.marks import are_applied, check_labels, labels_to_drop, taints_patch
from fleet.adapters.kubernetes.nodes import CORDON_REASON, ETCD_ROLE, NodeList, WireNode, etcd_member, plain
from fleet.errors import RefusedError, UnavailableError
from fleet.model.cluster_node import (
    CORDON_MANAGER,
    FIELD_MANAGER,
    NOTHING_GIVEN,
    ClusterNode,
    DatastoreHealth,
    EtcdMember,
    Given,
    NodeIdentity,
)
from fleet.model.drain import DrainEvent, DrainRule
from fleet.ports.clock import Clock

PAGE = 500
_TRIES = 8
"""Kubelets write their Nodes every few seconds: who read one a moment ago is often too late once, hardly ever twice."""
_DELETE: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}


class KubernetesCluster:
    """Fills `ports.Cluster`, for one thread. Nothing is opened before the first call."""

    def __init__(self, access: Access, clock: Clock | None = None, patience: Patience | None = None) -> None:
        self._clock = clock or SystemClock()
        self._patience = patience or Patience()
        self._connection = Connection(access, self._clock, self._patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def nodes(self) -> Sequence[ClusterNode]:
        return sorted((plain(node) for node in self._all("list the Nodes")), key=lambda node: node.name)

    def reconcile(
        self, node: NodeIdentity, labels: Mapping[str, str], taints: Sequence[str], given: Given = NOTHING_GIVEN
    ) -> ClusterNode:
        step = f"set labels and taints of the Node {node.name}"
        return self._until_nobody_was_quicker(step, lambda: self._reconcile_once(node, step, labels, taints, given))

    def cordon(self, node: NodeIdentity, reason: str) -> ClusterNode:
        step = f"cordon the Node {node.name}"

        def once() -> ClusterNode | None:
            found = self._get(node, step)
            if CORDON_MANAGER in plain(found).cordoned_by:
                return plain(found)
            wanted = _applied(found, {"annotations": {CORDON_REASON: reason}}, {"unschedulable": True})
            return self._apply(step, found, wanted, CORDON_MANAGER)

        return self._until_nobody_was_quicker(step, once)

    def uncordon(self, node: NodeIdentity) -> ClusterNode:
        step = f"uncordon the Node {node.name}"

        def once() -> ClusterNode | None:
            found = self._get(node, step)
            if not any(each.manager == CORDON_MANAGER for each in found.metadata.managed_fields):
                return plain(found)
            # What is applied no more is given up; Kubernetes takes the field away only if nobody else holds it.
            return self._apply(step, found, _applied(found), CORDON_MANAGER)

        return self._until_nobody_was_quicker(step, once)

    def drain(self, node: NodeIdentity, rule: DrainRule, reason: str) -> Iterator[DrainEvent]:
        self.cordon(node, reason)
        yield from Eviction(self._connection, self._clock, node.name, rule).events()

    def delete(self, node: NodeIdentity) -> None:
        """The Node first: a password without a Node lets nobody in but who knows it, a Node without one lets anybody in."""
        step = f"delete the Node {node.name}"
        if (found := self._find(node, step)) is not None:
            still_it = {**_DELETE, "preconditions": {"uid": found.metadata.uid}}
            self._connection.call(Call(step, "DELETE", _path(node.name), body=still_it, takes={404, 409}))
            self._wait_until_gone(node, found, step)
        secret = f"/api/v1/namespaces/kube-system/secrets/{quote(node.name)}.node-password.k3s"
        step = f"delete the node password of {node.name}"
        self._connection.call(Call(step, "DELETE", secret, body=_DELETE, takes={404}))

    def _wait_until_gone(self, node: NodeIdentity, found: WireNode, step: str) -> None:
        """K3s holds a server's Node by a finalizer until its member has left etcd."""
        ends = self._clock.now() + self._patience.finalizers
        while (left := self._find(node, step)) is not None:
            if left.metadata.uid != found.metadata.uid:
                raise RefusedError(f"the Node {node.name} has registered anew meanwhile: it is left alone")
            if self._clock.now() >= ends:
                held = ", ".join(left.metadata.finalizers)
                raise UnavailableError(f"could not {step}: it is still there{held and f', held by finalizers: {held}'}")
            self._clock.sleep(self._patience.pause)

    def datastore(self) -> DatastoreHealth:
        if reason := self._datastore_trouble():
            return DatastoreHealth(is_serving=False, reason=reason)
        try:
            return DatastoreHealth(is_serving=True, members=self._members())
        except UnavailableError:
            # The check looks at what it found a moment ago; reading is the better one.
            if reason := self._datastore_trouble():
                return DatastoreHealth(is_serving=False, reason=reason)
            raise

    def _datastore_trouble(self) -> str:
        # The check's name is the same with SQLite and external datastores: K3s puts kine in between, which speaks etcd.
        checked = Call("ask for the datastore's health", "GET", "/readyz/etcd", takes={404, 500, 503, 504})
        answer = self._connection.call(checked)
        return "" if answer.is_good else one_line(answer.body.decode("utf-8", errors="replace")) or answer.words

    def _members(self) -> tuple[EtcdMember, ...]:
        servers = self._all("list the members of etcd", {"labelSelector": f"{ETCD_ROLE}=true"})
        return tuple(sorted(map(etcd_member, servers), key=lambda member: member.node))

    def _reconcile_once(
        self, node: NodeIdentity, step: str, labels: Mapping[str, str], taints: Sequence[str], given: Given
    ) -> ClusterNode | None:
        """None when the Node was changed meanwhile."""
        found = self._get(node, step)
        takes_over = check_labels(found, labels)
        taints_patch(found, taints, given.taints)  # refuses before anything is written
        written: WireNode | None = found
        # First what would be forgotten if we were ended in between: whether these were ours is only seen until we apply.
        if gone := labels_to_drop(found, labels, given.labels):
            written = self._merge(step, found, _without(found, gone))
        if written is not None and (patch := taints_patch(written, taints, given.taints)) is not None:
            written = self._merge(step, written, patch)
        if written is None:
            return None
        if are_applied(written, labels):
            return plain(written)
        wanted = _applied(written, {"labels": dict(labels)})
        if takes_over:  # from the node's own registration, and from nobody who came since
            wanted["metadata"]["resourceVersion"] = written.metadata.resource_version
        return self._apply(step, written, wanted, FIELD_MANAGER, force=takes_over)

    def _apply(
        self, step: str, node: WireNode, body: Mapping[str, Any], manager: str, *, force: bool = False
    ) -> ClusterNode | None:
        """Server-side apply. The uid in it keeps it from making a Node that has gone. None: somebody was quicker."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        path = _path(node.metadata.name)
        answer = self._connection.call(Call(step, "PATCH", path, query, body, APPLY, takes={409}))
        if answer.is_good:
            return plain(self._connection.decode(answer, WireNode, step))
        if held := [one_line(each.message) for each in answer.status.causes if each.reason == "FieldManagerConflict"]:
            raise RefusedError(f"could not {step}: {'; '.join(held)}", "take it out of the spec, or remove theirs")
        return None

    def _merge(self, step: str, node: WireNode, body: Mapping[str, Any]) -> WireNode | None:
        """A merge patch that holds a resourceVersion. None: somebody was quicker."""
        path, query = _path(node.metadata.name), {"fieldManager": FIELD_MANAGER}
        return self._connection.read(Call(step, "PATCH", path, query, body, MERGE, takes={409}), WireNode)

    def _until_nobody_was_quicker(self, step: str, once: Callable[[], ClusterNode | None]) -> ClusterNode:
        for _ in range(_TRIES):
            if (done := once()) is not None:
                return done
        raise UnavailableError(f"could not {step}: it was changed by somebody else {_TRIES} times meanwhile")

    def _get(self, node: NodeIdentity, step: str) -> WireNode:
        found = self._find(node, step)
        if found is None:
            raise RefusedError(
                f"could not {step}: the cluster has no such Node", "Is K3s running on it, and has it joined?"
            )
        return found

    def _find(self, node: NodeIdentity, step: str) -> WireNode | None:
        """The Node, if there is one; RefusedError when it is another machine's."""
        found = self._connection.read(Call(step, "GET", _path(node.name), takes={404}), WireNode)
        if found is None:
            return None
        machine = found.status.node_info.machine_id
        if not node.machine_id or machine != node.machine_id:
            raise RefusedError(
                f"could not {step}: it is another machine, with machine-id {machine or '(none)'}; enrolled is "
                f"{node.machine_id or '(none)'}",
                "new hardware under an old name goes by `fleet node replace`",
            )
        return found

    def _all(self, step: str, query: Mapping[str, str] | None = None) -> list[WireNode]:
        found: list[WireNode] = []
        more = ""
        while True:
            asked = {**(query or {}), "limit": str(PAGE), **({"continue": more} if more else {})}
            page = self._connection.read(Call(step, "GET", "/api/v1/nodes", asked, takes={410}), NodeList)
            if page is None:  # the list was too old to go on: from its beginning
                found, more = [], ""
                continue
            found += page.items
            more = page.metadata.more
            if not more:
                return found


def _path(node: str) -> str:
    return f"/api/v1/nodes/{quote(node, safe='')}"


def _applied(
    node: WireNode, metadata: Mapping[str, Any] | None = None, spec: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    about = {"name": node.metadata.name, "uid": node.metadata.uid, **(metadata or {})}
    return {"apiVersion": "v1", "kind": "Node", "metadata": about, **({"spec": dict(spec)} if spec else {})}


def _without(node: WireNode, labels: Sequence[str]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": node.metadata.resource_version, "labels": dict.fromkeys(labels)}}
