"""The judge finds each thing that may be wrong with a node, and nothing where nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash import judge, worlds
from tests.crash.cases import Node, Step, units_lost
from tests.crash.judge import APPLICATIONS, GENERATIONS, PRIVATE, RECORD, STAGED
from tests.crash.trees import Tree, file, folder, put
from tests.crash.worlds import FIRST, SECOND, STATE, original, temp_of

Change = Callable[[Tree], Any]


@pytest.fixture
def change(on_the_way: dict[str, Step]) -> Step:
    return on_the_way["change"]


@pytest.fixture
def before(change: Step) -> Tree:
    """What is there before the change."""
    return dict(change.start)


@pytest.fixture
def after(on_the_way: dict[str, Step]) -> Tree:
    """What a run has made of it, before its last step takes away the originals that came back."""
    return dict(on_the_way["removal"].start)


def record(tree: Tree, **changes: Any) -> None:
    value = {**json.loads(tree[RECORD].data), **changes}
    tree[RECORD] = file(json.dumps(value).encode())


def half_way(tree: Tree, change: Step) -> None:
    """As the record says it while the bundle comes in."""
    files = {path: {"kind": "file", "original": True} for path in change.old.managed | change.new.managed}
    folders = sorted(judge.folders_of(change.new.tree) | judge.folders_of(change.old.tree))
    record(
        tree, digest="", partial=True, wanted=change.new.digest, base=change.old.digest, files=files, folders=folders
    )
    log(tree, change.new.digest)


def log(tree: Tree, digest: str) -> None:
    """One line more, after one that was cut off."""
    more = b'{"at": 1\n' + json.dumps({"digest": digest}).encode() + b"\n"
    tree[APPLICATIONS] = file(tree[APPLICATIONS].data + more, 0o600)


def test_before_and_after_nothing_is_wrong(change: Step, before: Tree, after: Tree) -> None:
    assert judge.moment(before, change.old, change.new) == []
    assert judge.settled(before, change.old) == []
    assert judge.moment(after, change.old, change.new) == []
    assert judge.settled(after, change.new) == []


def test_what_is_expected_is_not_taken_from_the_module(change: Step) -> None:
    assert change.old.tree["/etc/motd"] == file(b"ours\n")
    assert change.new.tree["/etc/motd"] == file(b"theirs\n")
    assert change.new.tree["/etc/acme/seed"] == file(b"first\n")
    assert "/etc/goes" not in change.new.tree
    assert change.new.taken == {"/etc/taken": file(b"also theirs\n", 0o640)}
    assert change.new.kept.keys() == {
        "/etc/motd", "/etc/goes/deep/down", "/etc/acme/changes", "/etc/acme/reloaded", "/etc/acme/key",
        f"{worlds.UNITS}/acme-a.service", f"{worlds.UNITS}/acme-gone.service",
    }  # fmt: skip


def pop(path: str) -> Change:
    return lambda tree: tree.pop(path)


def hold(path: str, data: bytes, mode: int = 0o644) -> Change:
    return lambda tree: tree.update({path: file(data, mode)})


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (pop("/etc/stays"), "/etc/stays is absent"),
        (hold("/etc/stays", b""), "/etc/stays is file 0644 b'' (0 bytes)"),
        (hold("/etc/acme/changes", b"tw"), "/etc/acme/changes is file 0644 b'tw'"),
        (hold("/etc/acme/key", b"marlin", 0o644), "/etc/acme/key is file 0644"),
        (hold("/etc/hosts", b"x"), "/etc/hosts is file"),
        (pop("/etc/acme-note"), "/etc/acme-note is absent"),
        (pop(RECORD), f"{RECORD} is lost"),
        (hold(RECORD, b"{"), f"{RECORD} is not whole"),
        (hold(STAGED, b""), f"{STAGED} is not whole"),
        (hold(PRIVATE, b"\0\0\0"), f"{PRIVATE} is not whole"),
        (hold("/etc/acme/changes", b"two\n"), "claimed too long: /etc/acme/changes"),
        (lambda tree: record(tree, digest=worlds.digest(SECOND)), "claimed too early: /etc/acme/changes"),
        (lambda tree: record(tree, digest="b1:other"), "b1:other, which was never here"),
        (lambda tree: record(tree, digest=""), "a record without digest"),
        (hold(APPLICATIONS, b"", 0o600), f"{APPLICATIONS} does not know of b1:"),
        (pop(original("/etc/motd")), "the original of /etc/motd is lost"),
        (hold(original("/etc/motd"), b"the"), "the original of /etc/motd is lost"),
        (lambda tree: record(tree, files={}), "the original of /etc/motd will not come back"),
        (lambda tree: record(tree, files={}), "nobody knows that /etc/stays is fleet's"),
        (hold(temp_of("/etc/stays"), b"x"), f"nobody knows of {temp_of('/etc/stays')}"),
        (lambda tree: tree.update({"/etc/new": folder()}), "nobody knows that /etc/new was made"),
        (lambda tree: tree.update({"/etc/odd": folder()}), "/etc/odd is folder"),
        (lambda tree: spoil_generation(tree, "manifest.json", b"{"), "is not whole"),
        (lambda tree: spoil_generation(tree, "manifest.json", b'{"digest": "b1:x", "manifest": "{}"}'), "not the generation"),
        (lambda tree: spoil_generation(tree, "files/", b"half"), "is not what that generation had"),
        (lambda tree: drop_generation(tree, 0), "generations are"),
    ],
)  # fmt: skip
def test_what_may_not_be_on_the_way(change: Step, before: Tree, spoil: Change, found: str) -> None:
    spoil(before)
    assert [one for one in judge.moment(before, change.old, change.new) if found in one]


def generation(tree: Tree, number: int) -> str:
    return sorted(path for path in tree if path.startswith(f"{GENERATIONS}/") and path.count("/") == 5)[number]


def spoil_generation(tree: Tree, name: str, data: bytes) -> None:
    path = next(path for path in tree if path.startswith(f"{generation(tree, -1)}/{name}"))
    tree[path] = file(data)


def drop_generation(tree: Tree, number: int) -> None:
    gone = generation(tree, number)
    for path in [path for path in tree if path == gone or path.startswith(f"{gone}/")]:
        del tree[path]


def test_what_may_be_on_the_way(change: Step, before: Tree) -> None:
    """Some files new, some old; temps and folders that the next run knows of; a generation more than there will be."""
    half_way(before, change)
    before["/etc/acme/changes"] = change.new.tree["/etc/acme/changes"]
    before["/etc/new"] = folder(0o700)
    before[temp_of("/etc/taken")] = file(b"ours n", 0o600)
    before[STAGED] = file(json.dumps({"temps": ["/etc/taken"], "folders": ["/etc/new"]}).encode())
    del before[f"{worlds.UNITS}/multi-user.target.wants/acme-gone.service"]
    del before["/etc/goes/deep/down"]
    assert judge.moment(before, change.old, change.new) == []


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (hold("/etc/acme/changes", b"one\n"), "/etc/acme/changes is file"),
        (pop("/srv/more/empty"), "/srv/more/empty is absent"),
        (lambda tree: tree.update({"/srv/acme": folder(0o700)}), "/srv/acme is folder 0700"),
        (lambda tree: tree.update({"/etc/goes": folder()}), "/etc/goes is folder"),
        (pop(f"{worlds.UNITS}/multi-user.target.wants/acme-a.service"), "acme-a.service is absent"),
        (hold(temp_of("/etc/stays"), b"x"), "lies about"),
        (hold(STAGED, b"{}"), f"{STAGED} lies about"),
        (lambda tree: tree.update({f"{STATE}/check": folder(0o700)}), f"{STATE}/check lies about"),
        (hold(original("/etc/motd"), b"theirs\n"), f"{original('/etc/motd')} is file"),
        (pop(original("/etc/taken")), f"{original('/etc/taken')} is absent"),
        (lambda tree: record(tree, digest=""), "the record claims ''"),
        (lambda tree: record(tree, partial=True), "the record claims"),
        (pop(APPLICATIONS), f"{APPLICATIONS} does not know of b1:"),
        (hold(APPLICATIONS, b'{"digest": ""}', 0o644), f"{APPLICATIONS} has mode 0644"),
        (lambda tree: record(tree, files={}), "the record names"),
        (lambda tree: record(tree, folders=[]), "folders of the record"),
        (hold(PRIVATE, b"{}", 0o600), "is not that of the secrets"),
        (lambda tree: tree.update({PRIVATE: tree[PRIVATE]._replace(mode=0o644)}), f"{PRIVATE} has mode 0644"),
        (lambda tree: drop_generation(tree, -1), "generations are"),
        (lambda tree: tree.pop(f"{generation(tree, -1)}/manifest.json"), "lies about"),
        (lambda tree: tree.pop(next(p for p in tree if p.startswith(f"{generation(tree, -1)}/files/"))), "the last generation keeps"),
    ],
)  # fmt: skip
def test_what_may_not_be_at_the_end(change: Step, after: Tree, spoil: Change, found: str) -> None:
    spoil(after)
    assert [one for one in judge.settled(after, change.new) if found in one]


def test_a_host_that_is_given_back_keeps_its_record_until_all_is_back(on_the_way: dict[str, Step]) -> None:
    step = on_the_way["giving back"]
    tree = dict(step.start)
    del tree[RECORD]
    wrong = judge.moment(tree, step.old, step.new)
    assert [one for one in wrong if "given back too early" in one]
    assert [one for one in wrong if "/etc/stays is file" in one]
    done = step.new.tree
    assert judge.moment(done | {STATE: folder(), f"{STATE}/lock": file(b"", 0o600)}, step.old, step.new) == []
    assert judge.settled(done, step.new) == []
    assert judge.settled(done | {STATE: folder()}, step.new) == [f"{STATE} lies about"]


def test_a_restart_that_is_lost_is_seen(module: Any, change: Step, quick: str) -> None:
    assert set(worlds.units_reading(FIRST, SECOND).items()) == {
        ("acme-a.service", "restart"), ("acme-b.service", "reload"),
    }  # fmt: skip
    assert sorted(units_lost(change, change.start, change.start)) == [
        "acme-a.service was to restart, and did not", "acme-b.service was to reload, and did not",
    ]  # fmt: skip
    node = Node(module, f"{quick}/root", f"{quick}/project")
    put(change.start, node.root)
    node.run(change.after)
    assert units_lost(change, change.start, node.tree()) == []
