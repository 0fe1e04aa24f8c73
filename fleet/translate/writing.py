"""The spec's documents as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fleet.formats.yaml_hand import dump
from fleet.model.spec.document import API_VERSION
from fleet.model.translation import NewFile

_OPEN = frozenset({"spec", "vars", "nodes", "profiles"})
_OPEN_IN_NODES = frozenset({"spec", "nodes"})
_SCHEMA = "# yaml-language-server: $schema={}.fleet/schema.json\n"


class Heading(msgspec.Struct, frozen=True):
    """What a document is: its file, its kind, its name and labels. `comment` is a line above it."""

    path: str
    kind: str
    name: str
    labels: Mapping[str, str] = {}
    comment: str = ""


def document(heading: Heading, spec: Mapping[str, Any]) -> NewFile:
    """One document in a file of its own, with the line that leads editors to the schema."""
    metadata: dict[str, Any] = {"name": heading.name}
    if heading.labels:
        metadata["labels"] = dict(heading.labels)
    head = _SCHEMA.format("../" * heading.path.count("/"))
    value = {"apiVersion": API_VERSION, "kind": heading.kind, "metadata": metadata, "spec": dict(spec)}
    said = f"# {heading.comment}\n" if heading.comment else ""
    text = dump(value, _OPEN_IN_NODES if heading.kind == "Site" else _OPEN)
    return NewFile(heading.path, (head + said + text).encode())
