"""A site without a way out: K3s and its images from the mirror, registries and a GPU, and a datastore that others run."""

import hashlib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.hosts.checkout import Checkout
from tests.hosts.ground import holders
from tests.hosts.k3s.asked import V34, V35, comes_true, items, kubectl, ready
from tests.hosts.k3s.shop import make_shop
from tests.lab.fixtures import LabPool
from tests.lab.host import Host
from tests.lab.lab import Lab

NODES = ("lyon-a", "lyon-b", "lyon-c")
UNITS = {"lyon-a": "k3s.service", "lyon-b": "k3s.service", "lyon-c": "k3s-agent.service"}
DATASTORE = "http://10.77.1.14:2379"
IMAGES = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"
PASSWORD = "correct-horse-battery"
PROFILES = """\
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  k3s:
    airGap: true
    config: {embedded-registry: true}
    registries:
      mirrors: {"*": {}, docker.io: {endpoint: ["https://registry.acme.example"]}}
      configs: {registry.acme.example: {auth: {username: till, password: "secret:registry-password"}}}
    manifests:
      - {name: runtime-class, source: files/runtime-class.yaml}
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: gpu}
spec:
  k3s:
    config: {default-runtime: nvidia}
    labels: {acme.example/gpu: nvidia}
    taints: ["acme.example/gpu=nvidia:NoSchedule"]
"""
SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  timeZone: Europe/Paris
  cluster:
    datastore: {external: {endpointSecret: lyon.datastore}}
    snapshot: {command: [./save.sh]}
  network: {cidr: 10.77.0.0/16}
  nodes:
    - {name: lyon-a, role: server, arch: amd64, address: 10.77.1.11}
    - {name: lyon-b, role: server, arch: amd64, address: 10.77.1.12}
    - {name: lyon-c, role: agent, arch: amd64, address: 10.77.1.13, profiles: [gpu]}
"""
RUNTIME_CLASS = """\
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: nvidia}
handler: nvidia
"""
SAVED = "/root/saved"
# On the datastore's host, with which versions the servers had then: a snapshot of before has to be of before.
SAVE = f"""\
#!/bin/sh
set -eu
export ETCDCTL_API=3
for node in lyon-a lyon-b; do
  etcdctl get /standin/versions/$node --print-value-only
done | paste -s >>{SAVED}/versions
[ ! -e {SAVED}/broken ] || {{ echo the vault is full; exit 3; }}
etcdctl snapshot save {SAVED}/$(wc -l <{SAVED}/versions).db
"""


@dataclass
class Shop:
    lab: Lab
    checkout: Checkout
    hosts: dict[str, Host]
    datastore: Host


@pytest.fixture(scope="module")
def shop(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Hosts on which K3s ends without a default route, as its flannel does, and one with an etcd of somebody else's."""
    *hosts, datastore = lab_pool.lease(len(NODES) + 1, full_k3s=True)
    folder = tmp_path_factory.mktemp("air-gap")
    save = shlex.join(lab_pool.lab.ssh_command(datastore, "sudo", f"{SAVED}/save.sh"))
    files = {"profiles.yaml": PROFILES, "sites/lyon.yaml": SITE, "files/runtime-class.yaml": RUNTIME_CLASS}
    checkout = make_shop(lab_pool.lab, folder, {**files, "save.sh": f"#!/bin/sh\nexec {save}\n"})
    (checkout.folder / "save.sh").chmod(0o755)
    for name, value in (("lyon.datastore", DATASTORE), ("registry-password", PASSWORD)):
        (folder / "value").write_text(value)
        checkout.fleet("secret", "set", name, "--from-file", str(folder / "value"))
    checkout.commit("Where the datastore and the registry are")
    own = ["--data-dir=/var/lib/datastore", f"--advertise-client-urls={DATASTORE}"]
    datastore.run(["systemd-run", "--unit=datastore", "etcd", "--listen-client-urls=http://0.0.0.0:2379", *own])
    datastore.run(["mkdir", SAVED])
    datastore.write(f"{SAVED}/save.sh", SAVE)
    datastore.run(["chmod", "0755", f"{SAVED}/save.sh"])
    for host in hosts:
        host.run(["mkdir", "-p", "/var/lib/k3s-standin"])
        host.write("/var/lib/k3s-standin/faults.json", json.dumps({"default-route": "needed"}))
    return Shop(lab_pool.lab, checkout, dict(zip(NODES, hosts, strict=True)), datastore)


def default_routes(host: Host) -> list[str]:
    return host.run(["ip", "route", "show", "default"]).splitlines()


def keys(shop: Shop) -> set[str]:
    argv = ["env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={DATASTORE}", "get", "/", "--prefix", "--keys-only"]
    return set(shop.datastore.run(argv).split())


def test_images_with_another_sum_keep_k3s_away(shop: Shop) -> None:
    pinned = json.loads((shop.checkout.folder / "fleet.lock").read_text())["releases"][V34]["images"]["amd64"]
    served = shop.lab.mirror.k3s / V34 / pinned["name"]
    assert pinned["sha256"] == hashlib.sha256(served.read_bytes()).hexdigest()
    shop.lab.mirror.break_(pinned["name"], "corrupt")
    said = shop.checkout.fleet("apply", "--yes", "--node", "lyon-a", "--json", code=4)
    shop.lab.mirror.mend()
    (failed,) = said.events("NodeFailed")
    assert failed["reason"].startswith(f"fetch: {IMAGES}: no source gave it: http://10.77.0.1/k3s/")
    assert f"wanted {pinned['sha256'][:32]}" in failed["reason"]
    host = shop.hosts["lyon-a"]
    assert host.tree(IMAGES, "/usr/local/bin/k3s") == {}
    assert host.unit_show("k3s.service", "LoadState") == {"LoadState": "not-found"}


def test_a_site_without_a_way_out(shop: Shop) -> None:
    assert [default_routes(host) for host in shop.hosts.values()] == [[], [], []]
    shop.checkout.fleet("apply", "--yes")
    first, second, gpu = (shop.hosts[name] for name in NODES)
    assert comes_true(lambda: ready(second) == dict.fromkeys(NODES, V34)), ready(second)
    wanted = hashlib.sha256((shop.lab.mirror.k3s / V34 / Path(IMAGES).name).read_bytes()).hexdigest()
    for name, host in shop.hosts.items():
        assert host.run(["sha256sum", IMAGES]).split()[0] == wanted
        assert f"Importing images from {IMAGES}" in host.journal(UNITS[name])
        (route,) = default_routes(host)
        device = host.run(["ip", "-o", "address", "show", "to", host.address]).split()[1]
        assert re.fullmatch(rf"default dev {device} proto 250 .*metric 100000 *", route)

    for host in shop.hosts.values():
        registries = "/etc/rancher/k3s/registries.yaml"
        found = host.stat(registries)
        assert (found.mode, found.owner) == (0o600, "root")
        said = yaml.safe_load(host.read(registries))
        assert said["configs"]["registry.acme.example"]["auth"] == {"username": "till", "password": PASSWORD}
        assert said["mirrors"]["*"] == {}
        assert holders(host.root / "var/lib/fleet", [PASSWORD]) == set()
    for host in (first, second):
        assert yaml.safe_load(host.read("/etc/rancher/k3s/config.yaml"))["embedded-registry"] is True
    assert yaml.safe_load(gpu.read("/etc/rancher/k3s/config.yaml"))["default-runtime"] == "nvidia"
    assert items(second, "runtimeclasses")["nvidia"]["handler"] == "nvidia"
    node = items(second, "nodes")["lyon-c"]
    assert node["metadata"]["labels"]["acme.example/gpu"] == "nvidia"
    assert {"key": "acme.example/gpu", "value": "nvidia", "effect": "NoSchedule"} in node["spec"]["taints"]
    assert shop.checkout.plan("--refresh")["changing"] == 0


def test_both_servers_live_in_the_datastore_of_others(shop: Shop) -> None:
    first, second = shop.hosts["lyon-a"], shop.hosts["lyon-b"]
    kubectl(first, "create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "till", "namespace": "default"}, "data": {"a": "b"},
    }))  # fmt: skip
    assert items(second, "configmaps", "-n", "default")["till"]["data"] == {"a": "b"}
    assert {"/registry/minions/lyon-a", "/registry/minions/lyon-b", "/registry/configmaps/default/till"} < keys(shop)
    for host in (first, second):
        assert host.run(["pgrep", "-x", "etcd"], check=False) == ""
        assert host.tree("/var/lib/rancher/k3s/server/db/etcd") == {}


def test_the_route_is_there_after_a_boot_and_a_real_one_wins(shop: Shop) -> None:
    host = shop.hosts["lyon-c"]
    (route,) = default_routes(host)
    host.reboot()
    assert comes_true(lambda: default_routes(host) == [route]), default_routes(host)
    assert comes_true(lambda: "lyon-c" in ready(shop.hosts["lyon-a"]))
    host.run(["ip", "route", "add", "default", "via", "10.77.0.1", "metric", "1024"])
    assert " via 10.77.0.1 " in host.run(["ip", "route", "get", "203.0.113.1"])
    host.run(["systemctl", "restart", "fleet-default-route.service"])
    assert [row for row in default_routes(host) if "via" not in row] == [], "it is made only where there is none"
    host.run(["ip", "route", "delete", "default", "via", "10.77.0.1"])
    host.run(["systemctl", "restart", "fleet-default-route.service"])
    assert default_routes(host) == [route]


def test_the_users_command_saves_the_datastore_before_each_server_is_upgraded(shop: Shop) -> None:
    checkout, datastore = shop.checkout, shop.datastore
    checkout.edit("fleet.yaml", V34, V35)
    checkout.fleet("lock")
    checkout.commit("K3s a minor on")
    datastore.run(["touch", f"{SAVED}/broken"])
    said = checkout.fleet("apply", "--yes", code=4)
    assert "nothing was touched: the vault is full" in said.out + said.err
    assert set(ready(shop.hosts["lyon-b"]).values()) == {V34}
    datastore.run(["rm", f"{SAVED}/broken", f"{SAVED}/versions"])

    checkout.fleet("apply", "--yes")
    assert comes_true(lambda: ready(shop.hosts["lyon-b"]) == dict.fromkeys(NODES, V35)), ready(shop.hosts["lyon-b"])
    saved = datastore.read(f"{SAVED}/versions").splitlines()
    assert [line.split() for line in saved] == [[V34, V34], [V35, V34]]
    assert "/registry/configmaps/default/till" in datastore.run(
        ["grep", "-ao", "/registry/configmaps/default/till", f"{SAVED}/1.db"]
    )
    for host in shop.hosts.values():
        images = shop.lab.mirror.k3s / V35 / Path(IMAGES).name
        assert host.run(["sha256sum", IMAGES]).split()[0] == hashlib.sha256(images.read_bytes()).hexdigest()
