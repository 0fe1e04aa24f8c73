"""What one node has to become different in: the recorded manifest beside the wanted bundle, part by part."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from fleet.diff.contents import content_id
from fleet.diff.upgrade import is_noise, upgrade
from fleet.k3s import paths
from fleet.model.bundle import (
    Bundle,
    BundleArtifact,
    BundleFacts,
    BundleFile,
    BundleFolder,
    BundlePackage,
    BundleUnit,
    BundleUpdates,
    BundleUser,
)
from fleet.model.change import Change, ChangeKind
from fleet.model.manifest import Manifest

_Entry = TypeVar("_Entry")


def changes(base: Manifest | None, wanted: Bundle | Manifest, *, has_record: bool = False) -> tuple[Change, ...]:
    """The changes that bring a node from `base` to `wanted`, in the order K3s, files, folders, ..., facts.

    A node without a manifest gets one Change for everything: `add` where it never had a record, `edit` with
    `before` "unknown" where it has one (`has_record`) whose manifest nobody kept. An empty answer for a node whose
    digest differs means that both sides say the same in other bytes: `groups` shows it as its record. Seeds are no
    part of what a node holds.
    """
    if base is None:
        return _unknown(wanted) if has_record else _first(wanted.facts.k3s_version)
    found = _without_echo(tuple(_entries(base, wanted)))
    step = upgrade(base.facts, wanted.facts)
    if step is not None:
        return (step, *(change for change in found if not is_noise(change)))
    return found


def _without_echo(found: tuple[Change, ...]) -> tuple[Change, ...]:
    """Kernel settings come as a file too: where one of those changes, its diff says what the settings would say again.
    Labels and taints do as well: each of them says more than the diff of their file.
    """
    if any(change.kind in {"label", "taint"} for change in found):
        found = tuple(change for change in found if change.subject != paths.NODE_CONFIG)
    if any(change.subject.startswith("/etc/sysctl.d/") for change in found):
        return tuple(change for change in found if change.kind != "sysctl")
    return found


@functools.cache
def _first(version: str) -> tuple[Change, ...]:
    """One value for all nodes that are new: a plan may hold a hundred thousand of them."""
    return (Change("first", "add", "everything", after=version),)


def _unknown(wanted: Bundle | Manifest) -> tuple[Change, ...]:
    restarts = {unit for file in wanted.files for unit in file.restart}
    restarts.update(unit for artifact in wanted.artifacts for unit in artifact.restart)
    return (
        Change(
            "first",
            "edit",
            "everything",
            before="unknown",
            after=wanted.facts.k3s_version,
            restarts=tuple(sorted(restarts)),
        ),
    )


def _entries(base: Manifest, wanted: Bundle | Manifest) -> Iterator[Change]:
    yield from _parts(_kept(base.files), _kept(wanted.files), _path, _file)
    yield from _parts(base.folders, wanted.folders, _path, _folder)
    yield from _parts(base.artifacts, wanted.artifacts, _path, _artifact)
    yield from _parts(base.units, wanted.units, _name, _unit)
    yield from _parts(base.packages, wanted.packages, _name, _package)
    yield from _parts(base.users, wanted.users, _name, _user)
    yield from _sysctl(base.sysctl, wanted.sysctl)
    if base.updates != wanted.updates:
        yield _change("updates", "OS updates", *_both(_updates_text, base.updates, wanted.updates), None)
    yield from _facts(base.facts, wanted.facts)


def _updates_text(updates: BundleUpdates) -> str:
    day = f" of {updates.snapshot}" if updates.snapshot else ""
    sources = f" from {', '.join(updates.sources)}" if updates.sources else ""
    return f"{updates.mode}{day}{sources}"


def _parts(
    base: tuple[_Entry, ...],
    wanted: tuple[_Entry, ...],
    key: Callable[[_Entry], str],
    compare: Callable[[_Entry | None, _Entry | None], Iterator[Change]],
) -> Iterator[Change]:
    if base == wanted:
        return
    old = {key(entry): entry for entry in base}
    new = {key(entry): entry for entry in wanted}
    for name in sorted(old.keys() | new.keys()):
        if (before := old.get(name)) != (after := new.get(name)):
            yield from compare(before, after)


def _kept(files: tuple[BundleFile, ...]) -> tuple[BundleFile, ...]:
    """Files without seeds, which are written once, stand in no manifest and are never compared."""
    return tuple(file for file in files if not file.seed) if any(file.seed for file in files) else files


def _path(entry: BundleFile | BundleFolder | BundleArtifact) -> str:
    return entry.path


def _name(entry: BundleUnit | BundlePackage | BundleUser) -> str:
    return entry.name


def _change(
    kind: ChangeKind, subject: str, before: str | None, after: str | None, source: BundleFile | BundleArtifact | None
) -> Change:
    """None for a side that is absent. Restarts and reloads are those of the entry that decides."""
    return Change(
        kind,
        "add" if before is None else "remove" if after is None else "edit",
        subject,
        before or "",
        after or "",
        source.restart if source else (),
        source.reload if isinstance(source, BundleFile) else (),
    )


def _both(text: Callable[[_Entry], str], before: _Entry | None, after: _Entry | None) -> tuple[str | None, str | None]:
    return None if before is None else text(before), None if after is None else text(after)


def _file(before: BundleFile | None, after: BundleFile | None) -> Iterator[Change]:
    entry = after or before
    if entry is None:
        return
    kind: ChangeKind = "config" if entry.path == paths.CONFIG else "file"
    if before is None or after is None:
        yield _change(kind, entry.path, *_both(content_id, before, after), entry)
        return
    if (old := content_id(before)) != (new := content_id(after)):
        yield _change(kind, entry.path, old, new, entry)
    if _access(before) != _access(after):
        yield _change(kind, entry.path, *_differing(_access(before), _access(after)), entry)
    if _handling(before) != _handling(after):
        yield _change(kind, entry.path, *_differing(_handling(before), _handling(after)), None)


def _access(entry: BundleFile | BundleFolder | BundleArtifact) -> tuple[str, ...]:
    return (f"mode {entry.mode}", f"owner {entry.owner}:{entry.group}")


def _access_text(folder: BundleFolder) -> str:
    return ", ".join(_access(folder))


def _sha256(artifact: BundleArtifact) -> str:
    return artifact.sha256


def _handling(file: BundleFile) -> tuple[str, ...]:
    return (
        f"restarts {', '.join(file.restart) or 'nothing'}",
        f"reloads {', '.join(file.reload) or 'nothing'}",
        f"checked by {file.validate or 'nothing'}",
    )


def _differing(before: Iterable[str], after: Iterable[str]) -> tuple[str, str]:
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return ", ".join(old for old, _ in pairs), ", ".join(new for _, new in pairs)


def _folder(before: BundleFolder | None, after: BundleFolder | None) -> Iterator[Change]:
    if before is not None and after is not None:
        yield _change("folder", after.path, *_differing(_access(before), _access(after)), None)
    elif (entry := after or before) is not None:
        yield _change("folder", entry.path, *_both(_access_text, before, after), None)


def _artifact(before: BundleArtifact | None, after: BundleArtifact | None) -> Iterator[Change]:
    entry = after or before
    if entry is None:
        return
    if before is None or after is None or before.sha256 != after.sha256:
        yield _change("artifact", entry.path, *_both(_sha256, before, after), entry)
    if before is not None and after is not None and _access(before) != _access(after):
        yield _change("artifact", entry.path, *_differing(_access(before), _access(after)), entry)


def _unit(before: BundleUnit | None, after: BundleUnit | None) -> Iterator[Change]:
    if (entry := after or before) is not None:
        yield _change("unit", entry.name, *_both(_unit_text, before, after), None)


def _unit_text(unit: BundleUnit) -> str:
    enabled = {True: "enabled", False: "disabled", None: ""}[unit.enabled]
    return ", ".join(filter(None, (enabled, unit.state))) or "left alone"


def _package(before: BundlePackage | None, after: BundlePackage | None) -> Iterator[Change]:
    if (entry := after or before) is not None:
        yield _change("package", entry.name, *_both(_package_text, before, after), None)


def _package_text(package: BundlePackage) -> str:
    return package.version or "any version"


def _user(before: BundleUser | None, after: BundleUser | None) -> Iterator[Change]:
    if before is not None and after is not None:
        yield _change("user", after.name, *_differing(_user_words(before), _user_words(after)), None)
    elif (entry := after or before) is not None:
        yield _change("user", entry.name, *_both(_user_text, before, after), None)


def _user_text(user: BundleUser) -> str:
    return ", ".join(_user_words(user))


def _user_words(user: BundleUser) -> tuple[str, ...]:
    return (
        f"groups {', '.join(user.groups) or 'none'}",
        f"shell {user.shell or 'as it is'}",
        f"keys {'; '.join(_key_text(key) for key in user.authorized_keys) or 'none'}",
        "system account" if user.system else "login account",
    )


def _key_text(key: str) -> str:
    """The last twelve characters of an SSH key's data and its comment: enough to tell keys apart."""
    parts = key.split(None, 2)
    return key if len(parts) < 2 else " ".join((f"…{parts[1][-12:]}", *parts[2:]))


def _sysctl(base: dict[str, str], wanted: dict[str, str]) -> Iterator[Change]:
    for name in sorted(base.keys() | wanted.keys()):
        if (before := base.get(name)) != (after := wanted.get(name)):
            yield _change("sysctl", name, before, after, None)


def _facts(base: BundleFacts, wanted: BundleFacts) -> Iterator[Change]:
    """K3s's version is a Change of its own, and config keys are seen in config.yaml."""
    for key in sorted(base.labels.keys() | wanted.labels.keys()):
        if (old := base.labels.get(key)) != (new := wanted.labels.get(key)):
            yield _change("label", key, old, new, None)
    for taint in sorted({*base.taints} ^ {*wanted.taints}):
        yield Change("taint", "add" if taint in wanted.taints else "remove", taint)
    for name in ("site", "role", "cluster", "datastore"):
        before, after = getattr(base, name), getattr(wanted, name)
        if before != after:
            yield Change("fact", "edit", name, before, after)
