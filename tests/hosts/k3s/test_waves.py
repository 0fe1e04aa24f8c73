"""Upgrades of K3s through waves, on three clusters of which one has three servers.

In the order of this file: each test goes on where the one before it has left the clusters.
"""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.checkout import BIN, Checkout, Running, Said
from tests.hosts.k3s.asked import V34, V35, V36, comes_true, items, kubectl, ready, voters
from tests.hosts.k3s.shop import FLEET, make_shop
from tests.hosts.k3s.watching import Api, Probe, Watch
from tests.lab.fixtures import LabPool
from tests.lab.host import Host
from tests.lab.lab import Lab

LYON, SERVERS = ("lyon-a", "lyon-b", "lyon-c", "lyon-till"), ("lyon-a", "lyon-b", "lyon-c")
PILOT = ("nice-a", "nice-till")
NODES = (*LYON, *PILOT, "oslo-a")
FREE, OURS, THEIRS = "free", "cordoned", "theirs"
POLICY = """\
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {ring: pilot}}}
    - {name: rest}
  successThreshold: 100%
  disruptionBudget: {groupBy: [site], maxUnavailable: 1}
  minSuccessTime: 3s
  drain: {timeout: 8s, force: false}
  gates:
    - {type: node, timeout: 60s}
    - {type: cluster, timeout: 20s}
"""
PROFILES = """\
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  k3s: {config: {write-kubeconfig-mode: "0600"}}
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: rack}
spec:
  os: {files: [{path: /etc/motd, content: "a server\\n"}]}
"""
SITES = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  timeZone: Europe/Paris
  network: {cidr: 10.77.0.0/16}
  nodes:
    - {name: lyon-a, role: server, arch: amd64, address: 10.77.1.11}
    - {name: lyon-b, role: server, arch: amd64, address: 10.77.1.12}
    - {name: lyon-c, role: server, arch: amd64, address: 10.77.1.13}
    - {name: lyon-till, role: agent, arch: amd64, address: 10.77.1.14}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: nice, labels: {ring: pilot}}
spec:
  timeZone: Europe/Paris
  network: {cidr: 10.77.0.0/16}
  nodes:
    - {name: nice-a, role: server, arch: amd64, address: 10.77.1.15}
    - {name: nice-till, role: agent, arch: amd64, address: 10.77.1.16}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: oslo}
spec:
  timeZone: Europe/Oslo
  network: {cidr: 10.77.0.0/16}
  nodes:
    - {name: oslo-a, role: server, arch: amd64, address: 10.77.1.17}
"""
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop", "uid": "0-1", "controller": True}
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


@dataclass
class Chain:
    """The three clusters, by the names of their nodes."""

    lab: Lab
    hosts: dict[str, Host]
    checkout: Checkout
    folder: Path

    def api(self, name: str) -> Api:
        return Api(self.lab, self.hosts[name], self.folder)

    def watch_lyon(self) -> Watch:
        """The last server to be upgraded is asked first: what happens to the others is seen there in one piece."""
        return Watch(*(self.api(name) for name in reversed(SERVERS)))

    def bring(self, before: str, version: str) -> None:
        self.checkout.edit("fleet.yaml", before, version)
        self.checkout.fleet("lock")
        self.checkout.commit(f"K3s {version}")

    def apply(self, *words: str, code: int = 0) -> Said:
        return self.checkout.run([str(BIN / "fleet"), *words, "--json"], seconds=600, code=code)

    def add_pod(self, node: str, name: str, *, owner: bool = True) -> None:
        about = {"name": name, "labels": {"app": name}, "ownerReferences": [OWNER] if owner else []}
        spec = {"nodeName": node, "containers": [{"name": "one", "image": "none"}], "terminationGracePeriodSeconds": 1}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}
        kubectl(self.hosts[node], "create", "-f", "-", stdin=json.dumps(pod))

    def cordoned(self, server: str) -> dict[str, bool]:
        """Nodes that take no pods, and whether that is ours."""
        return {
            name: "edgefleet.fleet/cordoned" in node["metadata"].get("annotations", {})
            for name, node in items(self.hosts[server], "nodes").items()
            if node["spec"].get("unschedulable")
        }


@pytest.fixture(scope="module")
def chain(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    hosts = lab_pool.lease(len(NODES), full_k3s=True)
    folder = tmp_path_factory.mktemp("chain")
    racks = "profiles: [base, {name: rack, selector: {matchLabels: {role: server}}}]\n  rolloutPolicy: careful"
    files = {"fleet.yaml": FLEET.replace("profiles: [base]", racks), "policies.yaml": POLICY}
    checkout = make_shop(lab_pool.lab, folder, {**files, "profiles.yaml": PROFILES, "sites.yaml": SITES})
    chain = Chain(lab_pool.lab, dict(zip(NODES, hosts, strict=True)), checkout, folder)
    chain.apply("apply", "--yes")
    assert comes_true(lambda: voters(chain.hosts["lyon-a"]) == {*SERVERS})
    return chain


def kill_with_children(running: Running) -> None:
    """kill -9, of `fleet` and of all that it has started; nobody is left who could start another one."""
    found: set[int] = set()
    while new := {running.process.pid, *_children(running.process.pid)} - found:
        for pid in new:
            os.kill(pid, signal.SIGSTOP)
        found |= new
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    running.end()


def _children(pid: int) -> list[int]:
    children = [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]  # fmt: skip
    return [one for child in children for one in (child, *_children(child))]


def applied(events: list[dict[str, Any]]) -> list[str]:
    return [event["node"] for event in events if event["event"] == "NodeApplied"]


@pytest.mark.timeout(600)
def test_a_minor_through_waves(chain: Chain) -> None:
    """Each server is cordoned, drained, upgraded and let go before the next one; somebody else's cordon stays."""
    chain.add_pod("lyon-b", "web")
    kubectl(chain.hosts["lyon-a"], "cordon", "lyon-c")
    chain.bring(V34, V35)
    with Probe({name: chain.api(name) for name in SERVERS}) as probe, chain.watch_lyon() as watch:
        said = chain.apply("apply", "--yes")

    story = [(event["event"], event["wave"]) for event in said.events() if event["event"] in ("WaveStarted", "WaveFinished", "GatesPassed")]  # fmt: skip
    wave = ["GatesPassed", "WaveStarted", "GatesPassed", "WaveFinished"]
    assert story == [(kind, name) for name in ("pilot", "rest") for kind in wave]
    assert [name for name in applied(said.events()) if name in PILOT] == applied(said.events())[:2] == list(PILOT)
    assert [name for name in applied(said.events()) if name in LYON] == list(LYON)
    (measured,) = [
        answer["measured"] for event in said.events("GatesPassed")
        if (event["wave"], event["phase"]) == ("rest", "after") for answer in event["answers"] if answer["gate"] == "cluster"
    ]  # fmt: skip
    assert measured == "5 Nodes of 2 clusters, all Ready"

    assert probe.lost() == []
    assert probe.last_number() == str(len(probe.samples) - 1), "what was written is there"
    assert {name for each in probe.samples for name in {*SERVERS} - each.up} == {*SERVERS}, "each was down once"
    assert watch.most_at_once(LYON) == 1

    for name in SERVERS[:2]:
        assert watch.states(name) == [(FREE, V34), (OURS, V34), (OURS, V35), (FREE, V35)]
    assert watch.states("lyon-c") == [(THEIRS, V34), (OURS, V34), (OURS, V35), (THEIRS, V35)]
    assert watch.states("lyon-till") == [(FREE, V34), (FREE, V35)], "agents keep their pods"
    assert watch.first("lyon-b", (OURS, V34)) < watch.gone["web"] < watch.first("lyon-b", (OURS, V35))
    assert watch.first("lyon-a", (FREE, V35)) < watch.first("lyon-b", (OURS, V34))
    assert watch.first("lyon-b", (FREE, V35)) < watch.first("lyon-c", (OURS, V34))
    assert watch.first("lyon-c", (THEIRS, V35)) < watch.first("lyon-till", (FREE, V35))
    for name in ("nice-a", "oslo-a"):
        assert chain.cordoned(name) == {}
        assert set(ready(chain.hosts[name]).values()) == {V35}


@pytest.mark.timeout(300)
def test_a_pod_that_may_not_leave_keeps_its_server_as_it_is(chain: Chain) -> None:
    """`force: false`: the drain ends with its time, the server takes pods again, the wave fails, nobody else is begun."""
    chain.bring(V35, V36)
    chain.add_pod("nice-a", "pay")
    budget = {"metadata": {"name": "pay"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "pay"}}}}
    chain.api("nice-a").must(BUDGETS, budget, method="POST")
    allow(chain, 0)

    said = chain.apply("apply", "--yes", code=4)

    (failed,) = said.events("NodeFailed")
    words = "it could not be drained: not within 8 s: default/pay (PodDisruptionBudget pay: The disruption budget pay needs 1"
    assert (failed["node"], failed["reason"][: len(words)]) == ("nice-a", words)
    assert [event["node"] for event in said.events("NodeBlocked")] == ["nice-till"]
    assert [event["by_policy"] for event in said.events("PauseRequested")] == [True], said.text
    assert [event["wave"] for event in said.events("WaveStarted")] == ["pilot"]
    assert chain.cordoned("nice-a") == {}
    assert ready(chain.hosts["nice-a"]) == dict.fromkeys(PILOT, V35)
    assert set(ready(chain.hosts["lyon-a"]).values()) == {V35}


def allow(chain: Chain, evictions: int) -> None:
    """What the controller of budgets would say."""
    status = {
        "disruptionsAllowed": evictions, "currentHealthy": 1 + evictions, "desiredHealthy": 1,
        "expectedPods": 1 + evictions, "observedGeneration": 1,
    }  # fmt: skip
    chain.api("nice-a").must(f"{BUDGETS}/pay/status", {"status": status}, patch="merge")


@pytest.mark.timeout(600)
def test_killed_between_drain_and_uncordon(chain: Chain) -> None:
    """Once before K3s is another one, once after it. What others cordon meanwhile stays so, on the same Node too.

    `force: true` takes a pod that nothing would bring back, and a budget is honoured all the same.
    """
    chain.add_pod("nice-a", "bare", owner=False)
    allow(chain, 1)
    chain.checkout.edit("policies.yaml", "force: false", "force: true")
    chain.checkout.commit("Bare pods may go")
    cancelled = killed_while_it_drains(chain)
    chain.checkout.fleet("rollout", "cancel", cancelled)
    chain.apply("rollout", "resume", cancelled, code=4)
    assert chain.cordoned("nice-a") == {}, "nobody goes on with it"
    rollout = killed_while_it_drains(chain)
    kubectl(chain.hosts["lyon-b"], "cordon", "lyon-b")

    with Probe({name: chain.api(name) for name in SERVERS}) as probe, chain.watch_lyon() as watch:
        running = chain.checkout.start("rollout", "resume", rollout, "--json")
        watch.wait_for(lambda node: node.name == "lyon-a" and node.state == (OURS, V36))
        kill_with_children(running)
        assert chain.cordoned("lyon-b") == {"lyon-a": True, "lyon-b": False, "lyon-c": False}
        assert chain.cordoned("nice-a") == {}
        assert not {"pay", "bare"} & set(items(chain.hosts["nice-a"], "pods", "-n", "default"))
        hold = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "lyon-a"}, "spec": {"unschedulable": True}}
        chain.api("lyon-b").must("/api/v1/nodes/lyon-a?fieldManager=night-shift", hold, patch="apply")
        said = chain.apply("rollout", "resume", rollout)

    assert said.events()[-1]["event"] == "RolloutFinished", said.text
    story = chain.checkout.fleet("rollout", "show", rollout, "--json").events()
    assert sorted(applied(story)) == sorted(NODES), "each node once"
    assert probe.lost() == []
    assert watch.most_at_once(LYON) == 1
    assert watch.states("lyon-a") == [(FREE, V35), (OURS, V35), (OURS, V36), (THEIRS, V36)]
    assert watch.states("lyon-b") == [(THEIRS, V35), (OURS, V35), (OURS, V36), (THEIRS, V36)]
    assert chain.cordoned("lyon-a") == dict.fromkeys(SERVERS, False)
    for name in ("lyon-a", "nice-a", "oslo-a"):
        assert set(ready(chain.hosts[name]).values()) == {V36}


def killed_while_it_drains(chain: Chain) -> str:
    """The rollout, whose first server is cordoned now and runs its old K3s."""
    with Watch(chain.api("nice-a")) as watch:
        running = chain.checkout.start("apply", "--yes", "--json")
        rollout = str(running.wait_for("RolloutStarted")["rollout_id"])
        watch.wait_for(lambda node: node.name == "nice-a" and node.is_ours)
        kill_with_children(running)
    assert chain.cordoned("nice-a") == {"nice-a": True}
    assert ready(chain.hosts["nice-a"]) == dict.fromkeys(PILOT, V35)
    return rollout


@pytest.mark.timeout(400)
def test_a_node_that_vanishes_stops_the_wave_also_after_a_kill(chain: Chain) -> None:
    """The wave leaves lyon-till alone: only the cluster's gate looks at it, and compares with what was before the kill."""
    chain.checkout.edit("profiles.yaml", "a server\\n", "one of the servers\\n")
    chain.checkout.commit("Another motd")
    running = chain.checkout.start("apply", "--yes", "--json")
    rollout = running.wait_for("RolloutStarted")["rollout_id"]
    assert [running.wait_for("WaveSoaking")["wave"] for _ in range(2)] == ["pilot", "rest"]
    kill_with_children(running)
    kubectl(chain.hosts["lyon-a"], "delete", "node", "lyon-till", "--wait=false")
    assert comes_true(lambda: set(items(chain.hosts["lyon-a"], "nodes")) == {*SERVERS})

    said = chain.apply("rollout", "resume", rollout, code=4)
    (failed,) = said.events("GatesFailed")
    assert failed["reason"] == "cluster: lyon/lyon-till is gone: Kubernetes has no Node of its name"

    assert [event["event"] for event in said.events()][-3:] == ["WaveFailed", "WaveFinished", "RolloutHalted"]


@pytest.mark.timeout(200)
def test_the_probe_sees_a_quorum_that_is_lost(chain: Chain) -> None:
    """Two of three members stop: that is what it did not see while the clusters were upgraded."""
    stopped = [chain.hosts[name] for name in SERVERS[1:]]
    with Probe({name: chain.api(name) for name in SERVERS}) as probe:
        for host in stopped:
            host.run(["systemctl", "stop", "k3s.service"])
        assert comes_true(lambda: any(not each.wrote and each.up <= {"lyon-a"} for _, each in probe.lost()))
    for host in stopped:
        host.run(["systemctl", "start", "--no-block", "k3s.service"])
    up = {"ActiveState": "active"}
    assert comes_true(lambda: all(host.unit_show("k3s.service", "ActiveState") == up for host in stopped), 120)
