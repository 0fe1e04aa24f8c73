"""What a cluster says, asked by the kubectl of one of its servers."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.lab.host import Host

V34, V35, V36 = "v1.34.2+k3s1", "v1.35.4+k3s1", "v1.36.1+k3s1"
KEPT = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"since": "SQLite"}}


def kubectl(server: Host, *words: str, stdin: str | None = None) -> str:
    return server.run(["k3s", "kubectl", *words], stdin=stdin, timeout=90)


def items(server: Host, *words: str) -> dict[str, dict[str, Any]]:
    found = json.loads(kubectl(server, "get", *words, "-o", "json"))["items"]
    return {each["metadata"]["name"]: each for each in found}


def remember(server: Host, name: str) -> None:
    kubectl(server, "create", "-f", "-", stdin=json.dumps({**KEPT, "metadata": {"name": name, "namespace": "acme"}}))


def ready(server: Host) -> dict[str, str]:
    """Version by Node, of those that are Ready."""
    return {
        name: node["status"]["nodeInfo"]["kubeletVersion"]
        for name, node in items(server, "nodes").items()
        if {"type": "Ready", "status": "True"}.items()
        <= next((row for row in node["status"]["conditions"] if row["type"] == "Ready"), {}).items()
    }


def voters(server: Host) -> set[str]:
    return {
        name
        for name, node in items(server, "nodes").items()
        for row in node["status"]["conditions"]
        if row["type"] == "EtcdIsVoter" and row["status"] == "True"
    }


def comes_true(is_so: Callable[[], bool], seconds: float = 60) -> bool:
    """Clusters take their time: a new member of etcd learns before it votes, a restarted kubelet tells of itself."""
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            return False
        time.sleep(0.5)
    return True


class Asking(threading.Thread):
    """Asks the API of a cluster all the time, by whichever of these servers answers. `longest` is its longest silence."""

    def __init__(self, *servers: Host) -> None:
        super().__init__(daemon=True)
        self.servers, self.longest, self.is_over = servers, 0.0, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()

    def run(self) -> None:
        answered = time.monotonic()
        while not self.is_over.wait(0.5):
            for server in self.servers:
                said = server.run(["k3s", "kubectl", "get", "--raw", "/readyz"], check=False, timeout=20)
                if said.strip() == "ok":
                    answered = time.monotonic()
                    break
            self.longest = max(self.longest, time.monotonic() - answered)
