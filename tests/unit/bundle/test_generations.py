"""What a node held before: the last three bundles as a whole, with the contents that were replaced."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

GENERATIONS = "/var/lib/fleet/generations"


def generations(desk: Any) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    """Manifest and contents by path of each, the oldest first."""
    found = []
    for folder in sorted(desk.path(GENERATIONS).iterdir()):
        kept = json.loads((folder / "manifest.json").read_text())
        names = {
            hashlib.sha256(one["path"].encode()).hexdigest(): one["path"]
            for one in json.loads(kept["manifest"]).get("files", [])
        }
        found.append((kept, {names[path.name]: path.read_bytes() for path in (folder / "files").iterdir()}))
    return found


def test_of_each_its_manifest_and_what_the_next_one_replaced(desk: Any) -> None:
    digests = []
    for number in range(5):
        desk.file("/etc/a", b"%d" % number)
        desk.file("/etc/same", b"same")
        desk.ok(commit=f"commit-{number}")
        digests.append(desk.digest())
    found = generations(desk)
    assert [kept["digest"] for kept, _ in found] == digests[1:4]
    assert [kept["commit"] for kept, _ in found] == ["commit-1", "commit-2", "commit-3"]
    assert [contents for _, contents in found] == [{"/etc/a": b"1"}, {"/etc/a": b"2"}, {"/etc/a": b"3"}]
    for kept, _ in found:
        assert "b1:" + hashlib.sha256(kept["manifest"].encode()).hexdigest() == kept["digest"]


def test_they_are_in_order_though_the_clock_goes_backwards(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(2_000_000_000, -1_000_000)
    monkeypatch.setattr(desk.module.time, "time", lambda: next(clock))
    digests = []
    for number in range(5):
        desk.file("/etc/a", b"%d" % number)
        desk.ok()
        digests.append(desk.digest())
    assert [kept["digest"] for kept, _ in generations(desk)] == digests[1:4]


def test_the_same_bundle_again_later_is_a_generation_of_its_own(desk: Any) -> None:
    digests = []
    for text in (b"a", b"b", b"a", b"c"):
        desk.file("/etc/a", text)
        desk.ok()
        digests.append(desk.digest())
    assert [kept["digest"] for kept, _ in generations(desk)] == digests[:3]


def test_what_goes_is_kept_and_secrets_stay_private(desk: Any) -> None:
    desk.files.append({"path": "/etc/key", "mode": "0600", "segments": [{"name": "key", "encoding": "plain"}]})
    desk.secrets = {"key": "swordfish"}
    desk.file("/etc/goes", b"goes")
    desk.ok()
    desk.files = []
    desk.file("/etc/other", b"other")
    desk.ok()
    ((_, contents),) = generations(desk)
    assert contents == {"/etc/key": b"swordfish", "/etc/goes": b"goes"}
    (folder,) = desk.path(GENERATIONS).iterdir()
    assert (folder / "files").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (folder / "files").iterdir()} == {0o600, 0o644}


def test_artifacts_are_not_kept(desk: Any) -> None:
    for text in (b"one", b"two"):
        source = desk.place / "k3s"
        source.write_bytes(text * 100)
        desk.artifact("/usr/local/bin/k3s", text * 100, [source.as_uri()])
        desk.ok()
    assert [contents for _, contents in generations(desk)] == [{}]


def test_what_changed_on_the_node_is_what_is_kept(desk: Any) -> None:
    """A local edit is overwritten, and is to be found again."""
    desk.file("/etc/a", b"one")
    desk.ok()
    desk.path("/etc/a").write_bytes(b"edited")
    desk.file("/etc/a", b"two")
    desk.ok()
    assert [contents for _, contents in generations(desk)] == [{"/etc/a": b"edited"}]


def test_where_there_are_no_links_it_is_copied(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    desk.file("/etc/a", b"one", mode="0640")
    desk.ok()
    desk.file("/etc/a", b"two", mode="0640")
    desk.ok()
    assert [contents for _, contents in generations(desk)] == [{"/etc/a": b"one"}]
    (folder,) = desk.path(GENERATIONS).iterdir()
    assert [path.stat().st_mode & 0o777 for path in (folder / "files").iterdir()] == [0o640]


def test_one_that_is_not_whole_is_taken_away(desk: Any) -> None:
    desk.file("/etc/a", b"one")
    desk.ok()
    half: Path = desk.path(f"{GENERATIONS}/00000001-{'0' * 16}/files")
    half.mkdir(parents=True)
    (half / ("f" * 64)).write_bytes(b"half")
    desk.ok()
    assert not list(desk.path(GENERATIONS).iterdir())
