"""What must hold on a node at every moment of a run, wherever it is cut off: by kill -9, or by a power cut.

Nothing here knows how fleet_bundle works; what it promises is in docs/how-it-works.md. `moment` returns what is wrong with
a tree in the middle of a run, `settled` what is wrong with one that a run has finished.

The standard library and nothing else: it also runs on hosts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from tests.crash.trees import FOLDER, LINK, Leaf, Tree, folder
from tests.crash.worlds import STATE, above, digest_of, folders_of, original, temp_of

RECORD, STAGED, UNITS_JSON = f"{STATE}/record.json", f"{STATE}/staged.json", f"{STATE}/units.json"
APPLICATIONS = f"{STATE}/applications.jsonl"
PRIVATE, GENERATIONS, ORIGINALS = f"{STATE}/private.json", f"{STATE}/generations", f"{STATE}/originals"
TEMP = re.compile(r"\.fleet-[0-9a-f]{16}\.new")
OWN = {"lock", "record.json", "private.json", "units.json", "applications.jsonl", "originals", "generations"}
MODES = {STATE: 0o755, GENERATIONS: 0o755, ORIGINALS: 0o700, RECORD: 0o644, PRIVATE: 0o600, APPLICATIONS: 0o600}
KEPT = 3
LINKS = ".wants"
"""How a folder ends in which systemd keeps links, or what stands for it: it goes with the last of them."""


@dataclass(frozen=True)
class Held:
    """What a node holds under one bundle.

    tree: everything outside of fleet's own folder. managed: the files that are the bundle's. taken: what was at managed
    paths before fleet came. found: the folders that fleet did not make. generations: digests, the oldest first; kept: the
    contents that the newest of them keeps; all_kept: those of all that there were, by digest. `digest` is empty, and nothing managed, where fleet never came.
    `is_given_back`: fleet goes, and leaves nothing of its own.
    """

    digest: str
    tree: Tree
    managed: frozenset[str] = frozenset()
    taken: Tree = field(default_factory=dict)
    found: frozenset[str] = frozenset()
    generations: tuple[str, ...] = ()
    kept: dict[str, bytes] = field(default_factory=dict)
    all_kept: dict[str, dict[str, bytes]] = field(default_factory=dict)
    is_given_back: bool = False
    secrets: frozenset[tuple[str, str]] = frozenset()


def own(path: str) -> bool:
    return path == STATE or path.startswith(STATE + "/")


def outside(tree: Tree) -> Tree:
    return {path: leaf for path, leaf in tree.items() if not own(path)}


def is_temp(path: str) -> bool:
    return bool(TEMP.fullmatch(os.path.basename(path)))


def read(tree: Tree, path: str, wrong: list[str]) -> dict[str, Any]:
    """Empty where nothing is. What is there must be whole."""
    if path not in tree:
        return {}
    try:
        value = json.loads(tree[path].data)
        if isinstance(value, dict):
            return value
    except ValueError:
        pass
    wrong.append(f"{path} is not whole: {tree[path].data[:40]!r}")
    return {}


def moment(tree: Tree, old: Held, new: Held) -> list[str]:
    """On the way from `old` to `new`."""
    wrong: list[str] = []
    record, staged = read(tree, RECORD, wrong), read(tree, STAGED, wrong)
    for path in (PRIVATE, UNITS_JSON):
        read(tree, path, wrong)
    wrong += paths(tree, old, new)
    wrong += claims(tree, record, old, new)
    wrong += originals(tree, record, old, new)
    if record or not new.is_given_back:
        wrong += traces(tree, record, staged, old, new)
    if not (new.is_given_back and record.get("digest", new.digest) == new.digest):
        wrong += generations(tree, old, new) + unlogged(tree, record)
    return wrong


def settled(tree: Tree, new: Held, *, is_last: bool = True, is_back: bool = False) -> list[str]:
    """`new` and nothing else. Before the very end the originals that came back may still be kept as well.

    `is_back`: a run on the way to something else was cut off before. Then what it had kept is one generation more.
    """
    wrong = differences(outside(tree), new.tree)
    wrong += [f"{path} lies about" for path in tree if is_temp(path)]
    if new.is_given_back:
        return wrong + [f"{path} lies about" for path in tree if own(path) and is_last]
    record = read(tree, RECORD, wrong)
    if record.get("digest") != new.digest or record.get("partial"):
        wrong.append(f"the record claims {record.get('digest')!r}, not {new.digest}")
    if set(record.get("files", {})) != new.managed:
        wrong.append(f"the record names {sorted(set(record.get('files', {})) ^ new.managed)} or not")
    made = {path for path in folders_of(new.tree) - new.found - {STATE, *above(STATE)} if not path.endswith(LINKS)}
    if set(record.get("folders", ())) != made:
        wrong.append(f"folders of the record: {sorted(set(record.get('folders', ())) ^ made)}")
    return wrong + unlogged(tree, record) + settled_state(tree, new, is_last=is_last, is_back=is_back)


def settled_state(tree: Tree, new: Held, *, is_last: bool, is_back: bool) -> list[str]:
    """Fleet's own folder."""
    wrong: list[str] = []
    left = {path[len(STATE) + 1 :].split("/")[0] for path in tree if path.startswith(STATE + "/")} - OWN
    wrong += [f"{STATE}/{name} lies about" for name in sorted(left)]
    kept = {path: leaf for path, leaf in tree.items() if path.startswith(ORIGINALS + "/")}
    due = {original(path): leaf for path, leaf in new.taken.items()}
    if is_last or not due.items() <= kept.items():
        wrong += differences(kept, due)
    for path, mode in MODES.items():
        if path in tree and tree[path].mode != mode:
            wrong.append(f"{path} has mode {tree[path].mode:04o}, not {mode:04o}")
    if read(tree, PRIVATE, wrong) != dict(new.secrets):
        wrong.append(f"{PRIVATE} is not that of the secrets")
    found = kept_generations(tree, wrong)
    more = (*new.generations, new.digest)
    allowed = [new.generations, more, more[-KEPT:]] if is_back else [new.generations]
    if tuple(one.digest for one in found) not in allowed:
        wrong.append(f"generations are {[one.digest for one in found]}, none of {allowed}")
    elif found and not is_back and found[-1].contents != new.kept:
        wrong.append(f"the last generation keeps {found[-1].contents}, not {new.kept}")
    names = {path[len(GENERATIONS) + 1 :].split("/")[0] for path in tree if path.startswith(GENERATIONS + "/")}
    wrong += [f"{GENERATIONS}/{name} lies about" for name in names - {one.name for one in found}]
    return wrong


def differences(found: Tree, due: Tree) -> list[str]:
    return [
        f"{path} is {shown(found.get(path))}, not {shown(due.get(path))}"
        for path in sorted(found.keys() | due.keys())
        if found.get(path) != due.get(path)
    ]


def shown(leaf: Leaf | None) -> str:
    return f"{leaf.kind} {leaf.mode:04o} {leaf.data[:20]!r} ({len(leaf.data)} bytes)" if leaf else "absent"


# ---- the rules


def paths(tree: Tree, old: Held, new: Held) -> list[str]:
    """Each path as before or as after. A folder may be private until it has its owner, a unit without its links."""
    wrong = []
    for path in sorted(old.tree.keys() | new.tree.keys() | outside(tree).keys()):
        leaf, before, after = tree.get(path), old.tree.get(path), new.tree.get(path)
        is_being_made = after is not None and before is None and leaf == folder(0o700) and after.kind == FOLDER
        is_link = leaf is None and LINK in {one.kind for one in (before, after) if one}
        if not (leaf in (before, after) or is_temp(path) or is_being_made or is_link):
            wrong.append(f"{path} is {shown(leaf)}; before {shown(before)}, after {shown(after)}")
    return wrong


def claims(tree: Tree, record: dict[str, Any], old: Held, new: Held) -> list[str]:
    """A digest in the record is true. Without one, the record knows what is meant and what was there."""
    claimed = record.get("digest", "")
    if not record and new.is_given_back:
        kept = [path for path in tree if own(path) and path not in (STATE, f"{STATE}/lock")]
        return [f"given back too early: {path}" for path in kept] + settled(tree, new, is_last=False)
    if not record:
        return [f"{RECORD} is lost"] if old.digest else []
    if claimed == new.digest and claimed != old.digest:
        return ["claimed too early: " + one for one in settled(tree, new, is_last=False)]
    if claimed == old.digest and claimed:
        return ["claimed too long: " + one for one in untouched(tree, old, new)]
    if claimed:
        return [f"the record claims {claimed}, which was never here"]
    if not record.get("partial") or record.get("wanted") != new.digest or record.get("base", "") != old.digest:
        return [f"a record without digest: wanted {record.get('wanted')}, base {record.get('base')}, not {old.digest}"]
    return []


def unlogged(tree: Tree, record: dict[str, Any]) -> list[str]:
    """What is in a record, or on its way, was written down before anything was touched. A line may have been cut off."""
    meant = record.get("wanted") if record.get("partial") else record.get("digest")
    lines = tree[APPLICATIONS].data.splitlines() if APPLICATIONS in tree else []
    logged = {json.loads(line)["digest"] for line in lines if line.endswith(b"}")}
    return [f"{APPLICATIONS} does not know of {meant}"] if record and meant not in logged else []


def untouched(tree: Tree, old: Held, new: Held) -> list[str]:
    """As before, but for temps, and for folders that are to come."""
    coming = folders_of(new.tree) - folders_of(old.tree)
    seen = {path: leaf for path, leaf in outside(tree).items() if not is_temp(path)}
    return differences({path: leaf for path, leaf in seen.items() if path not in coming}, old.tree)


def originals(tree: Tree, record: dict[str, Any], old: Held, new: Held) -> list[str]:
    """What was there before fleet is at its place, or kept whole, and then the record knows that it is to come back."""
    wrong = []
    for path, leaf in {**old.taken, **new.taken}.items():
        if tree.get(path) == leaf:
            continue
        if tree.get(original(path)) != leaf:
            wrong.append(f"the original of {path} is lost: {shown(tree.get(original(path)))}")
        elif not record.get("files", {}).get(path, {}).get("original"):
            wrong.append(f"the original of {path} will not come back: the record does not know of it")
    return wrong


def traces(tree: Tree, record: dict[str, Any], staged: dict[str, Any], old: Held, new: Held) -> list[str]:
    """Whatever is new is known by name, so that it is taken away one day: by a later bundle, or by the next run."""
    temps = {temp_of(path) for path in staged.get("temps", ())} | {temp_of("/etc/machine-id")}
    known = set(record.get("folders", ())) | set(staged.get("folders", ())) | new.found | {STATE, *above(STATE)}
    ours, theirs, wrong = new.managed | old.managed, {**old.taken, **new.taken}, []
    for path, leaf in outside(tree).items():
        if is_temp(path):
            if path not in temps:
                wrong.append(f"nobody knows of {path}")
        elif leaf.kind == FOLDER:
            if path not in known and not path.endswith(LINKS):
                wrong.append(f"nobody knows that {path} was made")
        elif path in ours - record.get("files", {}).keys() and leaf != theirs.get(path):
            wrong.append(f"nobody knows that {path} is fleet's")
    return wrong


def generations(tree: Tree, old: Held, new: Held) -> list[str]:
    """Those from before, with the one that ends, and without those beyond the last three. Each keeps all that it should."""
    wrong: list[str] = []
    kept = kept_generations(tree, wrong)
    found = [one.digest for one in kept]
    for one in kept:
        due = {**old.all_kept, **new.all_kept}.get(one.digest, {})
        if one.contents != due:
            wrong.append(f"{one.name} keeps {sorted(one.contents)}, not {sorted(due)}")
    allowed = [list(old.generations), list(new.generations)]
    if new.generations and new.generations != old.generations:
        allowed.append([*old.generations, new.generations[-1]])
    return wrong if found in allowed else [*wrong, f"generations are {found}, none of {allowed}"]


@dataclass(frozen=True)
class Generation:
    """`contents` by path: of the files that were about to change or go."""

    name: str
    digest: str
    contents: dict[str, bytes]


def kept_generations(tree: Tree, wrong: list[str]) -> list[Generation]:
    """The whole ones, in the order of their names. Each is what it says: its manifest, and the contents in it."""
    found = []
    for top in sorted(path for path in tree if os.path.dirname(path) == GENERATIONS):
        kept = read(tree, f"{top}/manifest.json", wrong)
        if not kept:
            continue
        text = kept.get("manifest", "")
        if digest_of(text) != kept.get("digest"):
            wrong.append(f"{top} is not the generation {kept.get('digest')}")
            continue
        entries = {os.path.basename(original(one["path"])): one for one in json.loads(text).get("files", ())}
        contents = {}
        for path, leaf in tree.items():
            if os.path.dirname(path) == f"{top}/files" and not is_temp(path):
                entry = entries.get(os.path.basename(path), {})
                contents[entry.get("path", path)] = leaf.data
                if not is_content(leaf.data, entry):
                    wrong.append(f"{path} is not what that generation had: {leaf.data[:40]!r}")
        found.append(Generation(os.path.basename(top), kept["digest"], contents))
    return found


def is_content(data: bytes, entry: dict[str, Any]) -> bool:
    """Whether this is what an entry of a manifest of ours says. A secret is all of its file here."""
    found = hashlib.sha256(data).hexdigest()
    marks = [part["fingerprint"] for part in entry.get("segments", ())]
    return found == entry.get("sha256") or marks == [found[:12]]


def fingerprints(secrets: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((path, hashlib.sha256(value.encode()).hexdigest()) for path, value in secrets.items())
