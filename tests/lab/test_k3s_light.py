"""The light stand-in for K3s, as its clients meet it: started by hand, on machines without systemd."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab.machines import Machine, Machines, Program

TOKEN = "correct-horse"
VERSION = "v1.35.4+k3s1"
CONFIG = "/etc/rancher/k3s/config.yaml"


@pytest.fixture
def machines() -> Iterator[Machines]:
    with Machines() as machines:
        yield machines


def start(machine: Machine, role: str, config: str, version: str = VERSION) -> Program:
    """Install, configure and start; the caller waits."""
    machine.install_k3s(version)
    machine.write(CONFIG, config)
    return machine.start("k3s", role)


def nodes(server: Machine) -> dict[str, dict[str, str]]:
    return json.loads(server.run("curl", "-sSf", "http://127.0.0.1:6443/standin/nodes"))


def test_a_server_and_an_agent(machines: Machines) -> None:
    server, agent = machines.add("host1"), machines.add("host2")
    start(server, "server", f"token: {TOKEN}\nwrite-kubeconfig-mode: '0640'\n").wait_ready()
    start(agent, "agent", f"server: https://{server.address}:6443\ntoken: {TOKEN}\n").wait_ready()

    assert server.run("k3s", "--version").startswith(f"k3s version {VERSION} (")
    assert server.run("curl", "-sSf", f"http://{server.address}:6443/readyz") == "ok"
    assert agent.run("curl", "-sSf", f"http://{server.address}:6443/ping") == "pong"
    assert nodes(server) == {
        "host1": {"role": "server", "version": VERSION},
        "host2": {"role": "agent", "version": VERSION},
    }
    listed = server.run("find", "/var/lib/rancher/k3s", "/etc/rancher", "-type", "f", "-printf", "%p %m\n")
    assert dict(line.split() for line in listed.splitlines()) == {
        "/var/lib/rancher/k3s/server/db/state.db": "644",
        "/var/lib/rancher/k3s/server/db/standin-version": "600",
        "/var/lib/rancher/k3s/server/tls/server-ca.crt": "644",
        "/var/lib/rancher/k3s/server/token": "600",
        "/etc/rancher/node/password": "600",
        "/etc/rancher/k3s/config.yaml": "644",
        "/etc/rancher/k3s/k3s.yaml": "640",
    }
    assert re.fullmatch(
        r"K10[0-9a-f]{64}::server:correct-horse\n", server.read("/var/lib/rancher/k3s/server/node-token")
    )


def test_three_servers_with_etcd_and_a_restart_without_the_first(machines: Machines) -> None:
    first, second, third = (machines.add(f"host{number}") for number in (1, 2, 3))
    start(first, "server", f"cluster-init: true\ntoken: {TOKEN}\n").wait_ready()
    full = first.read("/var/lib/rancher/k3s/server/token").strip()
    for machine, token in ((second, full), (third, TOKEN)):
        start(machine, "server", f"server: https://{first.address}:6443\ntoken: '{token}'\n").wait_ready()

    assert sorted(nodes(first)) == ["host1", "host2", "host3"]
    tokens = {machine.read("/var/lib/rancher/k3s/server/token") for machine in (second, third)}
    assert tokens == {f"{full}\n"}
    assert second.read("/var/lib/rancher/k3s/server/db/etcd/name") == "host2\n"
    first.power_off()
    second.power_off()
    second.power_on()
    second.start("k3s", "server").wait_ready()


def test_an_agent_token_lets_agents_in_but_no_servers(machines: Machines) -> None:
    server, agent, other = (machines.add(f"host{number}") for number in (1, 2, 3))
    start(server, "server", f"cluster-init: true\ntoken: {TOKEN}\nagent-token: only-agents\n").wait_ready()
    join = f"server: https://{server.address}:6443\ntoken: only-agents\n"
    start(agent, "agent", join).wait_ready()

    refused = start(other, "server", join)

    assert refused.wait_end() == 1
    assert "failed to validate token: 401 Unauthorized" in refused.said
    assert server.run("stat", "-c", "%a", "/var/lib/rancher/k3s/server/agent-token") == "600\n"
    assert server.read("/var/lib/rancher/k3s/server/node-token").endswith("::node:only-agents\n")


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Machine, Machine]]:
    """A server that runs, and a machine that would join."""
    with Machines() as machines:
        server, other = machines.add("host1"), machines.add("host2")
        start(server, "server", f"token: {TOKEN}\n").wait_ready()
        yield server, other


@pytest.mark.parametrize(
    ("role", "config", "message"),
    [
        ("agent", "server: SERVER\n", "--token is required"),
        ("agent", f"token: {TOKEN}\n", "--server is required"),
        ("agent", f"server: http://10.78.0.11:6443\ntoken: {TOKEN}\n", "--server must be an https URL"),
        ("agent", "token-file: /nowhere\nserver: SERVER\n", "failed to read --token-file"),
        ("agent", "server: SERVER\ntoken: wrong\n", "failed to validate token: 401 Unauthorized"),
        ("agent", f"server: SERVER\ntoken: K10{'0' * 64}::server:{TOKEN}\n", "token CA hash does not match"),
        ("server", f"server: SERVER\ntoken: {TOKEN}\n", "keeps its data in SQLite"),
        ("server", "server: SERVER\n", "--token is required to join a cluster"),
        ("agent", "server: https://10.78.0.11:7777\ntoken: x\n", "failed to get CA certs from 10.78.0.11:7777"),
    ],
)
def test_what_does_not_join(pair: tuple[Machine, Machine], role: str, config: str, message: str) -> None:
    server, other = pair

    refused = start(other, role, config.replace("SERVER", f"https://{server.address}:6443"))

    assert refused.wait_end() == 1
    assert message in refused.said


def test_a_server_with_another_critical_value_is_turned_away(machines: Machines) -> None:
    first, second = machines.add("host1"), machines.add("host2")
    start(first, "server", f"cluster-init: true\ntoken: {TOKEN}\n").wait_ready()

    join = f"server: https://{first.address}:6443\ntoken: {TOKEN}\ncluster-domain: acme.example\n"
    refused = start(second, "server", join)

    assert refused.wait_end() == 1
    assert "critical configuration mismatched: cluster-domain" in refused.said


def test_another_token_on_the_same_data_is_refused(machines: Machines) -> None:
    machine = machines.add("host1")
    program = start(machine, "server", "token: first\n")
    program.wait_ready()
    program.stop()

    refused = start(machine, "server", "token: second\n")

    assert refused.wait_end() == 1
    assert "bootstrap data already found and encrypted with different token" in refused.said


def test_sqlite_becomes_etcd_with_cluster_init(machines: Machines) -> None:
    machine = machines.add("host1")
    program = start(machine, "server", "")
    program.wait_ready()
    token = machine.read("/var/lib/rancher/k3s/server/token")
    program.stop()
    machine.write(f"{CONFIG}.d/10-etcd.yaml", "cluster-init: true\n")

    machine.start("k3s", "server").wait_ready()

    listed = machine.run("ls", "/var/lib/rancher/k3s/server/db", "/var/lib/rancher/k3s/server/db/etcd").split()
    assert {"etcd", "state.db.migrated", "name"} <= set(listed)
    assert "state.db" not in listed
    assert machine.read("/var/lib/rancher/k3s/server/token") == token


def test_another_version_is_other_bytes(machines: Machines) -> None:
    machine = machines.add("host1")
    program = start(machine, "server", "", version="v1.35.3+k3s1")
    program.wait_ready()
    before = machine.run("sha256sum", "/usr/local/bin/k3s").split()[0]
    assert nodes(machine)["host1"]["version"] == "v1.35.3+k3s1"
    program.stop()

    start(machine, "server", "").wait_ready()

    assert nodes(machine)["host1"]["version"] == VERSION
    assert machine.run("sha256sum", "/usr/local/bin/k3s").split()[0] != before
