"""Inventories in a line or two, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.formats.yaml import parse
from fleet.model.translation import ImportNote, ImportOptions, InventorySource, SourceFile, Translation
from fleet.translate import translate


def source(
    text: str,
    name: str = "hosts.yml",
    group_vars: Mapping[str, str] | None = None,
    host_vars: Mapping[str, str] | None = None,
) -> InventorySource:
    """`group_vars` and `host_vars` have a text by owner."""
    return InventorySource(
        path=name,
        hosts=(SourceFile(name, text.encode()),),
        place=f"/srv/shop/{name}",
        group_vars=_files("group_vars", group_vars or {}),
        host_vars=_files("host_vars", host_vars or {}),
    )


def _files(folder: str, texts: Mapping[str, str]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(f"{folder}/{owner}.yml", text.encode(), owner) for owner, text in texts.items())


def made(text: str, /, **options: Any) -> Translation:
    """`group_vars`, `host_vars` and `file` are the source's, the rest are options."""
    parts = {key: options.pop(key) for key in ("group_vars", "host_vars") if key in options}
    return translate(source(text, options.pop("file", "hosts.yml"), **parts), ImportOptions(**options))


def documents(of: Translation) -> dict[str, dict[str, Any]]:
    """The documents by path, without what all have."""
    found = {}
    for file in of.files:
        if not file.path.startswith("secrets/"):
            (document,) = parse(file.data)
            found[file.path] = document
    return found


def spec(of: Translation, path: str = "fleet.yaml") -> dict[str, Any]:
    found: dict[str, Any] = documents(of)[path]["spec"]
    return found


def nodes(of: Translation) -> dict[str, dict[str, Any]]:
    """Every node by its name."""
    sites = (document for path, document in documents(of).items() if path.startswith("sites/"))
    return {node["name"]: node for site in sites for node in site["spec"]["nodes"]}


def told(of: Translation, subject: str = "") -> list[str]:
    """What the report says, of one subject or of all; the users that nobody named are left out."""
    return [
        line(note) for note in of.notes if (subject and note.subject == subject) or (not subject and _is_said(note))
    ]


def _is_said(note: ImportNote) -> bool:
    return note.subject != "ansible_user" or "fleet connects as" not in note.message


def line(note: ImportNote) -> str:
    return f"{note.line}:{note.column} {note.severity} {note.subject}: {note.message}"
