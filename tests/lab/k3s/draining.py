"""`kubectl cordon`, `uncordon` and `drain`: evictions, which the API server may forbid."""

import sys
import time
from typing import TYPE_CHECKING, Any

from .client import RequestError

if TYPE_CHECKING:
    from .kubectl import Kubectl

EVICT_SECONDS = 60


def cordon(call: "Kubectl", words: list[str]) -> None:
    for name in words:
        is_off = call.command != "uncordon"
        call.api.merge(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True if is_off else None}})
        print(f"node/{name} {'cordoned' if is_off else 'uncordoned'}")


def drain(call: "Kubectl", words: list[str]) -> None:
    """Cordon, then evict every pod of the node: an eviction that a budget forbids is tried again."""
    cordon(call, words)
    text = call.options.get("timeout", "")
    give_up = time.monotonic() + (
        float(text.removesuffix("s")) if text.removesuffix("s") not in {"", "0"} else EVICT_SECONDS
    )
    for name in words:
        query = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"
        while pods := call.api.get(query)["items"]:
            for pod in pods:
                evict(call, pod["metadata"])
            if time.monotonic() > give_up:
                raise SystemExit(f'error: unable to drain node "{name}": global timeout reached')
            time.sleep(0.5)
        print(f"node/{name} drained")


def evict(call: "Kubectl", meta: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction"
    names = {"name": meta["name"], "namespace": meta["namespace"]}
    try:
        call.api.json("POST", path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": names})
    except RequestError as error:
        if error.status not in {404, 429}:
            raise
        print(f"error when evicting pods/{meta['name']}: {error.reason}", file=sys.stderr)
