"""Killed before any one of its system calls that write, and run again: the node is as wanted, and nothing lies about."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

UNIT = b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
WRITES = ("rename", "unlink", "mkdir", "rmdir", "fsync", "fchmod", "symlink", "utime")


def run_until_killed(desk: Any, nth: int) -> bool:
    """Run in a child that dies by SIGKILL before its nth writing call. True if it was killed."""
    opts = desk.options()
    child = os.fork()
    if child == 0:
        seen = 0

        def deadly(call: Any) -> Any:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == nth:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        for name in WRITES:
            setattr(os, name, deadly(getattr(os, name)))
        code = 1 if desk.module.run(opts).get("failed") else 0
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def first(desk: Any) -> None:
    """An original is taken over; one file will change, one go, one stay."""
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    desk.file("/etc/motd", b"ours\n")
    desk.file("/etc/changes", b"one\n", restart=["a.service"])
    desk.file("/etc/goes/deep/down", b"goes\n")
    desk.file("/etc/stays", b"stays\n")
    desk.file("/etc/systemd/system/a.service", UNIT, restart=["a.service"])
    desk.units = [{"name": "a.service", "enabled": True, "state": "started"}]


def second(desk: Any) -> None:
    (desk.place / "k3s").write_bytes(b"binary" * 1000)
    desk.path("/etc/taken").write_bytes(b"also theirs\n")
    desk.files = [one for one in desk.files if one["path"] not in ("/etc/goes/deep/down", "/etc/motd")]
    desk.file("/etc/changes", b"two\n", restart=["a.service"])
    desk.file("/etc/new/one", b"new\n", validate="true {file}")
    desk.file("/etc/taken", b"ours now\n")
    desk.folders = [{"path": "/srv/empty", "mode": "0700"}]
    desk.artifact("/usr/local/bin/k3s", b"binary" * 1000, [(desk.place / "k3s").as_uri()])
    desk.files.append({"path": "/etc/key", "mode": "0600", "segments": [{"name": "key", "encoding": "plain"}]})
    desk.secrets = {"key": "swordfish"}


BEFORE = {
    "/etc/motd": b"ours\n",
    "/etc/changes": b"one\n",
    "/etc/goes/deep/down": b"goes\n",
    "/etc/stays": b"stays\n",
    "/etc/taken": b"also theirs\n",
}
AFTER = {
    "/etc/motd": b"theirs\n",
    "/etc/changes": b"two\n",
    "/etc/stays": b"stays\n",
    "/etc/new/one": b"new\n",
    "/etc/taken": b"ours now\n",
    "/usr/local/bin/k3s": b"binary" * 1000,
    "/etc/key": b"swordfish",
}
SAME = {"/etc/machine-id": b"0123456789abcdef0123456789abcdef\n", "/etc/systemd/system/a.service": UNIT}


def texts(desk: Any) -> dict[str, bytes]:
    """Contents of whole files: temps are not looked at."""
    seen = {path: data for path, (_mode, data) in desk.contents().items() if "/.fleet-" not in path}
    return {path: data for path, data in seen.items() if path not in SAME}


def leftovers(desk: Any) -> list[str]:
    own = {path.name for path in desk.path("/var/lib/fleet").iterdir()}
    expected = {"lock", "record.json", "units.json", "private.json", "applications.jsonl", "originals", "generations"}
    return sorted(own - expected) + [str(path) for path in desk.root.rglob(".fleet-*")]


def test_killed_anywhere_it_converges(desk: Any, memory: Path, fleet_bundle: Any) -> None:
    killed = nth = 0
    while True:
        nth += 1
        one = type(desk)(fleet_bundle, memory / str(nth))
        first(one)
        one.ok()
        digest = one.digest()
        second(one)
        was_killed = run_until_killed(one, nth)
        killed += was_killed
        seen = texts(one)
        for path, data in seen.items():
            assert data in (BEFORE.get(path), AFTER.get(path)), f"half of {path} when killed at {nth}"
        assert {"/etc/changes", "/etc/stays", "/etc/motd", "/etc/taken"} <= seen.keys(), nth
        if one.record()["digest"] == digest:
            assert seen == BEFORE, f"the old digest is claimed when killed at {nth}"
        if one.record()["digest"] == one.digest():
            assert seen == AFTER, f"the new digest is claimed too early when killed at {nth}"
        one.ok()
        assert texts(one) == AFTER, nth
        assert leftovers(one) == [], nth
        assert one.path("/srv/empty").stat().st_mode & 0o7777 == 0o700
        assert not one.path("/etc/goes").exists(), nth
        assert one.record()["digest"] == one.digest()
        assert one.units_json()["a.service"]["restarts"] >= 1, f"a restart was lost when killed at {nth}"
        assert one.ok()["changed"] is False, nth
        one.files, one.artifacts, one.units, one.folders, one.secrets = [], [], [], [], {}
        one.ok()
        assert texts(one) == {"/etc/motd": b"theirs\n", "/etc/taken": b"also theirs\n"}, nth
        assert not list(one.path("/var/lib/fleet/originals").iterdir()), nth
        if not was_killed:
            break
    assert killed > 60


def test_killed_in_the_first_run_of_a_node_it_converges(desk: Any, memory: Path, fleet_bundle: Any) -> None:
    nth = 0
    while True:
        nth += 1
        one = type(desk)(fleet_bundle, memory / str(nth))
        first(one)
        was_killed = run_until_killed(one, nth)
        one.ok(expect="none")
        assert leftovers(one) == [], nth
        one.files, one.units = [], []
        one.ok()
        assert texts(one) == {"/etc/motd": b"theirs\n"}, nth
        if not was_killed:
            break
    assert nth > 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_is_no_worse(desk: Any, number: int) -> None:
    desk.file("/etc/a", b"one", validate=f"sh -c 'kill -{int(number)} $PPID; sleep 0.2' {{file}}")
    default = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell may have ignored it
    assert desk.alone(prelude=default).returncode != 0
    desk.file("/etc/a", b"one")
    desk.ok()
    assert leftovers(desk) == []


def test_temps_of_a_crashed_run_of_another_bundle_are_taken_away(desk: Any, fleet_bundle: Any) -> None:
    desk.file("/etc/a", b"a")
    desk.ok()
    temp = desk.path("/srv/data/" + fleet_bundle.temp_name("b"))
    temp.parent.mkdir(parents=True)
    temp.write_bytes(b"half of b")
    keep = desk.path("/srv/data/.fleet-theirs")
    keep.write_bytes(b"theirs")
    staged = {"temps": ["/srv/data/b"], "folders": ["/srv/gone", "/srv/data"]}
    desk.path("/srv/gone").mkdir()
    desk.path("/var/lib/fleet/staged.json").write_text(json.dumps(staged))
    assert desk.ok()["changed"] is False
    assert not temp.exists()
    assert not desk.path("/srv/gone").exists()
    assert keep.read_bytes() == b"theirs"


def test_files_are_synced_before_they_are_renamed(desk: Any, tmp_path: Path) -> None:
    """A rename that reaches the disk before its content would leave an empty file after a power cut."""
    log = tmp_path / "log"
    prelude = f"""
import stat
log = open({str(log)!r}, "a")
def told(name):
    call = getattr(os, name)
    def wrapped(*args, **kwargs):
        if name == "fsync":
            kind = "folder" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else "file"
            print("fsync", kind, os.readlink("/proc/self/fd/%d" % args[0]), file=log, flush=True)
        else:
            folder = os.readlink("/proc/self/fd/%d" % kwargs["src_dir_fd"])
            print("rename", folder + "/" + args[0], folder + "/" + args[1], file=log, flush=True)
        return call(*args, **kwargs)
    setattr(os, name, wrapped)
told("fsync"); told("rename")
"""
    desk.file("/etc/a", b"a")
    assert desk.alone(prelude=prelude).returncode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    for number, line in enumerate(lines):
        if line[0] == "rename":
            assert ["fsync", "file", line[1]] in lines[:number]
            assert lines[number + 1] == ["fsync", "folder", str(Path(line[1]).parent)]
    renamed = [line[2] for line in lines if line[0] == "rename"]
    record = str(desk.path("/var/lib/fleet/record.json"))
    assert renamed[-1] == record
    assert renamed.index(record) < renamed.index(str(desk.path("/etc/a")))
