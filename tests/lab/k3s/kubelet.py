"""The part of a kubelet that others see: its Node, its Lease, its Ready condition, and the ends of its pods.

No container runs here. A pod that is bound to this node is told to be running and ready at once, and is gone as soon
as it is deleted or evicted. docs/cli/agent.md: node-label and node-taint act at registration only. For labels, K3s's source
says more: at each start it sets them all on its Node, and takes none away (pkg/agent/run.go, updateMutableLabels).
"""

import os
import socket
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .client import Client, RequestError, UnreachableError
from .faults import fault
from .output import fatal, log, write
from .paths import NODE_ID
from .release import ARCH, VERSION
from .settings import Settings

LEASE_SECONDS = 40  # kubelet: nodeLeaseDurationSeconds; renewed at a quarter of it
POD_SECONDS = 2
STATUS_SECONDS = 10  # kubelet: nodeStatusUpdateFrequency
EFFECTS = {"NoSchedule", "PreferNoSchedule", "NoExecute"}
# k8s.io/kubelet/pkg/apis, well_known_labels.go: what --node-labels may have of Kubernetes's own.
OWN_LABELS = {
    *("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type"),
    *(
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    ),
    *("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"),
    "beta.kubernetes.io/instance-type",
}
OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: UP017


def seconds_now() -> str:
    return now()[:19] + "Z"


def lease_seconds() -> int:
    return int(fault("lease-seconds") or LEASE_SECONDS)


def node_name(settings: Settings) -> str:
    """node-name or the host's name; with-node-id appends an id that is made once (pkg/agent/config/config.go)."""
    name = str(settings.get("node-name") or socket.gethostname()).lower()
    if not settings.get("with-node-id"):
        return name
    if not NODE_ID.exists():
        write(NODE_ID, f"{os.urandom(4).hex()}\n", 0o600)
    return f"{name}-{NODE_ID.read_text().strip()}"


def labels_of(settings: Settings) -> dict[str, str]:
    """node-label as a map; ends where a kubelet would end."""
    labels = {}
    for text in settings.get("node-label", []):
        name, _, value = text.partition("=")
        prefix = name.rpartition("/")[0]
        is_kubernetes = prefix in {"kubernetes.io", "k8s.io"} or prefix.endswith((".kubernetes.io", ".k8s.io"))
        is_allowed = name in OWN_LABELS or any(prefix == own or prefix.endswith(f".{own}") for own in OWN_PREFIXES)
        if is_kubernetes and not is_allowed:
            fatal(
                f"Error: failed to validate kubelet flags: unknown 'kubernetes.io' or 'k8s.io' labels specified: [{name}]"
            )
        labels[name] = value
    return labels


def taints_of(settings: Settings) -> list[dict[str, str]]:
    """node-taint, `key=value:Effect` or `key:Effect`."""
    taints = []
    for text in settings.get("node-taint", []):
        pair, _, effect = text.rpartition(":")
        key, _, value = pair.partition("=")
        if not key or effect not in EFFECTS:
            fatal(f"Error: invalid taint {text!r}: expected key=value:Effect")
        taints.append({"key": key, "effect": effect} | ({"value": value} if value else {}))
    return taints


class Kubelet:
    """The node `name`, told to whichever API server `api` answers with."""

    def __init__(self, name: str, addresses: list[str], settings: Settings, api: Callable[[], Client]) -> None:
        self.name = name
        self.addresses = addresses
        self.labels = labels_of(settings)
        self.taints = taints_of(settings)
        self.api = api
        self._is_registered = False
        self._was_not_ready: bool | None = None
        self._status_at = -STATUS_SECONDS
        self._lease_at = -LEASE_SECONDS
        self._said = ""

    @property
    def path(self) -> str:
        return f"/api/v1/nodes/{self.name}"

    def run(self) -> None:
        """Keep the node alive, for ever. Trouble with the API server is waited out, as a kubelet does."""
        while True:
            try:
                self.step(time.monotonic())
                self._said = ""
            except (RequestError, UnreachableError) as error:
                if str(error) != self._said:
                    self._said = str(error)
                    log("warning", f"kubelet: {error}")
            time.sleep(POD_SECONDS)

    def step(self, at: float) -> None:
        if fault("no-node"):
            return
        not_ready = bool(fault("not-ready"))
        if at - self._lease_at >= lease_seconds() / 4 and not fault("no-heartbeat"):
            self.renew_lease()  # before the status: who is ready and silent is called unknown
            self._lease_at = at
        if at - self._status_at >= STATUS_SECONDS or not_ready != self._was_not_ready:
            if not self._is_registered:  # a Node that is deleted stays away until K3s starts again
                self.register()
                self._is_registered = True
            self.tell_status(is_ready=not not_ready)
            self._was_not_ready, self._status_at = not_ready, at
        self.play_pods()

    def register(self) -> None:
        """Make the Node if there is none; one that is there keeps its taints and labels, and gets those of node-label."""
        if self.api().find(self.path) is not None:
            if self.labels:
                self.api().merge(self.path, {"metadata": {"labels": self.labels}})
            return
        own = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": ARCH}
        annotations = {"k3s.io/hostname": socket.gethostname(), "k3s.io/internal-ip": ",".join(self.addresses)}
        node = {
            "metadata": {
                "name": self.name,
                "labels": own | {"node.kubernetes.io/instance-type": "k3s"} | self.labels,
                "annotations": annotations,
            },
            "spec": {"taints": self.taints} if self.taints else {},
        }
        try:
            self.api().json("POST", "/api/v1/nodes", node)
        except RequestError as error:
            if error.status != 409:
                raise

    def tell_status(self, *, is_ready: bool) -> None:
        kept = self.api().get(self.path).get("status", {}).get("conditions", [])
        status = "True" if is_ready else "False"
        same = [row for row in kept if row["type"] == "Ready" and row["status"] == status]
        condition = {
            "type": "Ready",
            "status": status,
            "reason": "KubeletReady" if is_ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if is_ready else "container runtime network not ready",
            "lastHeartbeatTime": seconds_now(),
            "lastTransitionTime": same[0]["lastTransitionTime"] if same else seconds_now(),
        }
        addresses = [{"type": "InternalIP", "address": address} for address in self.addresses]
        info = {
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": ARCH,
            "containerRuntimeVersion": "containerd://0.0.0-standin",
            "osImage": "stand-in",
            "kernelVersion": os.uname().release,
            "machineID": _machine_id(),
            "systemUUID": _machine_id(),
            "bootID": _boot_id(),
        }
        room = {"cpu": "2", "memory": "4Gi", "pods": "110", "ephemeral-storage": "20Gi"}
        self.api().strategic(
            f"{self.path}/status",
            {
                "status": {
                    "conditions": [condition],
                    "addresses": [*addresses, {"type": "Hostname", "address": self.name}],
                    "nodeInfo": info,
                    "capacity": room,
                    "allocatable": room,
                }
            },
        )

    def renew_lease(self) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.name}"
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": lease_seconds(), "renewTime": now()}
        if self.api().find(path) is None:
            self.api().json("POST", path.rpartition("/")[0], {"metadata": {"name": self.name}, "spec": spec})
        else:
            self.api().merge(path, {"spec": spec})

    def play_pods(self) -> None:
        """Every pod bound to this node runs, until it is asked to go."""
        for pod in self.api().get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self.name}")["items"]:
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            if meta.get("deletionTimestamp"):
                body = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
                self.api().json("DELETE", path, body)
            elif pod["status"].get("phase") == "Pending":
                self.api().strategic(f"{path}/status", {"status": _running(pod)})


def _running(pod: dict[str, Any]) -> dict[str, Any]:
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": seconds_now()}},
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": seconds_now()} for kind in ("Ready", "ContainersReady")
    ]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": containers, "startTime": seconds_now()}


def _machine_id() -> str:
    file = Path("/etc/machine-id")
    return file.read_text().strip() if file.exists() else ""


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
