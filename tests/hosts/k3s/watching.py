"""What happens in a cluster while it is upgraded, seen from beside it: every revision of its Nodes and Pods, and whether etcd
serves, asked each second.
"""

import base64
import itertools
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.lab.host import Host
from tests.lab.lab import Lab

CORDONED = "edgefleet.fleet/cordoned"
"""The annotation with which `fleet` marks a cordon of its own."""
HEALTH = "http://127.0.0.1:2381/health"
"""K3s's etcd tells its health there, on its own machine alone."""
NUMBERS = "/api/v1/namespaces/default/configmaps/numbers"
_PAPERS = {"ca": "certificate-authority-data", "crt": "client-certificate-data", "key": "client-key-data"}


class Api:
    """The API server of one host, asked from the controller's namespace as its k3s.yaml says."""

    def __init__(self, lab: Lab, host: Host, folder: Path) -> None:
        self.lab, self.host = lab, host
        said = host.read("/etc/rancher/k3s/k3s.yaml")
        self.papers = {name: folder / f"{host.name}.{name}" for name in _PAPERS}
        for name, key in _PAPERS.items():
            (found,) = re.findall(rf"{key}: (\S+)", said)
            self.papers[name].write_bytes(base64.b64decode(found))

    def command(self, path: str, *options: str) -> list[str]:
        papers = [word for name, flag in (("ca", "cacert"), ("crt", "cert"), ("key", "key"))
                  for word in (f"--{flag}", str(self.papers[name]))]  # fmt: skip
        url = f"https://{self.host.address}:6443{path}"
        return self.lab.controller_command(["curl", "--silent", "--fail", *papers, *options, url])

    def call(self, path: str, body: Any = None, *, method: str = "GET", patch: str = "", seconds: int = 10) -> Any:
        """The answer; None where there is none, or not a good one. `patch` is the kind of the patch that `body` is."""
        kind = f"application/{patch}-patch+{'yaml' if patch == 'apply' else 'json'}" if patch else "application/json"
        sent = [] if body is None else ["--header", f"Content-Type: {kind}", "--data-binary", json.dumps(body)]
        argv = self.command(path, "--request", "PATCH" if patch else method, "--max-time", str(seconds), *sent)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def must(self, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(path, body, **more)
        assert answer is not None, f"{self.host.name}: {path}"
        return answer


@dataclass(frozen=True)
class Seen:
    """A Node as one revision of the cluster has it. `is_ours`: `fleet` has cordoned it."""

    revision: int
    name: str
    is_cordoned: bool
    is_ours: bool
    version: str
    is_ready: bool

    @property
    def state(self) -> tuple[str, str]:
        """Whether it is cordoned and by whom, and its version."""
        by = "cordoned" if self.is_ours else "theirs"
        return by if self.is_cordoned else "free", self.version


def seen(node: dict[str, Any]) -> Seen:
    about, status = node["metadata"], node["status"]
    ready = [row["status"] for row in status.get("conditions", []) if row["type"] == "Ready"]
    return Seen(
        int(about["resourceVersion"]),
        about["name"],
        bool(node["spec"].get("unschedulable")),
        CORDONED in about.get("annotations", {}),
        status.get("nodeInfo", {}).get("kubeletVersion", ""),
        ready == ["True"],
    )


class Watch(threading.Thread):
    """All revisions of the Nodes, and the ends of Pods, in their order. Where an API server goes, the next one is asked from
    there on: name first the one that restarts last.
    """

    def __init__(self, *servers: Api) -> None:
        super().__init__(daemon=True)
        self.servers = servers
        self.nodes: list[Seen] = []
        self.gone: dict[str, int] = {}
        """Pods that were deleted, with the revision of their end."""
        self.trouble = ""
        self._news = threading.Condition()
        self._is_over = False
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        listed = self.servers[0].must("/api/v1/nodes")
        self._since = {"nodes": int(listed["metadata"]["resourceVersion"])}
        self._since["pods"] = self._since["nodes"]
        self.nodes = [seen(node) for node in listed["items"]]
        self._followers = [threading.Thread(target=self._follow, args=(kind,), daemon=True) for kind in self._since]
        for each in self._followers:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        while any(each.is_alive() for each in self._followers):
            for process in list(self._running):
                process.kill()
            time.sleep(0.05)
        assert not self.trouble, self.trouble

    def wait_for(self, is_it: Callable[[Seen], bool], seconds: float = 240) -> Seen:
        """The first revision of which that holds."""
        with self._news:
            came = self._news.wait_for(lambda: self.trouble or any(map(is_it, self.nodes)), seconds)
        assert came, "it did not come"
        assert not self.trouble, self.trouble
        return next(filter(is_it, self.nodes))

    def states(self, name: str) -> list[tuple[str, str]]:
        """What the Node was one after the other."""
        found: list[tuple[str, str]] = []
        for each in self.nodes:
            if each.name == name and each.state not in found[-1:]:
                found.append(each.state)
        return found

    def first(self, name: str, state: tuple[str, str]) -> int:
        """The revision in which the Node became so."""
        return next(each.revision for each in self.nodes if each.name == name and each.state == state)

    def most_at_once(self, names: Sequence[str]) -> int:
        """How many of these were not free for pods by `fleet`, or not Ready, at the same time."""
        away: set[str] = set()
        most = 0
        for each in self.nodes:
            if each.name in names:
                away = away | {each.name} if each.is_ours or not each.is_ready else away - {each.name}
                most = max(most, len(away))
        return most

    def _follow(self, kind: str) -> None:
        """Pods by the first server alone: too little happens to them for another one to remember where that was."""
        for server in itertools.cycle(self.servers) if kind == "nodes" else self.servers[:1]:
            if self._is_over:
                return
            self._hear_all(kind, server)
            time.sleep(0.2)

    def _hear_all(self, kind: str, server: Api) -> None:
        """Until the server ends it."""
        argv = server.command(f"/api/v1/{kind}?watch=1&resourceVersion={self._since[kind]}", "--no-buffer")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            self._running.append(process)
            assert process.stdout is not None
            for line in process.stdout:
                if not line.endswith("\n"):
                    break  # cut off: it comes again, whole
                with self._news:
                    self._hear(kind, json.loads(line))
                    self._news.notify_all()
        self._running.remove(process)

    def _hear(self, kind: str, told: dict[str, Any]) -> None:
        about = told["object"].get("metadata", {})
        if told["type"] == "ERROR":
            self.trouble = f"revisions are missing: {told['object'].get('message')}"
            self._is_over = True
            return
        self._since[kind] = int(about["resourceVersion"])
        if kind == "nodes" and told["type"] != "DELETED":
            self.nodes.append(seen(told["object"]))
        elif kind == "pods" and told["type"] == "DELETED":
            self.gone[about["name"]] = self._since[kind]


@dataclass(frozen=True)
class Sample:
    """One second: which members of etcd answered, and whether something could be written."""

    up: frozenset[str]
    wrote: bool


class Probe(threading.Thread):
    """Each second: does each member of etcd answer, and does a write come through, by whichever server takes it."""

    def __init__(self, apis: dict[str, Api]) -> None:
        super().__init__(daemon=True)
        self.apis = apis
        self.samples: list[Sample] = []
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        about = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "numbers"}}
        first = next(iter(self.apis.values()))
        first.call(NUMBERS, method="DELETE")
        first.must(NUMBERS.rpartition("/")[0], about, method="POST")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()

    def lost(self) -> list[tuple[int, Sample]]:
        """Those without a quorum of two: fewer answered, or nothing could be written."""
        return [(at, each) for at, each in enumerate(self.samples) if len(each.up) < 2 or not each.wrote]

    def last_number(self) -> str:
        return str(next(iter(self.apis.values())).must(NUMBERS)["data"]["last"])

    def run(self) -> None:
        with ThreadPoolExecutor(len(self.apis) + 1) as pool:
            while not self._is_over.is_set():
                due = time.monotonic() + 1
                wrote = pool.submit(self._write, len(self.samples))
                answers = dict(zip(self.apis, pool.map(self._answers, self.apis.values()), strict=True))
                up = frozenset(name for name, answered in answers.items() if answered)
                self.samples.append(Sample(up, wrote.result()))
                self._is_over.wait(max(0.0, due - time.monotonic()))

    def _answers(self, api: Api) -> bool:
        """Whoever has no leader for a moment says so, and is up."""
        return '"health"' in api.host.run(["curl", "--silent", "--max-time", "5", HEALTH], check=False)

    def _write(self, number: int) -> bool:
        """Two rounds: who was asked first may be the one that is being restarted."""
        body = {"data": {"last": str(number)}}
        return any(api.call(NUMBERS, body, patch="merge") is not None for api in (*self.apis.values(),) * 2)
