"""What happens in a cluster without fleet, played on a real API server.

No kubelet, scheduler or controller runs there. The stage plays the kubelet of K3s (registers Nodes under its field manager,
says Ready, version and machine-id in the status, runs pods by saying so), the controller of disruption budgets (says how many
evictions are allowed; the API server itself counts them down and refuses), and other people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.model.cluster_node import ClusterNode
from fleet.model.drain import Pod
from tests.lab.apiserver.server import ApiServer

KUBELET = "k3s"
MERGE = "application/merge-patch+json"
KEEPS = "fleet.test/keeps"
REASONS = {"MemberNotLearner": "True", "MemberIsLearner": "False"}


class ApiServerStage:
    """Of one test: `clear` takes away all that is there, but for the namespace shop."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})

    def add_node(self, node: ClusterNode, labels: Mapping[str, str] | None = None, etcd: str = "") -> None:
        roles = {"node-role.kubernetes.io/etcd": "true"} if etcd else {}
        self.api.must(
            "POST",
            f"/api/v1/nodes?fieldManager={KUBELET}",
            {"metadata": {"name": node.name, "labels": dict(labels or {})}},
        )
        reason, _, message = node.reason.partition(": ")
        conditions = [
            {"type": "Ready", "status": "True" if node.is_ready else "False", "reason": reason, "message": message}
        ]
        if etcd:
            conditions.append({"type": "EtcdIsVoter", "status": REASONS[etcd], "reason": etcd, "message": ""})
        status = {"nodeInfo": {"machineID": node.machine_id, "kubeletVersion": node.version}, "conditions": conditions}
        self.patch(node.name, {"status": status}, KUBELET, "/status")
        # Admission marks a new Node as not ready; the controller that takes it back is not there.
        self.patch(node.name, {"spec": {"taints": None}}, KUBELET)
        if roles:
            self.patch(node.name, {"metadata": {"labels": roles}}, "k3s-etcd")
        secret = {"metadata": {"name": f"{node.name}.node-password.k3s"}, "stringData": {"hash": "$1:never-shown"}}
        self.api.must("POST", "/api/v1/namespaces/kube-system/secrets", secret)

    def add_pod(self, node: str, pod: Pod, app: str = "", *, never_ends: bool = False) -> None:
        namespace, name = pod.name.split("/")
        owner = {"apiVersion": "apps/v1", "kind": pod.controller, "name": "owner", "uid": "0-1", "controller": True}
        about: dict[str, Any] = {
            "name": name,
            "labels": {"app": app} if app else {},
            "annotations": {"kubernetes.io/config.mirror": "1"} if pod.is_mirror else {},
            "ownerReferences": [owner] if pod.controller else [],
            "finalizers": [KEEPS] if never_ends else [],
        }
        spec = {
            "nodeName": node,
            "containers": [{"name": "one", "image": "none"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}] if pod.has_empty_dir else [],
            "terminationGracePeriodSeconds": 0,
        }
        path = f"/api/v1/namespaces/{namespace}/pods"
        self.api.must("POST", path, {"metadata": about, "spec": spec})
        status = {
            "phase": "Succeeded" if pod.is_finished else "Running",
            "conditions": [{"type": "Ready", "status": "False" if pod.is_finished else "True"}],
        }
        self.api.must("PATCH", f"{path}/{name}/status", {"status": status}, content_type=MERGE)

    def end_pod(self, name: str) -> None:
        namespace, _, pod = name.partition("/")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        self.api.call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
        self.api.call("DELETE", f"{path}?gracePeriodSeconds=0")

    def set_budget(self, name: str, app: str, allowed: int) -> None:
        namespace, _, budget = name.partition("/")
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}}
        self.api.call("POST", path, {"metadata": {"name": budget}, "spec": spec})
        found = self.api.must("GET", f"{path}/{budget}")
        status = {
            "disruptionsAllowed": allowed, "currentHealthy": 1 + allowed, "desiredHealthy": 1, "expectedPods": 1 + allowed,
            "observedGeneration": found["metadata"]["generation"], "disruptedPods": None,
        }  # fmt: skip
        self.api.must("PATCH", f"{path}/{budget}/status", {"status": status}, content_type=MERGE)

    def others_label(self, manager: str, node: str, labels: Mapping[str, str | None]) -> None:
        self.patch(node, {"metadata": {"labels": dict(labels)}}, manager)

    def others_taint(self, node: str, taint: str) -> None:
        rest, _, effect = taint.rpartition(":")
        key, _, value = rest.partition("=")
        there = self.node(node)["spec"].get("taints", [])
        self.patch(
            node, {"spec": {"taints": [*there, {"key": key, "value": value, "effect": effect}]}}, "kubectl-taint"
        )

    def others_cordon(self, manager: str, node: str) -> None:
        if not self.node(node)["spec"].get("unschedulable"):
            self.patch(node, {"spec": {"unschedulable": True}}, manager)

    def others_uncordon(self, node: str) -> None:
        self.patch(node, {"spec": {"unschedulable": None}}, "kubectl-uncordon")

    def pods_on(self, node: str) -> set[str]:
        found = self.api.must("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")["items"]
        return {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in found}

    def has_password(self, node: str) -> bool:
        return self.api.call("GET", f"/api/v1/namespaces/kube-system/secrets/{node}.node-password.k3s")[0] == 200

    def revision(self, node: str) -> str:
        return str(self.node(node)["metadata"]["resourceVersion"])

    def node(self, name: str) -> Any:
        return self.api.must("GET", f"/api/v1/nodes/{name}")

    def patch(self, node: str, body: Any, manager: str, subresource: str = "") -> None:
        path = f"/api/v1/nodes/{node}{subresource}?fieldManager={manager}"
        self.api.must("PATCH", path, body, content_type=MERGE)

    def clear(self) -> None:
        for pod in self.api.must("GET", "/api/v1/pods")["items"]:
            self.end_pod(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
        for node in self.api.must("GET", "/api/v1/nodes")["items"]:
            self.api.must("DELETE", f"/api/v1/nodes/{node['metadata']['name']}")
        self.api.must("DELETE", "/apis/policy/v1/namespaces/shop/poddisruptionbudgets")
        self.api.must("DELETE", "/api/v1/namespaces/kube-system/secrets")
