"""The stand-in for K3s, fetched from the mirror and run by systemd as K3s's installer would set it up."""

import json
import re

import pytest

from tests.lab.errors import LabError
from tests.lab.fixtures import LabPool
from tests.lab.host import Host

TOKEN = "correct-horse"
UNIT = """[Service]
Type={type}
ExecStart=/usr/local/bin/k3s {role}
Restart=no
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def install(lab_pool: LabPool):
    """Put the binary and a unit on a host, as K3s's installer does: notify for servers, exec for agents."""

    def install(host: Host, role: str, config: str, version: str = "v1.35.4+k3s1") -> None:
        url = f"{lab_pool.lab.mirror.url}/{version.replace('+', '%2B')}/k3s"
        host.run(["curl", "-sSf", "-o", "/usr/local/bin/k3s", url])
        host.run(["chmod", "0755", "/usr/local/bin/k3s"])
        host.run(["mkdir", "-p", "/etc/rancher/k3s"])
        host.write("/etc/rancher/k3s/config.yaml", config)
        kind = "notify" if role == "server" else "exec"
        host.write("/etc/systemd/system/k3s.service", UNIT.format(type=kind, role=role))
        host.run(["systemctl", "daemon-reload"])

    return install


def start(host: Host) -> None:
    host.run(["systemctl", "start", "k3s"])


def nodes(server: Host) -> dict[str, dict[str, str]]:
    return json.loads(server.run(["curl", "-sSf", "http://127.0.0.1:6443/standin/nodes"]))


def test_a_server_and_an_agent(lab_pool: LabPool, install) -> None:
    server, agent = lab_pool.lease(2)
    install(server, "server", f"token: {TOKEN}\nwrite-kubeconfig-mode: '0640'\n")
    start(server)
    install(agent, "agent", f"server: https://{server.address}:6443\ntoken: {TOKEN}\n")
    start(agent)

    assert server.run(["k3s", "--version"]).startswith("k3s version v1.35.4+k3s1 (")
    assert server.run(["curl", "-sSf", f"http://{server.address}:6443/readyz"]) == "ok"
    assert agent.run(["curl", "-sSf", f"http://[{server.address6}]:6443/ping"]) == "pong"
    agent.run(
        ["sh", "-c", "until [ -e /var/lib/rancher/k3s/agent/kubelet.kubeconfig ]; do sleep 0.1; done"], timeout=10
    )
    assert nodes(server) == {
        "host1": {"role": "server", "version": "v1.35.4+k3s1"},
        "host2": {"role": "agent", "version": "v1.35.4+k3s1"},
    }
    modes = {
        path: state.mode
        for path, state in server.tree("/var/lib/rancher/k3s", "/etc/rancher").items()
        if state.kind == "f"
    }
    assert modes == {
        "/var/lib/rancher/k3s/server/db/state.db": 0o644,
        "/var/lib/rancher/k3s/server/tls/server-ca.crt": 0o644,
        "/var/lib/rancher/k3s/server/token": 0o600,
        "/etc/rancher/node/password": 0o600,
        "/etc/rancher/k3s/config.yaml": 0o644,
        "/etc/rancher/k3s/k3s.yaml": 0o640,
    }
    assert re.fullmatch(
        r"K10[0-9a-f]{64}::server:correct-horse\n", server.read("/var/lib/rancher/k3s/server/node-token")
    )


def test_three_servers_with_etcd_and_a_restart_without_the_first(lab_pool: LabPool, install) -> None:
    first, second, third = lab_pool.lease(3)
    install(first, "server", f"cluster-init: true\ntoken: {TOKEN}\n")
    start(first)
    full = first.read("/var/lib/rancher/k3s/server/token").strip()
    for host, token in ((second, full), (third, TOKEN)):
        install(host, "server", f"server: https://{first.address}:6443\ntoken: '{token}'\n")
        start(host)

    assert sorted(nodes(first)) == ["host1", "host2", "host3"]
    assert {host.read("/var/lib/rancher/k3s/server/token") for host in (second, third)} == {f"{full}\n"}
    assert second.read("/var/lib/rancher/k3s/server/db/etcd/name") == "host2\n"
    first.stop()
    second.reboot()
    start(second)
    assert second.unit_show("k3s", "ActiveState") == {"ActiveState": "active"}


def test_an_agent_token_lets_agents_in_but_no_servers(lab_pool: LabPool, install) -> None:
    server, agent, other = lab_pool.lease(3)
    install(server, "server", f"cluster-init: true\ntoken: {TOKEN}\nagent-token: only-agents\n")
    start(server)
    join = f"server: https://{server.address}:6443\ntoken: only-agents\n"
    install(agent, "agent", join)
    start(agent)
    install(other, "server", join)

    with pytest.raises(LabError, match="systemctl start k3s` ended with 1"):
        start(other)

    assert "failed to validate token: 401 Unauthorized" in other.journal("k3s")
    assert agent.unit_show("k3s", "ActiveState") == {"ActiveState": "active"}
    assert server.stat("/var/lib/rancher/k3s/server/agent-token").mode == 0o600
    assert server.read("/var/lib/rancher/k3s/server/node-token").endswith("::node:only-agents\n")


@pytest.mark.parametrize(
    ("role", "config", "message"),
    [
        ("agent", "server: https://10.77.1.11:6443\n", "--token is required"),
        ("agent", f"token: {TOKEN}\n", "--server is required"),
        ("agent", f"server: http://10.77.1.11:6443\ntoken: {TOKEN}\n", "--server must be an https URL"),
        ("agent", "token-file: /nowhere\nserver: https://10.77.1.11:6443\n", "failed to read --token-file"),
        ("agent", "server: https://10.77.1.11:6443\ntoken: wrong\n", "failed to validate token: 401 Unauthorized"),
        (
            "agent",
            f"server: https://10.77.1.11:6443\ntoken: K10{'0' * 64}::server:{TOKEN}\n",
            "token CA hash does not match",
        ),
        ("server", f"server: https://10.77.1.11:6443\ntoken: {TOKEN}\n", "keeps its data in SQLite"),
        ("server", "server: https://10.77.1.11:6443\n", "--token is required to join a cluster"),
        ("agent", "server: https://10.77.1.11:7777\ntoken: x\n", "failed to get CA certs from 10.77.1.11:7777"),
        ("server", "- a list\n", "it holds no mapping"),
        ("server", "a: b: c\n", "failed to read /etc/rancher/k3s/config.yaml: mapping values are not allowed"),
    ],
)
def test_what_does_not_start(lab_pool: LabPool, install, role: str, config: str, message: str) -> None:
    server, host = lab_pool.lease(2)
    install(server, "server", f"token: {TOKEN}\n")
    start(server)
    install(host, role, config)

    said = host.run(["sh", "-c", f"k3s {role} 2>&1; echo status $?"], timeout=30)

    assert message in said
    assert said.endswith("status 1\n")


def test_another_token_on_the_same_data_is_refused(lab_pool: LabPool, install) -> None:
    (host,) = lab_pool.lease(1)
    install(host, "server", "token: first\n")
    start(host)
    host.run(["systemctl", "stop", "k3s"])
    install(host, "server", "token: second\n")

    with pytest.raises(LabError, match="systemctl start k3s` ended with 1"):
        start(host)

    assert "bootstrap data already found and encrypted with different token" in host.journal("k3s")


def test_sqlite_becomes_etcd_with_cluster_init(lab_pool: LabPool, install) -> None:
    (host,) = lab_pool.lease(1)
    install(host, "server", "")
    start(host)
    token = host.read("/var/lib/rancher/k3s/server/token")
    install(host, "server", "")
    host.run(["mkdir", "/etc/rancher/k3s/config.yaml.d"])
    host.write("/etc/rancher/k3s/config.yaml.d/10-etcd.yaml", "cluster-init: true\n")
    host.run(["systemctl", "restart", "k3s"])

    assert {path.rpartition("/")[2] for path in host.tree("/var/lib/rancher/k3s/server/db")} == {
        "db",
        "etcd",
        "name",
        "state.db.migrated",
    }
    assert host.read("/var/lib/rancher/k3s/server/token") == token


def test_another_version_is_other_bytes(lab_pool: LabPool, install) -> None:
    (host,) = lab_pool.lease(1)
    install(host, "server", "", version="v1.35.3+k3s1")
    start(host)
    before = host.run(["sha256sum", "/usr/local/bin/k3s"]).split()[0]
    assert nodes(host)["host1"]["version"] == "v1.35.3+k3s1"

    install(host, "server", "", version="v1.35.4+k3s1")
    host.run(["systemctl", "restart", "k3s"])

    assert nodes(host)["host1"]["version"] == "v1.35.4+k3s1"
    assert (
        before
        == lab_pool.lab.mirror.sha256("v1.35.3+k3s1", "amd64")
        != lab_pool.lab.mirror.sha256("v1.35.4+k3s1", "amd64")
    )
