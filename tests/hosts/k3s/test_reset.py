"""reset.yml leaves hosts as they were before the fleet, and eats nothing that is somebody else's; then they join anew."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.checkout import BIN, Checkout, Said
from tests.hosts.k3s.asked import V34, comes_true, ready, voters
from tests.hosts.k3s.shop import make_shop
from tests.lab.files import FileState
from tests.lab.fixtures import LabPool
from tests.lab.host import Host

PROFILE = """\
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  hardening: cis
  k3s:
    registries: {mirrors: {docker.io: {endpoint: ["https://registry.acme.example"]}}}
  os:
    files:
      - {path: /etc/motd, content: "ours\\n"}
      - path: /etc/systemd/system/acme.service
        content: "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"
    units:
      - {name: acme.service, enabled: true, state: started}
"""
SITE = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: lyon}
spec:
  timeZone: Europe/Paris
  cluster: {datastore: etcd}
  network: {cidr: 10.77.0.0/16, gateway: 10.77.0.1}
  nodes:
    - {name: lyon-a, role: server, address: 10.77.1.11}
    - {name: lyon-b, role: agent, address: 10.77.1.12, k3s: {config: {data-dir: /srv/k3s}}}
"""
DATA = {"lyon-a": "/var/lib/rancher/k3s", "lyon-b": "/srv/k3s"}
PLACES = ("/boot", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/usr", "/var")
# What systemd, sshd and sudo write by themselves.
BUSY = re.compile(
    r"/run/(systemd|user|log|sudo|utmp|lock|udev|motd|mount|initctl|dbus|sshd|nscd|credentials|host)|"
    r"/var/(log|lib/systemd|lib/sudo|tmp/systemd)|/etc/\.(pwd\.lock|updated)|/var/\.updated|/home/fleet/\.ansible|"
    r"/run/(xtables\.lock|agetty\.reload|netns)\Z"
)
# As pods, volumes and K3s's network leave a node. Till data of somebody's own is bound into a volume, with a disk below it.
IN_USE = r"""
set -eu
data=$1
mount --make-rshared /
mkdir -p /srv/till/disk
mount -t tmpfs -o size=1m disk /srv/till/disk
echo ledger >/srv/till/ledger; echo deep >/srv/till/disk/deep
pods=/var/lib/kubelet/pods/1/volumes
mkdir -p $data/storage/pvc-1 "$pods/a secret" $pods/till $data/agent/run
mount --rbind /srv/till $data/storage/pvc-1
mount --bind /srv/till $pods/till
mount -t tmpfs under "$pods/a secret"; mount -t tmpfs over "$pods/a secret"; echo t0ken >"$pods/a secret/token"
ln -s /srv/till $data/storage/out; ln -s /srv/till $data/agent/out
mkdir -p $data/data/f00/bin /run/k3s /run/flannel /var/lib/cni/networks
ln -s /srv/till /run/k3s/out
touch /run/flannel/subnet.env /var/lib/cni/networks/lock
for link in kubectl crictl ctr; do ln -s k3s /usr/local/bin/$link; done
cp /bin/sleep $data/data/f00/bin/containerd-shim-runc-v2
cp /bin/sh $data/data/f00/bin/containerd
setsid $data/data/f00/bin/containerd-shim-runc-v2 1001 >/dev/null 2>&1 &
setsid $data/data/f00/bin/containerd -c 'sleep 1002; true' >/dev/null 2>&1 &
ip link add cni0 type bridge
ip link add veth1 type veth peer name veth2
ip link set veth1 master cni0
ip link add flannel.1 type bridge
ip netns add cni-1
ip netns add theirs
for tables in iptables ip6tables; do
  $tables -A INPUT -p tcp --dport 22 -m comment --comment "not of flannel" -j ACCEPT
  $tables -t nat -N KUBE-SERVICES
  $tables -t nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
  $tables -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j MASQUERADE
  $tables -N CNI-1
  $tables -A FORWARD -j CNI-1
done
"""


@dataclass
class Shop:
    checkout: Checkout
    hosts: dict[str, Host]
    project: Path

    def play(self, *argv: str, code: int = 0) -> Said:
        vault = ["--vault-password-file", str(self.checkout.password_file)]
        return self.checkout.run(
            [str(BIN / "ansible-playbook"), "reset.yml", *vault, *argv], code=code, cwd=self.project
        )


@pytest.fixture(scope="module")
def shop(lab_pool: LabPool, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    hosts = lab_pool.lease(2, full_k3s=True)
    folder = tmp_path_factory.mktemp("reset")
    checkout = make_shop(lab_pool.lab, folder, {"profiles/base.yaml": PROFILE, "sites/lyon.yaml": SITE})
    return Shop(checkout, dict(zip(("lyon-a", "lyon-b"), hosts, strict=True)), folder / "project")


def state(host: Host) -> dict[str, tuple[object, ...]]:
    """Kind, mode, owner and content of all that stays: not times and inodes, which a file that comes back has anew."""
    return {path: shape(found) for path, found in host.tree(*PLACES).items() if not BUSY.match(path)}


def shape(found: FileState) -> tuple[object, ...]:
    return (
        found.kind,
        found.mode,
        found.owner,
        found.group,
        *(() if found.kind == "d" else (found.size, found.target)),
    )


def units(host: Host) -> set[str]:
    listed = host.run(["systemctl", "list-unit-files", "--no-legend", "--plain"]).splitlines()
    return {" ".join(line.split()[:2]) for line in listed}


def firewall(host: Host) -> str:
    return "".join(host.run([f"{name}-save"]) for name in ("iptables", "ip6tables"))


def links(host: Host) -> set[str]:
    return set(re.findall(r"^\d+: ([^:@]+)", host.run(["ip", "-o", "link"]), re.MULTILINE))


def mounts(host: Host) -> list[str]:
    return [line.split()[1] for line in host.read("/proc/mounts").splitlines()]


def test_hosts_are_clean_and_what_is_not_ours_is_whole(shop: Shop) -> None:
    before = {name: (state(host), units(host), links(host)) for name, host in shop.hosts.items()}
    shop.checkout.fleet("apply", "--yes")
    shop.checkout.fleet("render", str(shop.project))
    for name, host in shop.hosts.items():
        host.run(["bash", "-c", IN_USE, "bash", DATA[name]])
    assert shop.hosts["lyon-b"].tree("/srv/k3s/agent"), "data-dir is where the spec says"
    used = {name: mounts(host) for name, host in shop.hosts.items()}

    assert "Nothing was touched" in shop.play("-e", "fleet_reset=lyon-a", code=2).out
    both = ("-e", "fleet_reset=lyon-a,lyon-b")
    assert re.findall(r"changed=(\d)", shop.play(*both, "--check").out) == ["2", "2"]
    for name, unit in (("lyon-a", "k3s.service"), ("lyon-b", "k3s-agent.service")):
        assert list(shop.hosts[name].unit_show(unit, "ActiveState", "UnitFileState").values()) == ["active", "enabled"]
        assert mounts(shop.hosts[name]) == used[name]
        assert "KUBE-SERVICES" in firewall(shop.hosts[name])

    shop.play(*both)
    for name, host in shop.hosts.items():
        assert host.read("/srv/till/ledger") == "ledger\n"
        assert host.read("/srv/till/disk/deep") == "deep\n", (
            "a disk below what was bound stays mounted where it is from"
        )
        assert "/srv/till/disk" in mounts(host)
        assert not [point for point in mounts(host) if point.startswith(("/var/lib", "/srv/k3s", "/run/netns/cni"))]
        assert host.run(["pgrep", "-f", "k3s|sleep 100[12]|containerd|kube-apiserver|etcd"], check=False) == ""
        assert "theirs" in host.run(["ip", "netns"])
        rules = firewall(host)
        assert rules.count("not of flannel") == 2
        assert not re.search(r"KUBE-|CNI-|flanneld", rules)
        host.run(["sh", "-c", "umount /srv/till/disk; rm -r /srv/till; ip netns delete theirs"])
        found = state(host)
        assert found.keys() ^ before[name][0].keys() == set()
        assert {path for path in found if found[path] != before[name][0][path]} == set()
        assert (units(host), links(host)) == before[name][1:]

    assert re.findall(r"changed=(\d)", shop.play(*both).out) == ["0", "0"]


def test_they_are_applied_again_and_form_a_cluster(shop: Shop) -> None:
    for name in shop.hosts:
        shop.checkout.fleet("node", "replace", name, "--yes")
    shop.checkout.fleet("apply", "--yes")
    server = shop.hosts["lyon-a"]
    assert comes_true(lambda: ready(server) == dict.fromkeys(shop.hosts, V34)), ready(server)
    assert comes_true(lambda: voters(server) == {"lyon-a"}), "it is founded on etcd, not on SQLite"
