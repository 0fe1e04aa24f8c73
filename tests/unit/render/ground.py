"""What these tests render: documents of a spec become an Intent, as every operation starts from one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from fleet.adapters.share import shipped as read_shipped
from fleet.model.bundle import Bundle, BundleFile, SecretRef
from fleet.model.project import Shipped
from fleet.model.record import Record
from fleet.model.tree import Revision, Tree
from fleet.operations.intent import Intent, each_rendered, read_intent
from fleet.testing import MemoryRecords
from tests import specs

COMMIT = "4be1f02" + "0" * 33
HOME = "/work/acme/.fleet/sandbox"
ROOT = "/work/acme"


@cache
def shipped() -> Shipped:
    return read_shipped()


def intent(
    *documents: str,
    files: Mapping[str, str] | None = None,
    records: MemoryRecords | None = None,
    commit: str = COMMIT,
    dirty: bool = False,
) -> Intent:
    """The documents in spec.yaml, read as a commit at /work/acme."""
    files = specs.tree(*documents, files=files).files
    tree = Tree(files, Revision(commit, "main", dirty=dirty), root=ROOT)
    return read_intent(tree, records or MemoryRecords(), shipped().texts, HOME)


def bundles(made: Intent) -> dict[str, Bundle]:
    nodes = made.fleet.nodes
    return {bundle.node: bundle for bundle in each_rendered(made, nodes, made.renderer.bundle)}


def bundle(*documents: str, files: Mapping[str, str] | None = None, node: str = "") -> Bundle:
    """The bundle of one node, the only one where no name is given."""
    made = bundles(intent(*documents, files=files))
    if node:
        return made[node]
    (only,) = made.values()
    return only


def file(bundle: Bundle, path: str) -> BundleFile:
    (found,) = [each for each in bundle.files if each.path == path]
    return found


def text(bundle: Bundle, path: str) -> str:
    """A file's text; a secret in it as <NAME:ENCODING>."""
    entry = file(bundle, path)
    if not entry.segments:
        return bundle.blobs[entry.sha256].decode()
    return "".join(f"<{part.name}:{part.encoding}>" if isinstance(part, SecretRef) else part for part in entry.segments)


def known(records: Iterable[Record]) -> MemoryRecords:
    return MemoryRecords(records)
