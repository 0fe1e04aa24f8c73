"""plan: what would change on which nodes, and what the rules say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fleet.check import check
from fleet.diff import changes, content_id, edits, groups, secret_texts
from fleet.estimate import confirmed, radius
from fleet.k3s.paths import AGENT_TOKEN, SERVER_TOKEN
from fleet.load import to_problems
from fleet.model.bundle import Bundle, BundleFacts, SecretRef
from fleet.model.change import NodeChange
from fleet.model.check import CheckInput, Missing
from fleet.model.fleet import Walk
from fleet.model.manifest import Manifest, read_manifest
from fleet.model.node import Node
from fleet.model.plan import Plan, Scope
from fleet.model.problem import Mistake, Place
from fleet.model.verdict import Verdict
from fleet.operations.draining import moves
from fleet.operations.intent import Intent, check_locked, each_rendered
from fleet.operations.ordering import in_waves
from fleet.operations.pace import Pace
from fleet.operations.upkeep import Upkeep, UpkeepWish, upkeep
from fleet.ports.records import Records
from fleet.render import Sketch
from fleet.resolve import in_scope, origins

_NO_WISH = UpkeepWish()
_NONE: Missing = {}
MAX_PLACED = 200
"""Verdicts that get their file and line: more than anybody reads, and each may cost a look at its file."""


def plan(  # noqa: PLR0913 - the circumstances of one plan
    intent: Intent, records: Records, scope: Scope, wish: UpkeepWish = _NO_WISH, gone: Missing = _NONE, *,
    pace: Pace | None = None,
) -> Plan:  # fmt: skip
    """`gone` and `pace` as in `in_waves`. Raises SpecError for a template's fault, UsageError for what fleet.lock lacks."""
    check_locked(intent)
    nodes = in_scope(intent.fleet, scope)
    adopting = tuple(node.name for node in nodes if intent.is_waiting(node.name))
    due = upkeep(intent, nodes, wish)
    moved = _moved(intent, nodes, due)
    removed = _removed(intent) if scope.is_everything else ()
    held = _held(intent, records, {node.name for node, _ in moved} | _concerned(intent, moved) | {*removed})
    bundles: dict[str, Bundle] = {}
    changing = tuple(due.beside(_node_change(intent, node, sketch, held, bundles)) for node, sketch in moved)
    looked = _to_check(intent, nodes, changing, held, removed)
    verdicts = check(msgspec.structs.replace(looked, at=wish.now, missing=gone))
    made = Plan(
        fleet=intent.fleet.name,
        revision=intent.tree.revision,
        tree_digest=intent.spec.digest,
        scope=scope,
        total=len(nodes),
        staying=len(nodes) - len(moved) - len(adopting),
        removed=removed,
        nodes=changing,
        groups=groups(changing, _Texts(records, held, bundles)),
        verdicts=_placed(intent, verdicts),
        radius=radius(intent.fleet, changing, intent.lock, {}, verdicts),
        reported=sum(1 for node in nodes if intent.held(node.name)),
        unenforced=intent.fleet.unenforced,
        pending=intent.fleet.pending,
        sandbox=intent.sandbox,
        adopting=adopting,
    )
    return in_waves(intent, _with_sequel(intent, made, nodes, due), gone, wish.now, pace)


def _with_sequel(intent: Intent, plan: Plan, nodes: Sequence[Node], due: Upkeep) -> Plan:
    """What the change brings with it, what comes after it, and what does not come."""
    return msgspec.structs.replace(
        plan,
        rebooting_later=due.later,
        next_window=due.opens,
        draining=_draining(intent, plan.nodes),
        confirming=confirmed(intent.fleet, plan.nodes),
        walking=_walking(intent, plan.nodes),
        held_back=_held_back(intent, nodes),
    )


def _to_check(
    intent: Intent,
    nodes: Sequence[Node],
    changing: Sequence[NodeChange],
    held: Mapping[str, Manifest | None],
    removed: Sequence[str],
) -> CheckInput:
    return CheckInput(
        fleet=intent.fleet,
        changes=tuple(changing),
        now={name: manifest.facts for name, manifest in held.items() if manifest is not None},
        wanted={node.name: intent.renderer.facts(node) for node in nodes},
        records=intent.records,
        lock=intent.lock,
        tokens={name: _tokens(manifest) for name, manifest in held.items() if manifest is not None},
        fingerprints={name: each.fingerprint for name, each in intent.spec.secrets_lock.secrets.items()},
        removed=tuple(removed),
    )


def _walking(intent: Intent, changing: Sequence[NodeChange]) -> tuple[Walk, ...]:
    touched = {change.cluster for change in changing}
    return tuple(walk for walk in intent.fleet.walking if walk.cluster in touched)


def _draining(intent: Intent, changing: Sequence[NodeChange]) -> tuple[str, ...]:
    drained = {name for name, move in moves(intent).items() if move.drains}
    return tuple(change.node for change in changing if change.node in drained)


def _tokens(manifest: Manifest) -> dict[str, str]:
    files = (file for file in manifest.files if file.path in (SERVER_TOKEN, AGENT_TOKEN))
    segments = (part for file in files for part in file.segments)
    return {part.name: part.fingerprint for part in segments if isinstance(part, SecretRef)}


def _moved(intent: Intent, nodes: Sequence[Node], due: Upkeep) -> list[tuple[Node, Sketch]]:
    looked = zip(nodes, each_rendered(intent, nodes, intent.renderer.sketch), strict=True)
    return [each for each in looked if each[0].name in due.changes or _moves(intent, each[1])]


def _moves(intent: Intent, sketch: Sketch) -> bool:
    name, wanted = sketch.node, sketch.digest
    return not (intent.is_done(name, wanted) or intent.is_waiting(name) or intent.held_back_by(name, wanted))


def _held_back(intent: Intent, nodes: Sequence[Node]) -> dict[str, tuple[str, ...]]:
    those = [node for node in nodes if node.name in intent.held_back]
    sketches = each_rendered(intent, those, intent.renderer.sketch)
    found: dict[str, list[str]] = {}
    for sketch in sketches:
        if rollout := intent.held_back_by(sketch.node, sketch.digest):
            found.setdefault(rollout, []).append(sketch.node)
    return {rollout: tuple(nodes) for rollout, nodes in found.items()}


def _concerned(intent: Intent, moved: Sequence[tuple[Node, Sketch]]) -> set[str]:
    """All members of the clusters in which a node changes or joins, also those outside the plan's scope."""
    touched = {node.cluster for node, _ in moved if node.cluster}
    clusters = [intent.fleet.clusters[name] for name in touched]
    return {name for cluster in clusters for name in (*cluster.servers, *cluster.agents)}


def _held(intent: Intent, records: Records, names: Iterable[str]) -> Mapping[str, Manifest | None]:
    """What those nodes hold that have a record; None where the manifest is not to be had."""
    known = {name: digest for name in names if (digest := intent.held(name))}
    texts = records.manifests(set(known.values()))
    read: dict[str, Manifest | None] = {}
    for digest, text in texts.items():
        try:
            read[digest] = read_manifest(text)
        except (msgspec.MsgspecError, ValueError):
            read[digest] = None
    return {name: read.get(digest) for name, digest in known.items()}


def _node_change(
    intent: Intent, node: Node, sketch: Sketch, held: Mapping[str, Manifest | None], bundles: dict[str, Bundle]
) -> NodeChange:
    digest = intent.held(node.name)
    if not digest:
        found = changes(None, _first(intent.renderer.facts(node)))
    elif not _moves(intent, sketch):
        found = ()
    else:
        bundle = bundles[node.name] = intent.renderer.bundle(node)
        found = changes(held.get(node.name), bundle, has_record=True)
        found += edits(intent.records[node.name].differs, bundle, {change.subject for change in found})
    return NodeChange(
        node=node.name,
        site=node.site,
        cluster=node.cluster,
        role=node.role,
        base=digest,
        wanted=sketch.digest,
        changes=found,
    )


def _first(facts: BundleFacts) -> Manifest:
    """A node that never reported changes in everything: its facts are all that the plan says of it."""
    return Manifest(facts=facts)


def _removed(intent: Intent) -> tuple[str, ...]:
    """Nodes that have a record and left the spec: orphans. Shown, never touched."""
    named = {node.name for node in intent.fleet.nodes}
    return tuple(sorted(name for name in intent.records if name not in named and intent.held(name)))


def _placed(intent: Intent, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts with file:line:col: of the key that they are about, else of the node or cluster."""
    placed = []
    for verdict in verdicts[:MAX_PLACED]:
        if verdict.place is None:
            placed.append(verdict)
            continue
        place = _key_place(intent, verdict) if verdict.key else verdict.place
        (problem,) = to_problems([Mistake(place, verdict.message)], intent.tree.files)
        where = f"{problem.file}:{problem.line}:{problem.column}"
        placed.append(msgspec.structs.replace(verdict, where=where))
    return (*placed, *verdicts[MAX_PLACED:])


def _key_place(intent: Intent, verdict: Verdict) -> Place:
    """Where the key of a verdict is written, for the node that it points at; that node's place where nobody wrote it."""
    path = f"k3s.config.{verdict.key}"
    for node in intent.fleet.nodes:
        if node.place == verdict.place:
            for origin in origins(intent.spec, intent.learned, node):
                if origin.path == path or origin.path.startswith(f"{path}["):
                    return origin.place
            break
    return verdict.place or intent.spec.fleet.place()


class _Texts:
    """Contents by id: what the bundles want, and what records kept of what nodes hold."""

    def __init__(self, records: Records, held: Mapping[str, Manifest | None], bundles: Mapping[str, Bundle]) -> None:
        self._records = records
        self._known: dict[str, bytes] = {}
        for bundle in bundles.values():
            self._known |= bundle.blobs
            self._known |= secret_texts(bundle.files)
        old = {content_id(file) for manifest in held.values() if manifest is not None for file in manifest.files}
        self._known |= records.blobs(old - self._known.keys())

    def __call__(self, name: str) -> bytes | None:
        return self._known.get(name)
