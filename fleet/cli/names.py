"""Names for the shell's completion: of nodes, sites, rollouts and secrets of the fleet in the folder that -C names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fleet.cli.face import Face
from fleet.errors import FleetError

_MOST = 200
_KEPT = ".fleet/names.json"
_SPEC = (".yaml", ".yml", ".csv")
_SKIPPED = frozenset({".git", ".fleet", "rendered", "secrets"})

Names = dict[str, str]


def complete_nodes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching(_sites_by_node(context), incomplete)


def complete_sites(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching(_sites_by_node(context).values(), incomplete)


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


def _sites_by_node(context: click.Context) -> Names:
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
        names = {row.name: row.site for row in face.workspace().nodes()}
        _keep(root, key, names)
    except (FleetError, OSError):
        return {}
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
        kept = json.loads((root / _KEPT).read_bytes())
    except (OSError, ValueError):
        return None
    return kept["names"] if isinstance(kept, dict) and kept.get("key") == key else None


def _keep(root: Path, key: str, names: Names) -> None:
    """Only where `.fleet/` is there already: looking for a name must not leave a folder behind."""
    if (root / _KEPT).parent.is_dir():
        from fleet.adapters.disk import write_atomic

        write_atomic(root / _KEPT, json.dumps({"key": key, "names": names}).encode())
