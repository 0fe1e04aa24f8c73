"""What has to be there before nodes are touched: a commit, secrets, contents for later diffs, an Ansible project."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from fleet.diff import content_id, secret_texts
from fleet.errors import RefusedError, SpecError
from fleet.k3s.token import HINT as TOKEN_HINT
from fleet.k3s.token import wrong_token
from fleet.load import to_problems
from fleet.model.bundle import Bundle, SecretRef
from fleet.model.node import Node
from fleet.model.problem import Mistake, Problem
from fleet.model.project import FolderReport, Shipped
from fleet.operations.intent import Intent, each_rendered
from fleet.operations.secret.listing import names_in
from fleet.ports.applier import ProjectWriter
from fleet.ports.folder import Folder
from fleet.ports.records import Records
from fleet.ports.secrets import Secrets
from fleet.render import RenderError
from fleet.render.inventory import ca_hashes
from fleet.render.project import ProjectInputs, project
from fleet.resolve import origins

_BLOBS_AT_ONCE = 500
_SUDO = "connection.becomePassword"
_UNLISTED = b'"fingerprint":""'
"""How a secret that secrets.lock does not list stands in a manifest; in a text of one the quotes would be escaped."""


def refuse_dirty(intent: Intent, nodes: Sequence[Node], *, allow_dirty: bool) -> None:
    revision = intent.tree.revision
    is_hosts = any(node.connection.type == "ssh" for node in nodes)
    if is_hosts and not allow_dirty and (revision.dirty or not revision.commit):
        raise RefusedError(
            f"hosts are changed from a commit, and this is {revision.short}", "Commit first, or say --allow-dirty."
        )


def refuse_missing_secrets(intent: Intent, nodes: Sequence[Node]) -> None:
    """Every secret that a changing node needs and secrets.lock does not name, tokens of clusters first."""
    missing: dict[str, str] = {}
    for node in nodes:
        sudo = node.connection.become_password
        if sudo and sudo not in intent.spec.secrets_lock.secrets and sudo not in missing:
            missing[sudo] = f"sudo on {node.name}, {_place_of_sudo(intent, node)}"
        # A manifest is at hand and a bundle is not: only where one lacks something is the other worth making.
        if _UNLISTED in intent.renderer.sketch(node).manifest:
            missing |= {name: path for path, name in _unlisted(intent.renderer.bundle(node)) if name not in missing}
    if not missing:
        return
    clusters = [intent.fleet.clusters[name] for name in {node.cluster: None for node in nodes if node.cluster}]
    tokens = {name for cluster in clusters for name in (cluster.token, cluster.agent_token)}
    names = sorted(missing, key=lambda name: (name not in tokens, name))
    named = ", ".join(name if name in tokens else f"{name} (for {missing[name]})" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    hint = "Run `fleet secret generate` and commit what it writes: apply never makes a secret."
    if not tokens.issuperset(names):
        hint = "Commit a vault file that holds what is lacking, listed in secrets.lock: apply never makes a secret."
    raise RefusedError(f"secrets/ lacks {named}{more}", hint)


def _place_of_sudo(intent: Intent, node: Node) -> str:
    """FILE:LINE:COLUMN of the becomePassword that a node has."""
    (origin,) = (each for each in origins(intent.spec, intent.learned, node) if each.path == _SUDO)
    (problem,) = to_problems([Mistake(origin.place, "")], intent.tree.files)
    return f"{problem.file}:{problem.line}:{problem.column}"


def check_vaults(intent: Intent, nodes: Iterable[Node], store: Secrets) -> None:
    """Opens every vault file that one of the nodes needs, and no other: all that is wrong with them is told here, once,
    and not by each node in the middle of a run.

    Nothing is opened, and no password asked for, where none of them needs a secret. Raises SpecError, or what `store`
    raises for a wrong password.
    """
    locked = intent.spec.secrets_lock.secrets
    nodes = list(nodes)
    names = dict.fromkeys(name for node in nodes for name in names_in(intent, node))
    wanted = {name: locked[name] for name in names if name in locked}
    problems = list(store.problems(wanted))
    if not problems:
        clusters = (intent.fleet.clusters[name] for name in {node.cluster: None for node in nodes if node.cluster})
        tokens = [name for cluster in clusters for name in (cluster.token, cluster.agent_token) if name in wanted]
        for name in tokens:
            if wrong := wrong_token(store.read(wanted[name].file)[name]):
                told = f"`{name}` is no K3s token: {wrong}"
                problems.append(Problem(wanted[name].file, 1, 1, "", told, TOKEN_HINT))
    if problems:
        raise SpecError(problems, len({secret.file for secret in wanted.values()}))


def _unlisted(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for file in bundle.files:
        for part in file.segments:
            if isinstance(part, SecretRef) and not part.fingerprint:
                yield file.path, part.name


def keep_contents(intent: Intent, nodes: Iterable[Node], records: Records) -> None:
    """Keeps what the nodes are going to hold, for later diffs: manifests by digest, and contents without secrets by id."""
    kept: dict[str, bytes] = {}
    seen: set[str] = set()
    for node in nodes:
        bundle, sketch = intent.renderer.bundle(node), intent.renderer.sketch(node)
        kept[sketch.digest] = sketch.manifest
        texts = secret_texts(bundle.files)
        for file in bundle.files:
            name = content_id(file)
            if name not in seen:
                seen.add(name)
                kept[name] = bundle.blobs.get(file.sha256) or texts.get(name, b"")
        if len(kept) >= _BLOBS_AT_ONCE:
            records.keep_blobs(kept)
            kept = {}
    if kept:
        records.keep_blobs(kept)


def project_writer(intent: Intent, folder: Folder, shipped: Shipped, records: Records) -> ProjectWriter:
    """Writes the project of a batch: the same that `fleet render` writes, for its nodes only."""
    nodes = {node.name: node for node in intent.fleet.nodes}
    inputs = project_inputs(intent, shipped)
    # Batches start in threads of their own, and a Renderer serves one thread at a time.
    one_at_a_time = threading.Lock()

    def write(path: Path, names: Sequence[str]) -> None:
        those = [nodes[name] for name in names]
        # A cluster's first server may have told its CA in an earlier batch of this very rollout.
        told = ca_hashes(intent.fleet, those, records.learned)
        with one_at_a_time:
            write_project(intent, replace(inputs, ca_hashes=told), those, folder, path)

    return write


def write_project(
    intent: Intent, inputs: ProjectInputs, nodes: Sequence[Node], folder: Folder, path: Path
) -> FolderReport:
    """Makes `path` hold the project of `nodes`. Raises SpecError for every template's fault."""
    try:
        return folder.write(path, project(inputs, nodes, intent.tree.revision.commit))
    except RenderError:
        each_rendered(intent, nodes, intent.renderer.sketch)
        raise SpecError([], intent.spec.documents) from None


def project_inputs(intent: Intent, shipped: Shipped) -> ProjectInputs:
    return ProjectInputs(
        fleet=intent.fleet,
        renderer=intent.renderer,
        secrets=intent.spec.secrets_lock,
        files=intent.tree.files,
        known_hosts=intent.spec.known_hosts,
        shipped=shipped,
        absolute=lambda url: _absolute(url, intent.tree.root),
        machine_ids={name: record.machine_id for name, record in intent.records.items() if record.machine_id},
        root=intent.tree.root,
        ca_hashes=ca_hashes(intent.fleet, intent.fleet.nodes, intent.learned_of),
    )


def _absolute(url: str, root: str) -> str:
    """A `file:` URL with a path that does not depend on the working directory (RFC 8089)."""
    if not url.startswith("file:"):
        return url
    path = url.removeprefix("file://").removeprefix("file:")
    return f"file://{path if path.startswith('/') else f'{root}/{path}'}"
