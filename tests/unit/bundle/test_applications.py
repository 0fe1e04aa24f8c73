"""A node keeps a line of each application that was to change something: whoever counts them need not ask a controller."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

LOG = "/var/lib/fleet/applications.jsonl"


def lines(desk: Any, name: str = LOG) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.path(name).read_text().splitlines()]


def test_each_application_that_changes_something_is_a_line(desk: Any) -> None:
    began = time.time()
    desk.file("/etc/motd", b"one")
    desk.ok(commit="c1", controller="ops@desk", epoch=3)
    first = desk.digest()
    desk.files.clear()
    desk.file("/etc/motd", b"two")
    desk.file("/etc/more", b"more")
    desk.ok(commit="c2", controller="ops@desk", epoch=4)

    one, two = lines(desk)
    assert began <= one.pop("at") <= two.pop("at") <= time.time()
    assert one == {
        "digest": first, "before": "", "epoch": 3, "commit": "c1", "controller": "ops@desk", "changes": 1,
    }  # fmt: skip
    assert two == {
        "digest": desk.digest(), "before": first, "epoch": 4, "commit": "c2", "controller": "ops@desk", "changes": 2,
    }  # fmt: skip
    assert desk.path(LOG).stat().st_mode & 0o7777 == 0o600


def test_what_changes_nothing_and_what_only_looks_is_none(desk: Any) -> None:
    desk.file("/etc/motd", b"one")
    desk.run(check=True)
    assert not desk.path(LOG).exists()
    desk.ok()
    desk.ok()
    desk.run(read=True)
    assert len(lines(desk)) == 1


def test_one_that_fails_before_anything_is_touched_is_none(desk: Any) -> None:
    desk.file("/etc/motd", b"one", validate="false {file}")
    desk.refused()
    assert not desk.path(LOG).exists()


def test_a_line_that_was_cut_off_spoils_no_other(desk: Any) -> None:
    desk.file("/etc/motd", b"one")
    desk.ok()
    whole = desk.path(LOG).read_bytes()
    desk.path(LOG).write_bytes(whole + whole[:20])
    desk.path("/etc/motd").write_bytes(b"somebody else's")
    desk.ok()
    first, cut, last = desk.path(LOG).read_bytes().splitlines()
    assert first + b"\n" == whole
    assert cut == whole[:20]
    assert json.loads(last)["before"] == desk.digest()


def test_it_is_bounded(desk: Any) -> None:
    desk.file("/etc/motd", b"one")
    desk.ok()
    old = desk.path(LOG)
    old.write_bytes(old.read_bytes() + b"x" * 64 * 1024)
    for text in (b"two", b"three"):
        desk.path("/etc/motd").write_bytes(text)
        desk.ok()
    assert len(lines(desk)) == 2
    assert Path(f"{old}.1").stat().st_size > 64 * 1024
    assert Path(f"{old}.1").stat().st_mode & 0o7777 == 0o600


def test_where_it_cannot_be_written_nothing_is_touched(desk: Any) -> None:
    desk.file("/etc/motd", b"one")
    desk.ok()
    desk.path(LOG).unlink()
    desk.path(LOG).mkdir()
    desk.files.clear()
    desk.file("/etc/motd", b"two")
    assert LOG in desk.refused()
    assert desk.path("/etc/motd").read_bytes() == b"one"
    assert desk.record()["digest"] != ""


@pytest.mark.parametrize("name", [LOG, f"{LOG}.1"])
def test_who_is_given_back_keeps_none(desk: Any, name: str) -> None:
    desk.file("/etc/motd", b"one")
    desk.ok()
    desk.path(f"{LOG}.1").write_bytes(b"")
    desk.ok(retire=True, bundle="", fleet="acme", node=desk.node)
    assert not desk.path(name).exists()
