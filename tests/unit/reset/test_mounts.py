"""fleet_reset and what is mounted: real mounts, in a mount namespace of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = Path(__file__).resolve().parents[3] / "playbooks/ansible_collections/edgefleet/fleet/plugins/modules"
CALL = "import json, sys; sys.path.insert(0, sys.argv[1]); import fleet_reset; print(json.dumps({}))"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


def inside(mounts: str, call: str) -> subprocess.CompletedProcess[str]:
    """Python's `call` of the module, after these mounts, which nobody else sees and which end with it."""
    script = f"set -eu; {mounts}; exec {sys.executable} -c '{CALL.format(call)}' {MODULES}"
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_mounted_is_never_emptied(tmp_path: Path) -> None:
    """A bind mount has the device number of the place where it is, and somebody's files."""
    root = tmp_path / "root"
    for path in ("srv/till/ledger", "var/lib/kubelet/pods/1/till/under", "usr/local/bin/k3s"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    volume = root / "var/lib/kubelet/pods/1/till"
    params = {"node": "a", "fleet": "acme", "machine_id": "", "take_over": "mine", "root": str(root)}
    text = json.dumps(params)
    done = inside(f"mount --bind {root}/srv/till {volume}", f"fleet_reset.reset({text}, False)")
    assert done.returncode == 1
    assert "/var/lib/kubelet/pods/1/till: something is mounted there, and that is not emptied" in done.stderr
    assert (root / "srv/till/ledger").read_text() == "srv/till/ledger"


def test_a_disk_below_what_was_bound_stays_mounted_where_it_is_from(tmp_path: Path) -> None:
    """All mounts are shared, as systemd has them: what ends in one place would end in the other."""
    mounts = (
        f"cd {tmp_path}; mount -t tmpfs base .; cd {tmp_path}; mount --make-shared .; mkdir -p till/disk kubelet/vol;"
        "mount -t tmpfs disk till/disk; touch till/disk/deep; mount --rbind till kubelet/vol; test -e kubelet/vol/disk/deep"
    )
    call = f'[fleet_reset.unmount(["{tmp_path}/kubelet"]), __import__("glob").glob("{tmp_path}/*/*/*")]'
    done = inside(mounts, call)
    assert done.returncode == 0, done.stderr
    ended, found = json.loads(done.stdout)
    assert ended == [f"{tmp_path}/kubelet/vol", f"{tmp_path}/kubelet/vol/disk"]
    assert found == [f"{tmp_path}/till/disk/deep"]
