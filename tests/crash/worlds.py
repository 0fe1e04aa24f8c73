"""What the node of these suites is to hold, first, then changed, then nothing, and what was there before fleet came.

Between them every kind of change is there: created, replaced, restyled, removed, taken over and given back; files, a
secret, a seed, an artifact, folders, a kernel parameter; units that restart, reload, appear and go.

The standard library and nothing else: it also runs on hosts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.crash.trees import FOLDER, Tree, file, folder, link

FLEET, NODE = "acme", "lyon-1-a"
STATE = "/var/lib/fleet"
UNITS = "/etc/systemd/system"
TOPS = ("/etc", "/srv", "/opt", STATE)
"""All that a world touches is below these."""

FOUND: Tree = {
    "/etc": folder(),
    "/etc/motd": file(b"theirs\n"),
    "/etc/taken": file(b"also theirs\n", 0o640),
    "/etc/hosts": file(b"127.0.0.1 localhost\n"),
    "/etc/acme-note": link("/etc/hosts"),
    "/etc/machine-id": file(b"0123456789abcdef0123456789abcdef\n", 0o444),
}
"""What is there before fleet comes."""


@dataclass(frozen=True)
class Wanted:
    """One file of a world. `more` is what its entry in the bundle says besides."""

    data: bytes
    mode: int = 0o644
    kind: str = "file"
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """`secrets` are the values that `files` of kind "secret" consist of, by their paths. `is_given_back`: fleet goes."""

    files: dict[str, Wanted] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    units: tuple[dict[str, Any], ...] = ()
    sysctl: dict[str, str] = field(default_factory=dict)
    is_given_back: bool = False

    @property
    def secrets(self) -> dict[str, str]:
        return {path: one.data.decode() for path, one in self.files.items() if one.kind == "secret"}

    @property
    def managed(self) -> set[str]:
        return {path for path, one in self.files.items() if one.kind != "seed"}


def unit(reads: str, *, text: str = "", reload: bool = False) -> bytes:
    """A unit that shows in /run what it has read of its file, when it started and when it was reloaded."""
    copy = f"/bin/cp {reads} /run/acme-{os.path.basename(reads)}"
    lines = ["[Unit]", f"Description=acme {text}", "[Service]", "Type=oneshot", "RemainAfterExit=yes"]
    lines += [f"ExecStart={copy}"] + ([f"ExecReload={copy}"] if reload else [])
    return "\n".join([*lines, "[Install]", "WantedBy=multi-user.target", ""]).encode()


def _started(*names: str) -> tuple[dict[str, Any], ...]:
    return tuple({"name": f"{name}.service", "enabled": True, "state": "started"} for name in names)


def _reads(verb: str, name: str) -> dict[str, Any]:
    return {verb: [f"{name}.service"]}


FIRST = World(
    files={
        "/etc/motd": Wanted(b"ours\n"),
        "/etc/acme/changes": Wanted(b"one\n", more=_reads("restart", "acme-a")),
        "/etc/acme/reloaded": Wanted(b"one\n", more=_reads("reload", "acme-b")),
        "/etc/acme/private": Wanted(b"the same\n"),
        "/etc/acme/key": Wanted(b"swordfish", 0o600, "secret", _reads("restart", "acme-a")),
        "/etc/acme/seed": Wanted(b"first\n", kind="seed"),
        "/etc/goes/deep/down": Wanted(b"goes\n"),
        "/etc/stays": Wanted(b"stays\n"),
        "/opt/acme/tool": Wanted(b"#!/bin/sh\n" + b"# one\n" * 3000, 0o755, "artifact"),
        f"{UNITS}/acme-a.service": Wanted(unit("/etc/acme/changes"), more=_reads("restart", "acme-a")),
        f"{UNITS}/acme-b.service": Wanted(
            unit("/etc/acme/reloaded", reload=True), more=_reads("restart", "acme-b")
        ),
        f"{UNITS}/acme-gone.service": Wanted(unit("/etc/stays")),
    },
    folders={"/srv/acme": 0o700},
    units=_started("acme-a", "acme-b", "acme-gone"),
    sysctl={"net.ipv4.ip_default_ttl": "63"},
)  # fmt: skip

_kept = {
    path: one
    for path, one in FIRST.files.items()
    if path not in ("/etc/motd", "/etc/goes/deep/down", f"{UNITS}/acme-gone.service")
}
SECOND = World(
    files=_kept
    | {
        "/etc/acme/changes": Wanted(b"two\n", more=_reads("restart", "acme-a")),
        "/etc/acme/reloaded": Wanted(b"two\n", more=_reads("reload", "acme-b")),
        "/etc/acme/private": Wanted(b"the same\n", 0o600),
        "/etc/acme/key": Wanted(b"marlin", 0o600, "secret", _reads("restart", "acme-a")),
        "/etc/acme/seed": Wanted(b"second\n", kind="seed"),
        "/etc/new/one": Wanted(b"new\n", more={"validate": "/bin/grep -q new {file}"}),
        "/etc/taken": Wanted(b"ours now\n", 0o600),
        "/opt/acme/tool": Wanted(b"#!/bin/sh\n" + b"# two\n" * 3000, 0o755, "artifact"),
        f"{UNITS}/acme-a.service": Wanted(unit("/etc/acme/changes", text="two"), more=_reads("restart", "acme-a")),
    },
    folders={"/srv/acme": 0o750, "/srv/more/empty": 0o700},
    units=_started("acme-a", "acme-b"),
    sysctl={"net.ipv4.ip_default_ttl": "62"},
)
NOTHING = World()
GIVEN_BACK = World(is_given_back=True)


def earlier(number: int) -> World:
    """FIRST as it was some applications before."""
    return replace(FIRST, files=FIRST.files | {"/etc/stays": Wanted(b"stays %d\n" % number)})


# ---- its bundle


def canonical(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(text: str) -> str:
    """Of a canonical manifest."""
    return "b1:" + hashlib.sha256(text.encode()).hexdigest()


def entry(path: str, one: Wanted) -> dict[str, Any]:
    found = {"path": path, "mode": f"{one.mode:04o}", **one.more}
    if one.kind == "secret":
        mark = hashlib.sha256(one.data).hexdigest()[:12]
        return {**found, "segments": [{"name": path, "encoding": "plain", "fingerprint": mark}]}
    found["sha256"] = hashlib.sha256(one.data).hexdigest()
    return found if one.kind == "artifact" else {**found, "size": len(one.data)}


def manifest(world: World) -> dict[str, Any]:
    whole = {
        "files": [entry(path, one) for path, one in world.files.items() if one.kind in ("file", "secret")],
        "artifacts": [entry(path, one) for path, one in world.files.items() if one.kind == "artifact"],
        "folders": [{"path": path, "mode": f"{mode:04o}"} for path, mode in world.folders.items()],
        "units": list(world.units),
        "sysctl": world.sysctl,
    }
    return {name: value for name, value in whole.items() if value}


def digest(world: World) -> str:
    return digest_of(canonical(manifest(world)))


def write_bundle(world: World, place: str) -> str:
    """Below `place`, as in a rendered project. Returns the bundle's path."""
    bundle = {"format": "fleet.bundle/v1", "fleet": FLEET, "node": NODE, "manifest": manifest(world)}
    bundle["digest"] = digest(world)
    bundle["seeds"] = [entry(path, one) for path, one in world.files.items() if one.kind == "seed"]
    bundle["urls"] = {}
    for path, one in world.files.items():
        name = hashlib.sha256(one.data).hexdigest()
        blob = os.path.join(place, "files", name[:2], name)
        if not os.path.exists(blob):
            os.makedirs(os.path.dirname(blob), exist_ok=True)
            with open(blob, "wb") as handle:
                handle.write(one.data)
        if one.kind == "artifact":
            bundle["urls"][path] = ["file://" + blob]
    path = os.path.join(place, "bundles", digest(world)[3:19] + ".json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        json.dump(bundle, handle)
    return path


# ---- what the node then holds


def holds(world: World, found: Tree, seeded: Tree) -> Tree:
    """All outside of fleet's own folder, where `found` was before fleet came, and `seeded` is what seeds have left."""
    tree = {**found, **seeded}
    for path, mode in world.folders.items():
        tree[path] = folder(mode)
    for path, one in world.files.items():
        if one.kind != "seed" or path not in tree:
            tree[path] = file(one.data, one.mode)
    for one in world.units:
        tree[f"{UNITS}/multi-user.target.wants/{one['name']}"] = link(f"{UNITS}/{one['name']}")
    for path in [*tree, STATE]:
        for parent in above(path):
            tree.setdefault(parent, folder())
    return tree


def above(path: str) -> Iterator[str]:
    """The folders that it is in, without the root."""
    while (path := os.path.dirname(path)) != "/":
        yield path


def seeds(world: World, tree: Tree) -> Tree:
    """What seeds of this world have left in a tree that it holds."""
    return {path: tree[path] for path, one in world.files.items() if one.kind == "seed" and path in tree}


def folders_of(tree: Tree) -> set[str]:
    return {path for path, one in tree.items() if one.kind == FOLDER}


def original(path: str) -> str:
    """Where the content is kept that fleet took over from `path`."""
    return f"{STATE}/originals/{hashlib.sha256(os.fsencode(path)).hexdigest()}"


def temp_of(path: str) -> str:
    """The name under which the new content lies beside `path`."""
    parent, name = os.path.split(path)
    return f"{parent}/.fleet-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.new"


def kept_of(before: World, after: World) -> dict[str, bytes]:
    """The contents that a generation of `before` keeps when `after` comes."""
    files = {path: one for path, one in before.files.items() if one.kind in ("file", "secret")}
    return {path: one.data for path, one in files.items() if after.files.get(path, Wanted(b"")).data != one.data}


def units_reading(before: World, after: World) -> dict[str, str]:
    """unit -> "restart" or "reload", where something that it reads is another one in `after`."""
    found: dict[str, str] = {}
    wanted = {one["name"] for one in after.units}
    for path, one in after.files.items():
        if before.files.get(path, Wanted(b"")).data != one.data:
            for verb in ("reload", "restart"):
                found.update({name: verb for name in one.more.get(verb, ()) if name in wanted})
    return found
