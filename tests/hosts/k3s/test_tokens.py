"""Tokens of clusters on hosts: rotated while they serve, and asked for by a snapshot of before."""

import hashlib

from tests.hosts.ground import NORTH, SOUTH, Ground
from tests.hosts.k3s.asked import Asking, comes_true, items, ready, remember, voters
from tests.lab.host import Host

DATABASE = "/var/lib/rancher/k3s/server/db"


def secret(ground: Ground, name: str) -> str:
    return ground.checkout.fleet("secret", "get", name).out.strip()


def bare(token: str) -> str:
    return token.strip().rpartition(":")[2]


def bootstrap_keys(server: Host) -> list[str]:
    """Of etcd itself: there is one for each token that opens the cluster's bootstrap data."""
    tls = "/var/lib/rancher/k3s/server/tls/etcd"
    files = (f"--cacert={tls}/server-ca.crt", f"--cert={tls}/client.crt", f"--key={tls}/client.key")
    etcdctl = ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints=https://127.0.0.1:2379", *files]
    return server.run([*etcdctl, "get", "/bootstrap", "--prefix", "--keys-only"]).split()


def test_tokens_are_rotated_while_the_cluster_serves_also_past_a_server_that_missed_it(formed: Ground) -> None:
    """Of three servers one is restarted in between, and cannot start any more with the token that it has."""
    checkout, servers = formed.checkout, [formed.hosts[name] for name in NORTH[:3]]
    remember(servers[0], "before")
    servers[0].run(["k3s", "etcd-snapshot", "save", "--name", "by-hand"], timeout=90)
    remember(servers[0], "after")
    servers[0].run(["sh", "-c", f"cp {DATABASE}/snapshots/by-hand-* /root/snapshot"])
    old = secret(formed, "north.k3s-token")
    till = formed.hosts["south-till-001"].run(["cat", "/etc/rancher/k3s/agent-token"])
    checkout.fleet("secret", "rotate", "north.k3s-token", "south.k3s-agent-token")
    checkout.commit("Two new tokens")
    new = secret(formed, "north.k3s-token")
    assert (secret(formed, "north.k3s-token.previous"), old != new) == (old, True)
    refused = checkout.fleet("apply", "--yes", "--node", "south-till-001", code=2)
    assert "the first by tokens-first: south-till-001: it would come with the new" in refused.err
    with Asking(*servers) as asking:
        checkout.fleet("apply", "--yes", "--node", "north-a")
        assert "FAILED" in servers[1].run(["sh", "-c", "systemctl restart k3s || echo FAILED"], timeout=180)
        said = checkout.fleet("apply", "--yes", "--json")
    applied = [event["node"] for event in said.events("NodeApplied") if event["node"] in NORTH]
    assert applied == ["north-b", "north-c"]
    assert asking.longest < 15, "one server at a time"
    for server in servers:
        for path in ("/etc/rancher/k3s/server-token", "/var/lib/rancher/k3s/server/token"):
            assert bare(server.run(["cat", path])) == new, path
        assert bootstrap_keys(server) == [f"/bootstrap/{hashlib.sha256(new.encode()).hexdigest()[:12]}"]
    assert comes_true(lambda: set(ready(servers[0])) >= set(NORTH[:3])), ready(servers[0])
    assert bare(formed.hosts["south-till-001"].run(["cat", "/etc/rancher/k3s/agent-token"])) != bare(till)
    assert comes_true(lambda: set(ready(formed.hosts["south-a"])) == set(SOUTH))
    assert checkout.plan("--refresh")["changing"] == 0


def test_all_servers_are_lost_and_come_back_from_a_snapshot_with_the_token_of_its_time(formed: Ground) -> None:
    """What docs/k3s.md says to type. The snapshot is older than the last rotation, and the hosts have kept their
    configuration, and nothing of K3s's own. A look finds the old token on the first one, and K3s stopped on the others.
    """
    servers = [formed.hosts[name] for name in NORTH[:3]]
    first = servers[0]
    for server in servers:
        server.run(["systemctl", "stop", "k3s"], timeout=90)
        server.run(["sh", "-c", f"cd {DATABASE}/.. && rm -rf db tls cred token node-token agent-token"])

    restore = "k3s server --cluster-reset --cluster-reset-restore-path=/root/snapshot 2>&1"
    wrong = first.run(["sh", "-c", f"{restore}; echo status $?"], timeout=180)
    assert wrong.endswith("status 1\n"), wrong
    first.run(["sh", "-c", f"rm -rf {DATABASE}"])
    previous = secret(formed, "north.k3s-token.previous")
    first.run(["sh", "-c", "cat > /etc/rancher/k3s/server-token"], stdin=previous)
    right = first.run(["sh", "-c", restore], timeout=180)
    assert "restart without --cluster-reset flag now" in right
    first.run(["systemctl", "start", "k3s"], timeout=180)
    assert formed.checkout.plan("--refresh")["changing"] == 3
    formed.checkout.fleet("apply", "--yes")
    assert bootstrap_keys(first) == [
        f"/bootstrap/{hashlib.sha256(secret(formed, 'north.k3s-token').encode()).hexdigest()[:12]}"
    ]
    assert comes_true(lambda: voters(first) == set(NORTH[:3])), voters(first)
    assert comes_true(lambda: set(ready(first)) >= set(NORTH[:3])), ready(first)
    found = items(servers[2], "configmaps", "-n", "acme")
    assert ("before" in found, "after" in found) == (True, False)
    assert formed.checkout.plan("--refresh")["changing"] == 0
