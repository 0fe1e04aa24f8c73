"""The few controllers that a configuration tool meets: roles of servers, members of deleted nodes, silent nodes.

Every server runs them, and all that they do may be done twice. What kube-controller-manager and the scheduler do
besides is not here: nobody makes pods of a Deployment, nobody binds a pod to a node, a deleted Namespace stays.
"""

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from .client import RequestError, UnreachableError
from .etcd import EtcdError
from .kubelet import seconds_now
from .node_passwords import look_after
from .output import log
from .versions import forget_version

if TYPE_CHECKING:
    from .server import Server

EVERY_SECONDS = 2
ROLE = "node-role.kubernetes.io/"
# pkg/etcd/member_controller.go: a Node that goes takes its etcd member with it.
FINALIZER = "wrangler.cattle.io/managed-etcd-controller"
VOTER = "EtcdIsVoter"
MEMBER = "etcd.k3s.cattle.io/node-name"
ADDRESS = "etcd.k3s.cattle.io/node-address"
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"


class Controllers:
    def __init__(self, server: "Server") -> None:
        self.server = server

    def run(self) -> None:
        said = ""
        while True:
            try:
                self.step()
                said = ""
            except (RequestError, UnreachableError, EtcdError) as error:
                if str(error) != said:
                    said = str(error)
                    log("warning", f"controllers: {error}")
            time.sleep(EVERY_SECONDS)

    def step(self) -> None:
        nodes = self.server.admin.get("/api/v1/nodes")["items"]
        leases = self.server.admin.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")["items"]
        beats = {lease["metadata"]["name"]: lease["spec"] for lease in leases}
        look_after(self.server.admin, nodes)
        for node in nodes:
            meta = node["metadata"]
            if meta["name"] == self.server.node and not meta.get("deletionTimestamp"):
                self.mark_server(meta)
                self.tell_membership(node)
            if meta.get("deletionTimestamp") and FINALIZER in meta.get("finalizers", []):
                self.remove_member(meta)
            elif beats.get(meta["name"], {}).get("renewTime"):
                self.judge(node, beats[meta["name"]])

    def mark_server(self, meta: dict[str, Any]) -> None:
        """Roles as labels; the member's name and the finalizer where etcd runs here (pkg/server, setNodeLabels)."""
        roles = ["control-plane", *(["etcd"] if self.server.is_managed else [])]
        labels = {f"{ROLE}{role}": "true" for role in roles}
        changes: dict[str, Any] = {}
        if not labels.items() <= meta.get("labels", {}).items():
            changes["labels"] = labels
        if self.server.is_managed:
            annotations = {MEMBER: self.server.etcd.name, ADDRESS: self.server.addresses[0]}
            if not annotations.items() <= meta.get("annotations", {}).items():
                changes["annotations"] = annotations
            if FINALIZER not in meta.get("finalizers", []):
                changes["finalizers"] = [*meta.get("finalizers", []), FINALIZER]
        if changes:
            self.server.admin.merge(f"/api/v1/nodes/{meta['name']}", {"metadata": changes})

    def tell_membership(self, node: dict[str, Any]) -> None:
        """The condition EtcdIsVoter of a server with embedded etcd (pkg/etcd/etcd.go, setEtcdStatusCondition)."""
        if not self.server.is_managed:
            return
        mine = [each for each in self.server.etcd.members() if each.get("name") == self.server.etcd.name]
        if not mine:
            status, reason, message = "False", "NotAMember", "Node is not a member of the etcd cluster"
        elif mine[0].get("isLearner"):
            status, reason, message = "False", "MemberIsLearner", "Node has not been promoted to voting member"
        else:
            status, reason, message = "True", "MemberNotLearner", "Node is a voting member of the etcd cluster"
        said = [row for row in node["status"].get("conditions", []) if row["type"] == VOTER]
        if said and (said[0]["status"], said[0]["reason"]) == (status, reason):
            return
        condition = {
            "type": VOTER,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": seconds_now(),
            "lastTransitionTime": seconds_now(),
        }
        path = f"/api/v1/nodes/{node['metadata']['name']}/status"
        self.server.admin.strategic(path, {"status": {"conditions": [condition]}})

    def remove_member(self, meta: dict[str, Any]) -> None:
        name = meta.get("annotations", {}).get(MEMBER)
        for member in self.server.etcd.members():
            if member.get("name") == name:
                log("info", f"Removing member {name} from etcd cluster")
                self.server.etcd.control("member", "remove", f"{member['ID']:x}")
        forget_version(self.server.etcd, meta["name"])
        rest = [item for item in meta["finalizers"] if item != FINALIZER]
        self.server.admin.merge(f"/api/v1/nodes/{meta['name']}", {"metadata": {"finalizers": rest or None}})

    def judge(self, node: dict[str, Any], lease: dict[str, Any]) -> None:
        """node-lifecycle-controller: Ready=Unknown for who is silent longer than a Lease lasts, and taints to match.

        It takes no pod away: a taint manager is not here.
        """
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        ready = [row["status"] for row in node["status"].get("conditions", []) if row["type"] == "Ready"]
        status = ready[0] if ready else "False"
        silent = datetime.now(timezone.utc) - datetime.fromisoformat(lease["renewTime"])  # noqa: UP017
        if silent > timedelta(seconds=lease["leaseDurationSeconds"]):
            if status != "Unknown":
                condition = {
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                    "lastTransitionTime": seconds_now(),
                }
                self.server.admin.strategic(f"{path}/status", {"status": {"conditions": [condition]}})
            status = "Unknown"
        elif status == "Unknown":
            return  # it renews its Lease again, and says itself how it is
        key = {"Unknown": UNREACHABLE, "False": NOT_READY}.get(status, "")
        wanted = [{"key": key, "effect": effect} for effect in ("NoSchedule", "NoExecute")] if key else []
        taints = node["spec"].get("taints", [])
        own = [{"key": row["key"], "effect": row["effect"]} for row in taints if row["key"] in (UNREACHABLE, NOT_READY)]
        if own != wanted:
            rest = [row for row in taints if row["key"] not in (UNREACHABLE, NOT_READY)]
            # The version guards against somebody's own taint, set in between.
            meta = {"resourceVersion": node["metadata"]["resourceVersion"]} if status != "Unknown" else {}
            self.server.admin.merge(path, {"metadata": meta, "spec": {"taints": [*rest, *wanted] or None}})
