"""A disk that fills up while a bundle comes in, at every step of it: on a real file system, one page more each time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("full_disk.py")
OLD = {"/etc/a.conf": b"old a\n" * 900, "/etc/gone.conf": b"gone\n" * 900, "/etc/mine.conf": b"mine\n"}
NEW = {"/etc/a.conf": b"new a\n" * 2000, "/etc/deep/er/b.conf": b"new b\n" * 2000, "/etc/mine.conf": b"ours\n" * 900}


def own_mounts() -> list[str]:
    """The command in front of another one that gives it a mount namespace in which it may mount."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    if os.environ.get("CI") == "true":
        pytest.fail("no mount namespace is to be had here")
    pytest.skip("SKIPPED LOUDLY: no mount namespace is to be had here (user namespaces are off)")


def test_at_every_step_files_are_old_or_new_and_the_next_run_heals(desk: Any, tmp_path: Path) -> None:
    desk.path("/etc/mine.conf").write_bytes(OLD["/etc/mine.conf"])  # was there before fleet: it is kept
    for path in ("/etc/a.conf", "/etc/gone.conf"):
        desk.file(path, OLD[path])
    desk.ok()
    shutil.copytree(desk.root, tmp_path / "full" / "before")
    desk.files = []
    for path, data in NEW.items():
        desk.file(path, data)
    (tmp_path / "full" / "options.json").write_text(json.dumps(desk.options()))
    command = [*own_mounts(), sys.executable, str(DRIVER), str(desk.module.__file__), str(tmp_path / "full")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]

    machine = {"/etc/machine-id": desk.path("/etc/machine-id").read_text()}
    old = machine | {path: data.decode() for path, data in OLD.items()}
    new = machine | {path: data.decode() for path, data in NEW.items()}
    *full, last = runs
    assert not last["said"].get("failed")
    assert len(full) >= 8, "so many pages more each let it come one step further"
    for run in full:
        said = run["said"]
        assert "No space left on device (make room on it; nothing is half written)" in said["msg"], run["pages"]
        assert said["step"] in said["msg"]
        for path, text in run["found"].items():
            assert text in {old.get(path), new.get(path)}, (run["pages"], path)
        assert set(run["found"]) >= set(old) & set(new), "nothing that stays was gone for a moment"
    for run in runs:
        assert not run["healed"].get("failed"), (run["pages"], run["healed"])
        assert run["then"] == new, run["pages"]
        assert run["again"] is False
    at = list(dict.fromkeys(run["said"]["at"].rpartition("/")[2] for run in full))
    assert at == ["staged.json", "a.conf", "b.conf", "mine.conf", "manifest.json", "record.json"], (
        "each step had its turn"
    )
