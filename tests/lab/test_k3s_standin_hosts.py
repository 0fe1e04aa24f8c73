"""The full stand-in under systemd, as K3s's installer and the product set it up: on the lab's hosts."""

import json
import time

from tests.lab.fixtures import LabPool
from tests.lab.host import Host

VERSION = "v1.36.1+k3s1"
UNIT = """[Service]
Type=notify
KillMode=process
TimeoutStartSec=0
Restart=always
RestartSec=2s
ExecStart=/usr/local/bin/k3s {role}
"""


def install(lab_pool: LabPool, host: Host, role: str, config: str) -> None:
    url = f"{lab_pool.lab.mirror.url}/{VERSION.replace('+', '%2B')}/k3s"
    host.run(["curl", "-sSf", "-o", "/usr/local/bin/k3s", url])
    host.run(["chmod", "0755", "/usr/local/bin/k3s"])
    host.run(["mkdir", "-p", "/etc/rancher/k3s"])
    host.write("/etc/rancher/k3s/config.yaml", config)
    host.write("/etc/systemd/system/k3s.service", UNIT.format(role=role))
    host.run(["systemctl", "daemon-reload"])


def ready_nodes(server: Host) -> set[str]:
    document = json.loads(server.run(["k3s", "kubectl", "get", "nodes", "-o", "json"]))
    return {
        node["metadata"]["name"]
        for node in document["items"]
        if any(row["type"] == "Ready" and row["status"] == "True" for row in node["status"].get("conditions", []))
    }


def test_six_hosts_are_up_in_a_minute_and_a_killed_server_comes_back(lab_pool: LabPool) -> None:
    hosts = lab_pool.lease(6, full_k3s=True)
    first, *others = hosts
    began = time.monotonic()
    install(lab_pool, first, "server", "cluster-init: true\ntoken: correct-horse\n")
    first.run(["systemctl", "start", "k3s"], timeout=120)
    join = f"server: https://{first.address}:6443\ntoken: correct-horse\n"
    for number, host in enumerate(others):
        install(lab_pool, host, "server" if number < 2 else "agent", join)
        host.run(["systemctl", "start", "k3s"], timeout=120)
    while ready_nodes(first) != {host.name for host in hosts}:
        assert time.monotonic() - began < 120
        time.sleep(0.2)
    print(f"six hosts with three servers were ready after {time.monotonic() - began:.1f} s")

    pid = first.unit_show("k3s", "MainPID")["MainPID"]
    first.run(["kill", "-9", pid])
    first.run(["sh", "-c", "sleep 1; until systemctl is-active k3s; do sleep 0.2; done"], timeout=90)

    assert first.unit_show("k3s", "NRestarts")["NRestarts"] == "1"
    assert first.run(["pgrep", "-c", "-x", "etcd"]).strip() == "1"
    assert first.name in ready_nodes(first)
    first.run(["systemctl", "stop", "k3s"])
    assert first.run(["sh", "-c", "pgrep -x etcd || pgrep kube-apiserver || echo none"]) == "none\n"
    assert ready_nodes(others[0]) >= {host.name for host in others}
