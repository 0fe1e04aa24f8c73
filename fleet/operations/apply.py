"""apply: a plan carried out as a rollout, as a generator of its events."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from fleet.diff import content_id, secret_texts
from fleet.errors import RefusedError
from fleet.model.bundle import Bundle, SecretRef
from fleet.model.event import Event, NodeApplied
from fleet.model.learned import LearnedCluster
from fleet.model.node import Node
from fleet.model.plan import Plan
from fleet.model.project import Shipped
from fleet.model.rollout import RolloutNode, RolloutOrder, WaveOrder
from fleet.operations.intent import Intent
from fleet.ports.applier import ProjectWriter
from fleet.ports.engine import Engine
from fleet.ports.folder import Folder
from fleet.ports.records import Records
from fleet.ports.secrets import Secrets
from fleet.render.project import ProjectInputs, project

WAVE = "everyone"
_BLOBS_AT_ONCE = 500
_NAMED = b'"fingerprint":"'
_UNLISTED = b'"fingerprint":""'
"""How a secret that secrets.lock does not list stands in a manifest; in a text of one the quotes would be escaped."""


class ApplyOptions(msgspec.Struct, frozen=True):
    """`forks` nodes are in flight at most. `take_over` is the reason for overruling what nodes say they hold."""

    forks: int = 20
    take_over: str = ""
    allow_dirty: bool = False
    unenforced: bool = False


class Hands(msgspec.Struct, frozen=True, eq=False):
    """What carries a plan out, and in whose name."""

    engine: Engine
    records: Records
    secrets: Secrets
    controller: str


def apply(intent: Intent, plan: Plan, hands: Hands, options: ApplyOptions) -> Iterator[Event]:
    """Carries out `plan`, which was just made from `intent`. Raises RefusedError before anything is touched."""
    refuse(intent, plan, options)
    if not plan.nodes:
        return
    check_password(intent, plan, hands.secrets)
    keep_contents(intent, plan, hands.records)
    order = RolloutOrder(
        id=secrets.token_hex(4),
        fleet=plan.fleet,
        commit=plan.revision.commit,
        controller=hands.controller,
        waves=(WaveOrder(WAVE, tuple(_rollout_nodes(intent, plan))),),
        forks=options.forks,
        take_over=options.take_over,
    )
    yield from learning(intent, hands.engine.roll(order), hands.records)


def refuse(intent: Intent, plan: Plan, options: ApplyOptions) -> None:
    """Every reason not to carry out a plan that is not the plan's own: what it would need is missing."""
    if plan.refused:
        first = plan.refused[0]
        raise RefusedError(
            f"{len(plan.refused)} change(s) are refused, the first by {first.rule}: {first.subject}: {first.message}",
            first.hint or "fleet plan shows them all.",
        )
    if plan.unenforced and not options.unenforced:
        raise RefusedError(
            "the spec declares what is not enforced yet: " + "; ".join(plan.unenforced),
            "--unenforced applies the rest all the same.",
        )
    changing = {change.node for change in plan.nodes}
    nodes = [node for node in intent.fleet.nodes if node.name in changing]
    is_hosts = any(node.connection.type == "ssh" for node in nodes)
    if is_hosts and not options.allow_dirty and (plan.revision.dirty or not plan.revision.commit):
        raise RefusedError(
            f"hosts are changed from a commit, and this is {plan.revision.short}",
            "Commit first, or say --allow-dirty.",
        )
    _refuse_missing_secrets(intent, nodes)


def _refuse_missing_secrets(intent: Intent, nodes: Sequence[Node]) -> None:
    """Every secret that a changing node's bundle names and secrets.lock does not, tokens of clusters first."""
    missing: dict[str, str] = {}
    for node in nodes:
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


def check_password(intent: Intent, plan: Plan, store: Secrets) -> None:
    """Opens one vault file that a changing node needs: a wrong password is one error here, not one for each node.

    Nothing is opened, and no password asked for, where no changing node needs a secret.
    """
    nodes = {node.name: node for node in intent.fleet.nodes}
    for change in plan.nodes:
        if _NAMED in intent.renderer.sketch(nodes[change.node]).manifest:
            bundle = intent.renderer.bundle(nodes[change.node])
            names = [part.name for file in bundle.files for part in file.segments if isinstance(part, SecretRef)]
            store.read(intent.spec.secrets_lock.secrets[names[0]].file)
            return


def _unlisted(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for file in bundle.files:
        for part in file.segments:
            if isinstance(part, SecretRef) and not part.fingerprint:
                yield file.path, part.name


def keep_contents(intent: Intent, plan: Plan, records: Records) -> None:
    """Keeps what the nodes are going to hold, for later diffs: contents without secrets, by id."""
    nodes = {node.name: node for node in intent.fleet.nodes}
    kept: dict[str, bytes] = {}
    seen: set[str] = set()
    for change in plan.nodes:
        bundle = intent.renderer.bundle(nodes[change.node])
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


def learning(intent: Intent, events: Iterator[Event], records: Records) -> Iterator[Event]:
    """Passes events on, and remembers that a cluster exists once its first server came through."""
    servers = {name: cluster for cluster in intent.fleet.clusters.values() for name in cluster.servers}
    for event in events:
        cluster = servers.pop(event.node, None) if isinstance(event, NodeApplied) else None
        if cluster is not None and not cluster.existed:
            records.learn_clusters({cluster.name: LearnedCluster(existed=True, datastore=cluster.datastore)})
        yield event


def project_writer(intent: Intent, folder: Folder, shipped: Shipped) -> ProjectWriter:
    """Writes the project of a batch: the same that `fleet render` writes, for its nodes only."""
    nodes = {node.name: node for node in intent.fleet.nodes}
    inputs = project_inputs(intent, shipped)
    # Batches start in threads of their own, and a Renderer serves one thread at a time.
    one_at_a_time = threading.Lock()

    def write(path: Path, names: Sequence[str]) -> None:
        with one_at_a_time:
            folder.write(path, project(inputs, [nodes[name] for name in names], intent.tree.revision.commit))

    return write


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
    )


def _absolute(url: str, root: str) -> str:
    """A `file:` URL with a path that does not depend on the working directory (RFC 8089)."""
    if not url.startswith("file:"):
        return url
    path = url.removeprefix("file://").removeprefix("file:")
    return f"file://{path if path.startswith('/') else f'{root}/{path}'}"


def _rollout_nodes(intent: Intent, plan: Plan) -> Iterator[RolloutNode]:
    ranks = {name: at for cluster in intent.fleet.clusters.values() for at, name in enumerate(cluster.servers)}
    for change in plan.nodes:
        yield RolloutNode(
            name=change.node,
            site=change.site,
            cluster=change.cluster,
            role=change.role,  # type: ignore[arg-type]  # NodeChange takes it from a Node
            rank=ranks.get(change.node, 0),
            base=change.base,
            wanted=change.wanted,
        )
