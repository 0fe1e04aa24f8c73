"""Small specs for tests: texts become a Tree, loaded and resolved by the real thing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import dedent

from fleet.load import load
from fleet.model.fleet import ResolvedFleet
from fleet.model.learned import Learned
from fleet.model.node import Node
from fleet.model.spec.document import Spec
from fleet.model.tree import Tree
from fleet.resolve import resolve

VERSION = "v1.36.3+k3s1"
_BINARIES = {
    "amd64": {"name": "k3s", "sha256": "a" * 64, "size": 70_000_000},
    "arm64": {"name": "k3s-arm64", "sha256": "b" * 64, "size": 60_000_000},
    "arm": {"name": "k3s-armhf", "sha256": "c" * 64, "size": 50_000_000},
}


def lock(*versions: str) -> str:
    """A fleet.lock that pins these versions, the last one as channel stable. Checksums are aaa…, bbb… and ccc…."""
    releases = {version: {"version": version, "binaries": _BINARIES} for version in versions}
    channels = {"stable": versions[-1]}
    return json.dumps({"format": "fleet.lock/v1", "renderer": 1, "channels": channels, "releases": releases})


def document(kind: str, name: str, spec: str, labels: str = "") -> str:
    """One document of the spec. `spec` is its YAML, `labels` a flow map of the Site's labels."""
    indented = "".join(f"  {line}\n" for line in dedent(spec).strip().splitlines())
    more = f", labels: {labels}" if labels else ""
    return f"apiVersion: fleet/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\nspec:\n{indented or '  {}'}"


def tree(*documents: str, files: Mapping[str, str] | None = None) -> Tree:
    """All documents in spec.yaml, with a fleet.lock, and further files by path."""
    texts = {"spec.yaml": "\n---\n".join(documents), "fleet.lock": lock(VERSION), **(files or {})}
    return Tree({path: text.encode() for path, text in texts.items()})


def loaded(*documents: str, files: Mapping[str, str] | None = None) -> Spec:
    return load(tree(*documents, files=files))


def resolved(*documents: str, files: Mapping[str, str] | None = None, learned: Learned | None = None) -> ResolvedFleet:
    return resolve(loaded(*documents, files=files), learned or Learned())


def node_of(fleet: ResolvedFleet, name: str) -> Node:
    (found,) = [node for node in fleet.nodes if node.name == name]
    return found


FLEET = document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}")
ONE = """\
nodes:
  - {name: lyon-1-a, role: server, arch: amd64, address: 10.20.1.11}
"""
