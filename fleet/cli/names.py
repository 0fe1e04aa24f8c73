"""Names for the shell's completion, of the fleet in the folder that -C names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from fleet.cli.face import Face
from fleet.errors import FleetError

_MOST = 200
_KEPT = ".fleet/names.json"
_SPEC = (".yaml", ".yml", ".csv")
_SKIPPED = frozenset({".git", ".fleet", "rendered", "secrets"})


class Names(NamedTuple):
    """`nodes` maps each to its site. `key` is the fingerprint of the spec that says so."""

    key: str
    nodes: dict[str, str]
    policies: tuple[str, ...] = ()


def complete_nodes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching(_names(context).nodes, incomplete)


def complete_sites(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching(_names(context).nodes.values(), incomplete)


def complete_policies(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching(_names(context).policies, incomplete)


def complete_waves(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The one that waits for an approval, of the rollout that was named before."""
    # An option whose value is still to come ends click's parsing: the id is among the rest then.
    rollout = context.params.get("rollout_id") or next(iter(context.args), "")
    try:
        name = context.ensure_object(Face).workspace(context.params.get("sandbox") or "").rollouts().waiting(rollout)
    except FleetError:
        return []
    return _matching([name] if name else [], incomplete)


def complete_rollouts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        names = context.ensure_object(Face).workspace(context.params.get("sandbox") or "").rollouts().ids()
    except FleetError:
        return []
    return _matching(names, incomplete)


def complete_secrets(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """From secrets.lock: no password is asked for, and the spec may be wrong."""
    try:
        names = context.ensure_object(Face).workspace(may_ask=False).secrets().names()
    except FleetError:
        return []
    return _matching(names, incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The first names only: a shell that lists 10,000 of them helps nobody."""
    found = sorted({name for name in names if name.startswith(incomplete)})
    return [CompletionItem(name) for name in found[:_MOST]]


def _names(context: click.Context) -> Names:
    """Nothing at all for a spec that is wrong: a shell waits for names, and `fleet validate` says what is wrong.

    A large spec takes seconds, so its names are kept below `.fleet/` for as long as no file of it changes.
    """
    face = context.ensure_object(Face)
    root = Path(face.directory)
    try:
        key = _fingerprint(root)
        kept = _kept(root, key)
        if kept is not None:
            return kept
        workspace = face.workspace()
        sites = {row.name: row.site for row in workspace.nodes()}
        names = Names(key, sites, tuple(workspace.policies()))
        _keep(root, names)
    except (FleetError, OSError):
        return Names("", {})
    return names


def _fingerprint(root: Path) -> str:
    """Changes with the name, size and time of any file that may hold spec."""
    digest = hashlib.sha256()
    for entry in _files(root):
        state = entry.stat(follow_symlinks=False)
        digest.update(f"{entry.path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED:
                    yield from _files(entry.path)
            elif entry.name.endswith(_SPEC):
                yield entry


def _kept(root: Path, key: str) -> Names | None:
    try:
        kept = Names(**json.loads((root / _KEPT).read_bytes()))
    except (OSError, ValueError, TypeError):  # nothing is there, or what an older fleet kept
        return None
    return kept if kept.key == key else None


def _keep(root: Path, names: Names) -> None:
    """Only where `.fleet/` is there already: looking for a name must not leave a folder behind."""
    if (root / _KEPT).parent.is_dir():
        from fleet.adapters.disk import write_atomic

        write_atomic(root / _KEPT, json.dumps(names._asdict()).encode())
