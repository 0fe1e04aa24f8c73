"""The fleet in spec/, rendered at one minor of K3s, as the files that the goldens hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fleet.adapters.share import shipped
from fleet.model.bundle import Bundle
from fleet.model.tree import Revision, Tree
from fleet.operations.intent import Intent, read_intent
from fleet.operations.preparing import project_inputs
from fleet.render.project import project
from fleet.testing import MemoryRecords
from tests.specs import lock

HERE = Path(__file__).parent
VERSIONS = {"v1.34": "v1.34.9+k3s1", "v1.35": "v1.35.6+k3s1", "v1.36": "v1.36.3+k3s1", "v1.37": "v1.37.1+k3s1"}
NEWEST = "v1.37"
COMMIT = "4be1f02" + "0" * 33


@cache
def intent(minor: str) -> Intent:
    version = VERSIONS[minor]
    spec = HERE / "spec"
    files = {path.relative_to(spec).as_posix(): path.read_bytes() for path in spec.rglob("*") if path.is_file()}
    files["fleet.yaml"] = files["fleet.yaml"].replace(b"@VERSION@", version.encode())
    files["fleet.lock"] = lock(version).encode()
    for name in ("fleet", "lyon", "metz", "nancy"):
        files[f"secrets/{name}.yaml"] = b"$ANSIBLE_VAULT;1.1;AES256\n" + name.encode().hex().encode() + b"\n"
    tree = Tree(files, Revision(COMMIT, "main"), root="/work/acme")
    return read_intent(tree, MemoryRecords(), shipped().texts, "/work/acme/.fleet/sandbox")


@cache
def bundles(minor: str) -> Mapping[str, Bundle]:
    made = intent(minor)
    return {node.name: made.renderer.bundle(node) for node in made.fleet.nodes}


def tree(minor: str) -> dict[str, bytes]:
    """The rendered project without what ships with fleet, each distinct content once, by the node and path that first
    has it. The inventory knows nothing of minors: it is held for the newest one.
    """
    made = intent(minor)
    rendered = {file.path: file.data for file in project(project_inputs(made, shipped()), made.fleet.nodes, COMMIT)}
    kept_folders = ("bundles/", "inventory/", "secrets/") if minor == NEWEST else ("bundles/",)
    kept = {path: data for path, data in rendered.items() if path.startswith(kept_folders)}
    named: set[str] = set()
    for name, bundle in bundles(minor).items():
        for file in bundle.files:
            if file.sha256 and file.sha256 not in named:
                named.add(file.sha256)
                kept[f"contents/{name}{file.path}"] = rendered[f"files/{file.sha256[:2]}/{file.sha256}"]
    return kept
