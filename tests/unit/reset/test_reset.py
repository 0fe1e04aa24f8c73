"""fleet_reset below a folder: whose host it is, what goes, and what is never touched. Mounts and processes: tests/hosts/k3s."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULES = Path(__file__).resolve().parents[3] / "playbooks/ansible_collections/edgefleet/fleet/plugins/modules"
MACHINE = "0123456789abcdef0123456789abcdef"
RECORD = {"fleet": "acme", "node": "lyon-a", "machine_id": MACHINE}
LEFT_BY_K3S = (
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/node/password",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s.service.env",
    "/run/flannel/subnet.env",
    "/run/k3s/containerd/containerd.sock",
    "/usr/local/bin/k3s",
    "/usr/local/bin/k3s-killall.sh",
    "/var/lib/cni/networks/lock",
    "/var/lib/kubelet/pods/1/volumes/data",
    "/var/lib/rancher/k3s/agent/client.key",
    "/var/lib/rancher/k3s/server/db/state.db",
    "/var/lib/rancher/k3s/storage/pvc-1/data",
    "/var/log/containers/till.log",
    "/var/log/pods/till/0.log",
)


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fleet_reset", MODULES / "fleet_reset.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Place:
    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.module, self.root = module, folder / "root"
        self.write("/etc/machine-id", MACHINE + "\n")
        self.write("/etc/motd", "theirs\n")
        self.write("/var/lib/fleet/record.json", json.dumps(RECORD))

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str = "x") -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def link(self, path: str, target: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).symlink_to(target)

    def files(self) -> set[str]:
        return {"/" + str(one.relative_to(self.root)) for one in self.root.rglob("*") if not one.is_dir()}

    def reset(self, *, check: bool = False, **more: str) -> dict[str, Any]:
        params = {"node": "lyon-a", "fleet": "acme", "machine_id": "", "take_over": "", "root": str(self.root), **more}
        found: dict[str, Any] = self.module.reset(params, check)
        return found

    def refused(self, **more: str) -> str:
        before = self.files()
        with pytest.raises(self.module.Failure) as caught:
            self.reset(**more)
        assert self.files() == before
        return str(caught.value)


@pytest.fixture
def place(module: ModuleType, tmp_path: Path) -> Place:
    return Place(module, tmp_path)


def test_all_of_k3s_goes_and_nothing_else(place: Place) -> None:
    theirs = place.files()
    for path in LEFT_BY_K3S:
        place.write(path)
    place.link("/usr/local/bin/kubectl", "k3s")
    found = place.reset()
    assert place.files() - theirs == {"/var/lib/fleet/lock"}
    assert [path for path in ("/etc/rancher", "/var/lib/rancher", "/run/k3s") if place.path(path).exists()] == []
    assert {"/var/lib/kubelet", "/usr/local/bin/kubectl", "/etc/rancher/k3s"} < set(found["removed"])
    assert place.reset()["removed"] == []


def test_a_check_removes_nothing(place: Place) -> None:
    place.write("/var/lib/rancher/k3s/agent/client.key")
    before = place.files()
    assert place.reset(check=True)["removed"] == ["/var/lib/rancher/k3s"]
    assert place.files() == before


def test_what_others_have_beside_it_stays(place: Place) -> None:
    place.write("/usr/local/bin/k3s")
    place.write("/usr/local/bin/ctr", "a program of its own")
    place.link("/usr/local/bin/crictl", "/opt/cri/crictl")
    place.write("/etc/rancher/rke2/config.yaml")
    place.write("/var/lib/rancher/rke2/agent/x")
    theirs = place.files() - {"/usr/local/bin/k3s"}
    place.reset()
    assert theirs <= place.files()


def test_links_go_and_what_they_lead_to_stays(place: Place) -> None:
    place.write("/srv/till/ledger")
    place.write("/data/k3s/agent/x")
    place.link("/var/lib/rancher/k3s", "/data/k3s")
    place.link("/var/lib/kubelet/pods/1/till", str(place.path("/srv/till")))
    place.link("/var/lib/kubelet/pods/1/up", "../../../../../srv/till")
    found = place.reset()
    assert {"/srv/till/ledger", "/data/k3s/agent/x"} < place.files()
    assert not place.path("/var/lib/rancher").exists()
    assert found["left"] == ["/var/lib/rancher/k3s was a link to /data/k3s, which stays"]


def test_a_link_of_root_on_the_way_is_followed_inside_the_root_only(place: Place) -> None:
    place.write("/data/rancher/k3s/agent/x")
    place.link("/var/lib/rancher", "/data/rancher")
    place.reset()
    assert not place.path("/data/rancher/k3s").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a link to somebody else")
def test_a_link_of_somebody_else_on_the_way_is_refused(place: Place) -> None:
    place.write("/data/rancher/k3s/agent/x")
    place.link("/var/lib/rancher", "/data/rancher")
    os.lchown(place.path("/var/lib/rancher"), 1000, 1000)
    assert "`rancher` on the way is a link that is not root's" in place.refused()


@pytest.mark.parametrize("line", ['data-dir: "/srv/k3s"', "data-dir: /srv/k3s/  # ours", "'data-dir' : '/srv/k3s'"])
def test_of_a_data_dir_only_what_k3s_made(place: Place, line: str) -> None:
    place.write("/etc/rancher/k3s/config.yaml", f"a: b\n{line}\nc: d\n")
    for path in ("agent/x", "server/db/x", "data/f00/bin/x", "storage/pvc/x", "books/ledger"):
        place.write(f"/srv/k3s/{path}")
    found = place.reset()
    assert {path for path in place.files() if path.startswith("/srv/")} == {"/srv/k3s/books/ledger"}
    assert found["left"] == ["/srv/k3s holds more than K3s's own"]


def test_a_data_dir_of_a_drop_in_and_one_that_held_nothing_else(place: Place) -> None:
    place.write("/etc/rancher/k3s/config.yaml.d/50-data.yaml", "data-dir: /srv/k3s\n")
    place.write("/srv/k3s/agent/x")
    assert place.reset()["left"] == []
    assert not place.path("/srv/k3s").exists()


@pytest.mark.parametrize("folder", ["/", "//", "/srv/..", "k3s", "~/k3s"])
def test_a_data_dir_that_cannot_be_meant_is_refused(place: Place, folder: str) -> None:
    place.write("/etc/rancher/k3s/config.yaml", f"data-dir: {folder}\n")
    place.write("/agent/x")
    assert "names it, and it is no folder to empty" in place.refused()


def test_another_kubernetes_is_left_alone(place: Place) -> None:
    place.write("/var/lib/kubelet/pods/1/x")
    place.write("/var/lib/cni/networks/lock")
    before = place.files()
    assert place.reset()["removed"] == []
    assert place.files() == before


@pytest.mark.parametrize(
    ("record", "more", "said"),
    [
        (RECORD, {"fleet": "other"}, "this host is of fleet `acme`, not `other`"),
        (RECORD, {"node": "lyon-b"}, "this host is of node `lyon-a`, not `lyon-b`"),
        (RECORD, {"machine_id": "f" * 32}, f"enrolled is {'f' * 32}, this machine has {MACHINE}"),
        ({**RECORD, "machine_id": "f" * 32}, {}, f"the record is of machine {'f' * 32}"),
        (None, {}, "K3s is here, and no record of fleet `acme`"),
    ],
)
def test_somebody_elses_host_is_refused(place: Place, record: Any, more: dict[str, str], said: str) -> None:
    place.write("/var/lib/rancher/k3s/server/db/state.db")
    place.path("/var/lib/fleet/record.json").unlink()
    if record is not None:
        place.write("/var/lib/fleet/record.json", json.dumps(record))
    assert said in place.refused(**more)
    if "machine_id" not in more:
        place.reset(**more, take_over="the last one of an old fleet")
        assert not place.path("/var/lib/rancher").exists()


def test_a_record_that_cannot_be_read_is_refused(place: Place) -> None:
    place.write("/var/lib/fleet/record.json", "{")
    place.write("/usr/local/bin/k3s")
    assert "/var/lib/fleet/record.json: cannot be read" in place.refused()


def test_another_run_is_waited_for_by_nobody(place: Place, module: ModuleType) -> None:
    place.write("/usr/local/bin/k3s")
    with module.locked(str(place.root), False):
        assert "another run is at work on this node" in place.refused()


@pytest.mark.parametrize("count", range(20))
def test_killed_anywhere_the_next_run_goes_on(
    place: Place, module: ModuleType, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Where the data is stands in what goes last."""
    theirs = place.files()
    for path in (*LEFT_BY_K3S, "/srv/k3s/agent/x", "/srv/k3s/server/db/x"):
        place.write(path)
    place.write("/etc/rancher/k3s/config.yaml", "data-dir: /srv/k3s\n")
    remove, left = module.remove, [None] * count

    def until_then(root: str, path: str) -> None:
        left.pop()
        remove(root, path)

    monkeypatch.setattr(module, "remove", until_then)
    with pytest.raises(IndexError):
        place.reset()
    monkeypatch.undo()
    place.reset()
    assert place.files() - theirs == {"/var/lib/fleet/lock"}
    assert not place.path("/srv/k3s").exists()


@dataclass
class Running:
    pid: int
    parent: int
    programs: tuple[str, str]
    cgroup: str = "0::/user.slice"


def test_what_runs_out_of_k3s_data_or_in_pods_and_all_below_it(module: ModuleType) -> None:
    found = [
        Running(10, 1, ("/var/lib/rancher/k3s/data/f00/bin/containerd-shim-runc-v2 (deleted)", "")),
        Running(11, 10, ("/pause", "/pause")),
        Running(12, 11, ("/bin/sh", "sh")),
        Running(20, 1, ("/usr/bin/qemu", "/data/data/f00/bin/containerd")),
        Running(30, 1, ("/bin/till", "till"), "0::/kubepods/besteffort/pod1/c1"),
        Running(40, 1, ("/usr/bin/containerd-shim-runc-v2", "")),
        Running(41, 40, ("/bin/sh", "docker's")),
        Running(50, 1, ("/var/lib/rancher/k3s-own/data/x", "")),
    ]
    folders = ["/data", "/var/lib/rancher/k3s"]
    assert module.of_k3s(found, folders, "0::/init.scope") == {10, 11, 12, 20, 30}
    assert module.of_k3s(found, folders, "0::/kubepods/pod2") == {10, 11, 12, 20}, "all that runs here is in that pod"


def test_rules_of_kubernetes_cni_and_flannel_and_no_others(module: ModuleType) -> None:
    ours = (
        ":KUBE-SERVICES - [0:0]",
        ":CNI-f00ba4 - [0:0]",
        ":FLANNEL-POSTRTG - [0:0]",
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP",
        '-A POSTROUTING -s 10.42.0.2/32 -m comment --comment "name: cbr0" -j CNI-f00ba4',
        '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
        '-A POSTROUTING -s 10.42.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
        "-A FORWARD -g KUBE-ROUTER-FORWARD",
    )
    theirs = (
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":KUBERNETES-LIKE - [0:0]",
        '-A INPUT -p udp -m udp --dport 8472 -m comment --comment "flannel vxlan" -j ACCEPT',
        '-A INPUT -m comment --comment "not KUBE-SERVICES" -j ACCEPT',
        "COMMIT",
    )
    saved = "".join(line + "\n" for line in (*theirs[:3], *ours, *theirs[3:]))
    assert module.without_rules(saved).splitlines() == list(theirs)


def test_what_is_mounted_at_k3s_own_places_and_no_further(module: ModuleType) -> None:
    paths = module.own_paths("", ["/data", "/var/lib/rancher/k3s"])
    points = [
        "/", "/data", "/data/books", "/data/agent/x", "/data/storage", "/run/k3s", "/run/k3s/shm", "/run/k3s-other",
        "/run/netns", "/run/netns/cni-1", "/run/netns/theirs", "/var/lib/kubelet/pods/1", "/var/lib/kubelet2",
        "/var/lib/rancher", "/var/lib/rancher/k3s/storage/pvc", "/var/lib/rancher/rke2",
    ]  # fmt: skip
    assert module.of_ours(points, paths) == [
        "/data/agent/x", "/data/storage", "/run/k3s", "/run/k3s/shm", "/run/netns/cni-1", "/var/lib/kubelet/pods/1",
        "/var/lib/rancher/k3s/storage/pvc",
    ]  # fmt: skip
