"""K3s clusters on hosts: formed from nothing, an agent retired, a server lost and replaced, all upgraded.

In the order of this file: each test goes on where the one before it has left the clusters.
"""

import copy
import json
from typing import Any

import pytest

from tests.hosts.checkout import BIN
from tests.hosts.ground import NORTH, SOUTH, Ground
from tests.hosts.k3s.asked import KEPT, V34, V35, V36, Asking, comes_true, items, kubectl, ready, remember, voters
from tests.lab.fixtures import LabPool
from tests.lab.host import Host
from tests.lab.k3s_layer import k3s_layer

TILL = """  nodeSets:
    - name: till
      count: 1
      role: agent
      arch: amd64
      addresses: 10.77.1.14-10.77.1.14
      vars: {greeting: welcome}
"""
WEB_OF = {
    "name": "web",
    "uid": "00000000-0000-0000-0000-000000000001",
    "kind": "ReplicaSet",
    "apiVersion": "apps/v1",
    "controller": True,
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "till", "namespace": "acme"},
    "spec": {
        "nodeName": "north-till-001",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "till",
                "image": "till:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
"""As the CIS profile demands it of pods: this API server holds them to that."""


def test_two_clusters_from_nothing(formed: Ground) -> None:
    assert comes_true(lambda: ready(formed.hosts["north-a"]) == dict.fromkeys(NORTH, V34))
    assert comes_true(lambda: ready(formed.hosts["south-a"]) == dict.fromkeys(SOUTH, V34))
    assert comes_true(lambda: voters(formed.hosts["north-a"]) == set(NORTH[:3]))
    nodes = items(formed.hosts["north-a"], "nodes")
    assert {node["metadata"]["labels"].get("acme.example/fleet") for node in nodes.values()} == {"acme"}
    assert "acme" in items(formed.hosts["north-b"], "namespaces"), "server/manifests is applied"
    assert formed.checkout.plan("--refresh")["changing"] == 0


def test_an_agent_leaves_its_cluster_and_only_then(formed: Ground) -> None:
    """A pod that nothing would bring back keeps it, until somebody says `--force`."""
    server, till = formed.hosts["north-a"], formed.hosts["north-till-001"]
    kubectl(server, "create", "-f", "-", stdin=json.dumps(POD))
    formed.checkout.edit("sites/north.yaml", TILL, "")
    formed.checkout.commit("The till closes")

    said = formed.checkout.fleet("node", "retire", "north-till-001", "--yes", code=4)
    assert "acme/till (no controller would bring it back)" in said.out
    assert till.unit_show("k3s-agent.service", "ActiveState") == {"ActiveState": "active"}
    assert items(server, "nodes")["north-till-001"]["spec"]["unschedulable"] is True

    said = formed.checkout.fleet("node", "retire", "north-till-001", "--yes", "--force")
    assert "acme/till has left" in said.out
    assert "north-till-001: drained, 1 pod gone" in said.out
    assert "its cluster has no Node, node password or member of it any more" in said.out
    assert set(items(server, "nodes")) == set(NORTH[:3])
    secrets = items(server, "secrets", "-n", "kube-system")
    assert {name for name in secrets if name.endswith(".node-password.k3s")} == {
        f"{name}.node-password.k3s" for name in NORTH[:3]
    }
    assert till.unit_show("k3s-agent.service", "LoadState") == {"LoadState": "not-found"}


@pytest.fixture
def spare(formed: Ground, lab_pool: LabPool) -> Host:
    """Another machine, freshly installed, with a machine-id and host key of its own."""
    host = formed.lab.grow(7, k3s_layer())[6]
    host.reset()  # a file with hosts of its own may have had it
    assert host.machine_id != formed.hosts["north-c"].machine_id
    return host


def test_a_lost_server_is_replaced_while_the_others_serve(formed: Ground, spare: Host) -> None:
    first, second, lost = (formed.hosts[name] for name in ("north-a", "north-b", "north-c"))
    lost.kill()
    formed.checkout.edit("sites/north.yaml", lost.address, spare.address)
    formed.checkout.commit("Another machine for north-c")
    shown = spare.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]
    with Asking(first, second) as asking:
        said = formed.checkout.fleet("node", "replace", "north-c", "--fingerprint", shown, code=2)
        assert "its machine still runs K3s" in said.err, "Kubernetes has not missed it yet"
        assert comes_true(lambda: "north-c" not in ready(first), 120)
        said = formed.checkout.fleet("node", "replace", "north-c", "--fingerprint", shown)
        assert "its cluster has no Node, node password or member of it any more" in said.out
        assert voters(first) == {"north-a", "north-b"}
        formed.checkout.fleet("apply", "--yes")
    formed.hosts["north-c"] = spare
    assert comes_true(lambda: ready(spare) == dict.fromkeys(NORTH[:3], V34)), ready(spare)
    assert comes_true(lambda: voters(spare) == set(NORTH[:3])), voters(spare)
    assert asking.longest < 15, "two of three served all the time"
    assert items(spare, "nodes")["north-c"]["status"]["nodeInfo"]["machineID"] == spare.machine_id


def test_two_minors_are_walked_while_the_cluster_serves(formed: Ground) -> None:
    """Each server is empty while it is upgraded, and leaves a real snapshot of before."""
    servers = [formed.hosts[name] for name in NORTH[:3]]
    before = V34
    for version in (V35, V36):  # one release of each minor stays in fleet.lock
        formed.checkout.edit("fleet.yaml", before, version)
        formed.checkout.fleet("lock")
        before = version
    formed.checkout.commit("K3s two minors on")
    web = copy.deepcopy(POD)
    web["metadata"] = {"name": "web", "namespace": "acme", "ownerReferences": [WEB_OF]}
    web["spec"]["nodeName"] = "north-b"
    kubectl(servers[0], "create", "-f", "-", stdin=json.dumps(web))
    kubectl(servers[0], "cordon", "north-c")
    with Asking(*servers) as asking:
        said = formed.checkout.run([str(BIN / "fleet"), "apply", "--yes", "--json"], seconds=900)
    applied = [event["node"] for event in said.events("NodeApplied") if event["node"].startswith("north")]
    assert (applied, len(said.events("RolloutFinished"))) == ([*NORTH[:3]] * 2, 2)
    assert comes_true(lambda: ready(servers[1]) == dict.fromkeys(NORTH[:3], V36)), ready(servers[1])
    assert comes_true(lambda: ready(formed.hosts["south-a"]) == dict.fromkeys(SOUTH, V36))
    assert voters(servers[0]) == set(NORTH[:3])
    assert asking.longest < 15, "one server at a time"
    assert "web" not in items(servers[0], "pods", "-n", "acme"), "it was moved off before north-b was touched"
    cordoned = {name for name, node in items(servers[0], "nodes").items() if node["spec"].get("unschedulable")}
    assert cordoned == {"north-c"}, "that is somebody else's cordon"
    for server in servers:
        listed = server.run(["k3s", "etcd-snapshot", "ls"])
        for version in (V34, V35):
            assert f"fleet-before-upgrade-of-{version.replace('+', '-')}" in listed


def test_sqlite_becomes_etcd_with_what_it_held_and_then_three_servers(formed: Ground) -> None:
    checkout, first = formed.checkout, formed.hosts["south-a"]
    remember(first, "kept")
    checkout.edit(
        "sites/south.yaml", "  timeZone: Europe/Rome\n", "  timeZone: Europe/Rome\n  cluster: {datastore: etcd}\n"
    )
    checkout.commit("etcd for south")
    checkout.fleet("apply", "--yes")
    assert comes_true(lambda: voters(first) == {"south-a"})
    assert items(first, "configmaps", "-n", "acme")["kept"]["data"] == KEPT["data"]

    others = {"south-b": formed.hosts["north-till-001"], "south-c": formed.lab.grow(8, k3s_layer())[7]}
    lines = [
        f"\n    - {{name: {name}, role: server, arch: amd64, address: {host.address}}}" for name, host in others.items()
    ]
    listed = "- {name: south-a, role: server, address: 10.77.1.15}"
    checkout.edit("sites/south.yaml", listed, listed + "".join(lines))
    checkout.commit("Two more servers")
    for name, host in others.items():
        shown = host.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]
        checkout.fleet("node", "trust", name, "--fingerprint", shown)
    checkout.fleet("apply", "--yes")
    assert comes_true(lambda: voters(others["south-c"]) == {"south-a", *others}), voters(first)
    assert items(others["south-c"], "configmaps", "-n", "acme")["kept"]["data"] == KEPT["data"]


def test_servers_are_retired_down_to_one(formed: Ground) -> None:
    """Of three members one stops first; of two its Node has to go first, for one that stops would stop the other."""
    checkout, site = formed.checkout, formed.checkout.folder / "sites/south.yaml"
    for name, more in (("south-c", ", growing: true"), ("south-b", "")):
        lines = [line for line in site.read_text().splitlines(keepends=True) if f"name: {name}," not in line]
        text = "".join(lines).replace(", growing: true", "")
        site.write_text(text.replace("{datastore: etcd}", f"{{datastore: etcd{more}}}"))
        checkout.commit(f"{name} closes")
        said = checkout.fleet("node", "retire", name, "--yes")
        assert "its cluster has no Node, node password or member of it any more" in said.out
    first = formed.hosts["south-a"]
    assert comes_true(lambda: voters(first) == {"south-a"}), voters(first)
    assert set(items(first, "nodes")) == set(SOUTH)
    assert items(first, "configmaps", "-n", "acme")["kept"]["data"] == KEPT["data"]


def test_an_agent_joins_a_cluster_that_lives(formed: Ground) -> None:
    """On a machine that was installed anew. It comes with the full token, and nobody else is touched."""
    checkout, host = formed.checkout, formed.hosts["north-till-001"]
    host.reset()
    line = f"- {{name: north-c, role: server, arch: amd64, address: {formed.hosts['north-c'].address}}}"
    desk = f"- {{name: north-desk, role: agent, arch: amd64, address: {host.address}}}"
    checkout.edit("sites/north.yaml", line, f"{line}\n    {desk}")
    checkout.commit("A desk for north")
    shown = host.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]
    checkout.fleet("node", "trust", "north-desk", "--fingerprint", shown)
    said = checkout.fleet("apply", "--yes", "--json")
    assert [event["node"] for event in said.events("NodeApplied")] == ["north-desk"]
    assert comes_true(lambda: ready(formed.hosts["north-b"]) == dict.fromkeys([*NORTH[:3], "north-desk"], V36))
    assert host.run(["cat", "/etc/rancher/k3s/agent-token"]).startswith("K10")
