"""Reading what a node holds, the module as a program of its own, kernel parameters, and packed bundles."""

from __future__ import annotations

import base64
import gzip
import json
import os
from typing import Any

import pytest

MACHINE = "0123456789abcdef0123456789abcdef"


def test_reading_tells_the_record_and_what_differs_and_writes_nothing(desk: Any, secret_entry: dict[str, Any]) -> None:
    desk.file("/etc/a", b"a")
    desk.file("/etc/b", b"b")
    desk.file("/etc/c", b"c")
    desk.files.append(secret_entry)
    desk.secrets = {"registry": "hunter22", "auth": "x:y"}
    desk.folders = [{"path": "/srv/x", "mode": "0700"}]
    desk.ok(commit="4be1f02")
    result = desk.module.run(desk.options(read=True, bundle="", secrets={}))
    assert (result["changes"], result["changed"]) == ([], False)
    assert result["record"]["digest"] == result["digest"] == desk.digest()
    assert (result["record"]["commit"], result["machine_id"]) == ("4be1f02", MACHINE)
    assert json.loads(result["record"]["manifest"]) == desk.manifest()
    assert "files" not in result["record"]
    desk.path("/etc/a").write_bytes(b"A")
    desk.path("/etc/b").chmod(0o600)
    desk.path("/etc/c").unlink()
    registries = desk.path("/etc/rancher/k3s/registries.yaml")
    registries.write_bytes(registries.read_bytes().replace(b"hunter22", b"hunter23"))
    desk.path("/srv/x").rmdir()
    before = desk.snapshot()
    result = desk.module.run(desk.options(read=True, bundle="", secrets={}))
    assert [(c["path"], c["action"]) for c in result["changes"]] == [
        ("/etc/a", "update"),
        ("/etc/b", "restyle"),
        ("/etc/c", "create"),
        ("/etc/rancher/k3s/registries.yaml", "update"),
        ("/srv/x", "create"),
    ]
    assert desk.snapshot() == before


def test_reading_tells_of_units_that_are_not_in_their_state(desk: Any) -> None:
    desk.file("/etc/systemd/system/acme.service", b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=a.target\n")
    desk.units = [{"name": "acme.service", "enabled": True, "state": "started"}, {"name": "left.alone"}]
    desk.ok()
    assert desk.run(read=True, bundle="")["changes"] == []
    units = desk.units_json()
    units["acme.service"].update(enabled=False, state="stopped")
    desk.path("/var/lib/fleet/units.json").write_text(json.dumps(units))
    before = desk.snapshot()
    told = [(c["kind"], c["path"], c["action"]) for c in desk.run(read=True, bundle="")["changes"]]
    assert told == [("unit", "acme.service", "enable"), ("unit", "acme.service", "start")]
    assert desk.snapshot() == before
    desk.ok()
    assert desk.units_json()["acme.service"]["state"] == "started"


def test_reading_a_node_that_holds_nothing(desk: Any) -> None:
    result = desk.module.run(desk.options(read=True, bundle=""))
    assert (result["record"], result["digest"], result["changes"]) == ({}, "", [])
    assert not desk.path("/var").exists()


def test_arch_is_named_as_k3s_names_it(desk: Any, fleet_bundle: Any) -> None:
    desk.file("/etc/a", b"a")
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
    assert fleet_bundle.ARCH["x86_64"] == "amd64"
    assert desk.ok()["arch"] == names[os.uname().machine] == desk.record()["arch"]


def test_a_sandbox_without_a_machine_id_gets_one_that_stays(desk: Any) -> None:
    desk.path("/etc/machine-id").unlink()
    desk.file("/etc/a", b"a")
    told = desk.ok(check=True)["machine_id"]
    assert not desk.path("/etc/machine-id").exists()
    assert desk.ok()["machine_id"] == told
    assert desk.path("/etc/machine-id").read_text() == told + "\n"
    assert len(told) == 32


@pytest.mark.parametrize("text", ["", "uninitialized\n", "not a machine id\n"])
def test_a_machine_id_that_is_none_is_none(desk: Any, fleet_bundle: Any, text: str) -> None:
    desk.path("/etc/machine-id").write_text(text)
    tree = fleet_bundle.Tree(str(desk.root), make=False)
    if text:
        assert fleet_bundle.machine_id(tree) == ""
    tree.real = True
    assert fleet_bundle.machine_id(tree) == ""


def test_alone_it_prints_json_and_ends_with_0_or_1(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    done = desk.alone("--check", "--diff")
    assert (done.returncode, json.loads(done.stdout)["changed"]) == (0, True)
    assert not desk.path("/etc/a").exists()
    done = desk.alone("--commit", "4be1f02", "--epoch", "3")
    assert (done.returncode, json.loads(done.stdout)["record"]["epoch"]) == (0, 3)
    assert desk.path("/etc/a").read_bytes() == b"a"
    assert json.loads(desk.alone().stdout)["changed"] is False
    done = desk.alone("--expect", "none")
    assert done.returncode == 0
    desk.file("/etc/a", b"b")
    done = desk.alone("--expect", "none")
    assert (done.returncode, json.loads(done.stdout)["step"]) == (1, "expect")
    assert done.stderr == ""


def test_a_packed_bundle_holds_the_same(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    desk.file("/etc/b", b"\x00\n\xff" * 10)
    opts = desk.options(bundle="")
    sizes = [[entry["sha256"], entry["size"]] for entry in desk.files]
    head = json.dumps({"bundle": desk.bundle(), "blobs": sizes}).encode()
    opts["payload"] = base64.b64encode(gzip.compress(head + b"\n" + b"a" + b"\x00\n\xff" * 10)).decode()
    assert desk.module.run(opts)["changed"] is True
    assert desk.path("/etc/b").read_bytes() == b"\x00\n\xff" * 10


def test_sysctl_names(fleet_bundle: Any) -> None:
    path = fleet_bundle.sysctl_path
    assert path("vm.swappiness") == "/proc/sys/vm/swappiness"
    assert path("net.ipv4.conf.eth0/1.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"
    assert path("net/ipv4/conf/eth0.1/rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"
    for wrong in ("../../etc/passwd", "vm//../x", "vm.a b", "vm.*"):
        with pytest.raises(fleet_bundle.Failure):
            path(wrong)


def test_a_kernel_parameter_that_is_refused_is_a_warning_once_and_no_difference_later(fleet_bundle: Any) -> None:
    """kernel.ostype is `Linux` on every kernel, and cannot be written on any."""
    look, warnings = fleet_bundle.Look(), []
    assert fleet_bundle.look_sysctl({"kernel.ostype": "Linux"}, {}, False, look, warnings) == ({}, {})
    assert look.changes == []
    differs, still = fleet_bundle.look_sysctl({"kernel.ostype": "Plan9"}, {}, False, look, warnings)
    assert (differs, still) == ({"kernel.ostype": "Plan9"}, {})
    assert look.changes == [{"kind": "sysctl", "path": "kernel.ostype", "action": "update", "what": ["value"]}]
    refused = fleet_bundle.set_sysctl(differs, warnings)
    assert refused == {"kernel.ostype": "Plan9"}
    assert warnings[0].startswith("sysctl kernel.ostype = Plan9 was not set: ")
    look = fleet_bundle.Look()
    assert fleet_bundle.look_sysctl({"kernel.ostype": "Plan9"}, refused, False, look, []) == ({}, refused)
    assert look.changes == []


def test_a_sandbox_sets_no_kernel_parameter(desk: Any) -> None:
    class WithSysctl(type(desk)):
        def manifest(self) -> dict[str, Any]:
            return {**super().manifest(), "sysctl": {"kernel.ostype": "Plan9"}}

    one = WithSysctl(desk.module, desk.place / "more")
    result = one.ok()
    assert (result["warnings"], [c["kind"] for c in result["changes"]]) == ([], ["record"])
