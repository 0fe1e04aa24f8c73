"""Servers that are lost: what the plan says is left to do, and how an emptied one comes back."""

from collections.abc import Iterator

import pytest

from tests.hosts.ground import NORTH, Ground
from tests.hosts.k3s.asked import comes_true, items, ready, voters

SERVERS = set(NORTH[:3])


@pytest.fixture
def whole(formed: Ground) -> Iterator[Ground]:
    """Whatever happens to them, all servers are up again for the tests after this one."""
    yield formed
    for name in SERVERS:
        if not formed.hosts[name].is_running:
            formed.hosts[name].start()
            formed.hosts[name].wait_running(timeout=180)
    assert comes_true(lambda: voters(formed.hosts["north-b"]) == SERVERS, 120)


def quorum_verdicts(ground: Ground) -> list[dict[str, str]]:
    return [verdict for verdict in ground.checkout.plan("--refresh")["verdicts"] if verdict["rule"] == "quorum"]


def test_two_of_three_servers_are_lost_and_the_plan_says_that_a_restore_is_left(whole: Ground) -> None:
    for name in ("north-b", "north-c"):
        whole.hosts[name].kill()

    (verdict,) = quorum_verdicts(whole)
    said = whole.checkout.fleet("plan", "--refresh").out
    gone = "etcd has lost its quorum, 2 of 3: north-b does not answer, north-c does not answer"
    assert (verdict["subject"], verdict["message"]) == ("north", gone)
    assert "what is left to do is a restore, by hand: docs/k3s.md#restore" in said

    for name in ("north-b", "north-c"):
        whole.hosts[name].start()
        whole.hosts[name].wait_running(timeout=180)
    assert quorum_verdicts(whole) == []


def test_a_first_server_whose_disk_was_emptied_joins_the_others(whole: Ground) -> None:
    """It founds no second cluster. K3s lets it in once the name is free: its Node, its password, its member."""
    first, second = whole.hosts["north-a"], whole.hosts["north-b"]
    authority = second.read("/var/lib/rancher/k3s/server/tls/server-ca.crt")
    first.reset()
    shown = first.run(["ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[1]

    report = whole.checkout.plan("--refresh")
    assert [node["node"] for node in report["nodes"]] == ["north-a"]
    assert comes_true(lambda: "north-a" not in ready(second), 120)
    whole.checkout.fleet("node", "replace", "north-a", "--fingerprint", shown)
    assert set(items(second, "nodes")).isdisjoint({"north-a"})
    whole.checkout.fleet("apply", "--yes")

    assert comes_true(lambda: voters(second) == SERVERS, 120), voters(second)
    assert comes_true(lambda: "north-a" in ready(second))
    assert first.read("/var/lib/rancher/k3s/server/tls/server-ca.crt") == authority
    assert first.read("/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml").startswith("server: ")
    assert whole.checkout.plan("--refresh")["changing"] == 0
