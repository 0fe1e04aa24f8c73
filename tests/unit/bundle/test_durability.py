"""A node that loses power holds what its record says: the order of system calls, taken from a process of its own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.calls import Call, prelude, read, unsynced

STATE = "/var/lib/fleet"
RECORD = f"{STATE}/record.json"
STAGED = f"{STATE}/staged.json"


def calls(desk: Any, name: str = "calls") -> list[Call]:
    log = desk.place / name
    done = desk.alone("--secrets-stdin", prelude=prelude(log), stdin=json.dumps(desk.secrets))
    assert done.returncode == 0, done.stdout + done.stderr
    root = str(desk.root)
    return [
        Call(call.name, call.path.removeprefix(root) or "/", call.to.removeprefix(root), call.mode, call.size)
        for call in read(log)
        if call.path.startswith(root)
    ]


def fill(desk: Any) -> None:
    """Of everything one: a file taken over, a secret, an artifact, a folder, a check, a unit."""
    desk.path("/etc/motd").write_bytes(b"theirs\n")
    desk.file("/etc/motd", b"ours\n")
    desk.file("/etc/deep/down/conf", b"checked\n", validate="true {file}")
    desk.files.append({"path": "/etc/key", "mode": "0600", "segments": [{"name": "key", "encoding": "plain"}]})
    desk.secrets = {"key": "swordfish"}
    (desk.place / "k3s").write_bytes(b"binary")
    desk.artifact("/usr/local/bin/k3s", b"binary", [(desk.place / "k3s").as_uri()])
    desk.folders = [{"path": "/srv/empty", "mode": "0700"}]
    unit = b"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    desk.file("/etc/systemd/system/a.service", unit, restart=["a.service"])
    desk.units = [{"name": "a.service", "enabled": True, "state": "started"}]


@pytest.fixture
def filled(desk: Any) -> Any:
    fill(desk)
    return desk


def test_all_is_synced_before_the_record_says_that_it_is_there(filled: Any) -> None:
    assert unsynced(calls(filled), RECORD) == []


def test_the_links_of_units_last_before_the_record_says_that_they_are_enabled(filled: Any) -> None:
    """systemd syncs none: `systemctl enable` and a power cut, and the node boots without its units."""
    seen = calls(filled)
    links = "/etc/systemd/system/multi-user.target.wants"
    made = next(at for at, call in enumerate(seen) if (call.name, call.path) == ("symlink", f"{links}/a.service"))
    synced = [at for at, call in enumerate(seen) if (call.name, call.path) == ("fsync", links)]
    said = [at for at, call in enumerate(seen) if call.to == RECORD]
    assert made < synced[-1] < said[-1]


def test_what_goes_is_gone_for_good_before_the_record_forgets_it(filled: Any) -> None:
    filled.ok()
    filled.files, filled.artifacts, filled.urls, filled.folders, filled.units = [], [], {}, [], []
    filled.file("/etc/other", b"other\n")
    seen = calls(filled)
    assert filled.path("/etc/motd").read_bytes() == b"theirs\n"
    assert not filled.path("/etc/deep").exists()
    assert unsynced(seen, RECORD) == []


KILLED = """
import os
rename, fsync = os.rename, os.fsync
def renamed(old, new, **more):
    rename(old, new, **more)
    if new == "motd":
        os.fsync = lambda handle: os._exit(9)
os.rename = renamed
"""


def test_what_a_killed_run_has_done_is_synced_before_anything_builds_on_it(filled: Any) -> None:
    """The next run finds the file in place, and has no other reason to sync its folder."""
    assert filled.alone("--secrets-stdin", prelude=KILLED, stdin=json.dumps(filled.secrets)).returncode == 9
    assert filled.path("/etc/motd").read_bytes() == b"ours\n"
    log = filled.place / "calls"
    filled.alone("--secrets-stdin", prelude=prelude(log), stdin=json.dumps(filled.secrets))
    assert next(call.name for call in read(log) if call.name in ("sync", "rename", "unlink", "rmdir")) == "sync"


BEFORE_THE_RECORD = """
import os
rename = os.rename
def renamed(old, new, **more):
    if new == "record.json":
        os._exit(9)
    rename(old, new, **more)
os.rename = renamed
"""
WHILE_KEEPING = """
import os
link = os.link
def linked(old, new, **more):
    os._exit(9)
os.link = linked
"""


def test_a_generation_that_is_kept_again_stays_whole(filled: Any) -> None:
    """The first run was killed when it had kept the generation; the second one while it keeps the same one again."""
    filled.ok()
    filled.file("/etc/motd", b"changed\n")
    kept = []
    for killer in (BEFORE_THE_RECORD, WHILE_KEEPING):
        done = filled.alone("--secrets-stdin", prelude=killer, stdin=json.dumps(filled.secrets))
        assert done.returncode == 9, done.stderr
        kept.append([path.read_bytes() for path in filled.path(STATE).glob("generations/*/files/*")])
    assert kept == [[b"ours\n"], [b"ours\n"]]


def test_a_first_run_syncs_the_folders_above_its_own(desk: Any) -> None:
    """A run that was killed may have made them, and what is not synced takes all that is in it along."""
    desk.file("/etc/a", b"a")
    seen = calls(desk)
    first = next(at for at, call in enumerate(seen) if call.name == "rename")
    assert {"/", "/var", "/var/lib", STATE} <= {call.path for call in seen[:first] if call.name == "fsync"}
    desk.file("/etc/a", b"b")
    again = calls(desk, "again")
    assert not {"/", "/var", "/var/lib"} & {call.path for call in again if call.name == "fsync"}


def test_the_folder_of_a_new_sandbox_lasts(desk: Any) -> None:
    desk.file("/etc/a", b"a")
    shutil.rmtree(desk.root)
    log = desk.place / "calls"
    assert desk.alone(prelude=prelude(log)).returncode == 0
    assert [(call.name, call.path) for call in read(log)][:2] == [("mkdir", str(desk.root)), ("fsync", str(desk.place))]


def test_a_mode_that_changes_alone_is_synced(filled: Any) -> None:
    filled.ok()
    filled.path("/etc/motd").chmod(0o600)
    filled.path("/srv/empty").chmod(0o755)
    seen = calls(filled)
    assert [(call.path, call.mode) for call in seen if call.name == "fchmod" and not call.path.startswith(STATE)] == [
        ("/etc/motd", 0o644),
        ("/srv/empty", 0o700),
    ]
    assert unsynced(seen, RECORD) == []


def test_nothing_is_readable_for_others_while_it_is_made(filled: Any) -> None:
    seen = calls(filled)
    assert {call.mode for call in seen if call.name == "create"} == {0o600}
    made = {call.path: call.mode for call in seen if call.name == "mkdir"}
    assert {path for path, mode in made.items() if mode == 0o700} == {
        "/srv/empty", f"{STATE}/check", f"{STATE}/downloads", f"{STATE}/originals",
    }  # fmt: skip
    assert set(made.values()) == {0o700, 0o755}, "a folder of nobody's is as it stays"
    modes = {call.path: call.mode for call in seen if call.name == "fchmod" and "/.fleet-" not in call.path}
    assert modes[f"{STATE}/check"] == modes[f"{STATE}/originals"] == 0o700
    beside = [call.mode for call in seen if call.name == "fchmod" and call.path.startswith(f"{STATE}/check/")]
    assert beside == [0o600]


def test_what_is_meant_is_recorded_first_and_what_came_of_it_last(filled: Any) -> None:
    seen = calls(filled)
    placed = [call.to for call in seen if call.name == "rename" and not call.path.startswith(f"{STATE}/downloads/")]
    assert placed[:2] == [f"{STATE}/check/conf", STAGED]
    assert placed[2].startswith(f"{STATE}/originals/")
    assert placed[3] == RECORD
    assert sorted(placed[4:9]) == [
        "/etc/deep/down/conf", "/etc/key", "/etc/motd", "/etc/systemd/system/a.service", "/usr/local/bin/k3s",
    ]  # fmt: skip
    assert placed[9:] == [f"{STATE}/units.json", f"{STATE}/private.json", RECORD]
    beside = [at for at, call in enumerate(seen) if call.name == "create" and not call.path.startswith(STATE)]
    # An artifact comes beside its place by a rename too, from where it was downloaded.
    moved = [
        at for at, call in enumerate(seen) if call.path.startswith(f"{STATE}/downloads/") and call.name == "rename"
    ]
    beside += moved
    named = [at for at, call in enumerate(seen) if call.name == "rename" and not call.to.startswith(STATE)]
    named = [at for at in named if at not in moved]
    (meant, done) = (at for at, call in enumerate(seen) if call.to == RECORD)
    (staged,) = (at for at, call in enumerate(seen) if call.to == STAGED)
    assert staged < min(beside)
    assert max(beside) < meant < min(named)
    assert max(named) < done


def test_a_change_of_owner_does_not_cost_the_set_user_id_bit(fleet_bundle: Any, tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"x")
    tree = fleet_bundle.Tree(str(tmp_path), make=False)
    mine = (os.geteuid(), os.getegid())
    tree.restyle("/tool", 0o4755, mine)
    assert (tmp_path / "tool").stat().st_mode & 0o7777 == 0o4755
    tree.beside("/other", [b"x"], 0o4755, mine)
    tree.place("/other")
    assert (tmp_path / "other").stat().st_mode & 0o7777 == 0o4755
