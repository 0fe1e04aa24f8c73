"""node list, node show: nodes as they were meant, beside what their records say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from fleet.load import to_problems
from fleet.model.event import NodeApplied, NodeBlocked, NodeFailed, NodeRolledBack, NodeUnhealthy, NodeUnreachable
from fleet.model.node import Node
from fleet.model.plan import Scope
from fleet.model.problem import Mistake
from fleet.model.status import NodeDetail, NodeRow, NodeState, OriginRow
from fleet.operations.intent import Intent, each_rendered
from fleet.ports.journal import Journal
from fleet.resolve import in_scope, origins


def rows(intent: Intent, scope: Scope) -> tuple[NodeRow, ...]:
    nodes = in_scope(intent.fleet, scope)
    digests = each_rendered(intent, nodes, lambda node: intent.renderer.sketch(node).digest)
    return tuple(_row(intent, node, digest) for node, digest in zip(nodes, digests, strict=True))


def detail(intent: Intent, name: str, *, origin: bool, log: Sequence[str] = ()) -> NodeDetail:
    """One node, whole. Raises UsageError for a name that the spec does not have."""
    (node,) = in_scope(intent.fleet, Scope(nodes=(name,)))
    (bundle,) = each_rendered(intent, [node], intent.renderer.bundle)
    return NodeDetail(
        row=_row(intent, node, bundle.digest),
        labels=node.labels,
        settings=_settings(node),
        files=tuple(sorted((*(file.path for file in bundle.files), *(each.path for each in bundle.artifacts)))),
        record=intent.records.get(name),
        origins=_origins(intent, node) if origin else (),
        log=tuple(log),
    )


def _row(intent: Intent, node: Node, wanted: str) -> NodeRow:
    record = intent.records.get(node.name)
    held = intent.held(node.name)
    state: NodeState = "never" if not held else "current" if intent.is_done(node.name, wanted) else "behind"
    return NodeRow(
        name=node.name,
        site=node.site,
        role=node.role,
        cluster=node.cluster,
        address=node.addresses[0] if node.addresses else "",
        arch=node.arch,
        k3s=node.settings.k3s.version,
        state=state,
        commit="" if record is None else record.commit,
        at=0.0 if record is None else record.at,
    )


def _settings(node: Node) -> dict[str, Any]:
    """The node's total settings as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(node.settings)
    plain["connection"] = msgspec.to_builtins(node.connection)
    return plain


def _origins(intent: Intent, node: Node) -> tuple[OriginRow, ...]:
    found = origins(intent.spec, intent.learned, node)
    # `to_problems` sorts by place: the path, as the message, says which is which.
    placed = {
        problem.message: f"{problem.file}:{problem.line}"
        for problem in to_problems([Mistake(origin.place, origin.path) for origin in found], intent.tree.files)
    }
    return tuple(OriginRow(origin.path, origin.value, placed[origin.path]) for origin in found)


def history(journal: Journal, name: str) -> tuple[str, ...]:
    """What rollouts did to a node, oldest first, one line each."""
    lines = []
    for summary in reversed(journal.rollouts()):
        for entry in journal.picked(summary.id, node=name):
            event = entry.event
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry.at))
            if isinstance(event, NodeApplied) and event.node == name:
                lines.append(f"{at}Z  {summary.id}  applied, {event.changed} changed")
            elif isinstance(event, NodeRolledBack) and event.node == name:
                lines.append(f"{at}Z  {summary.id}  went back, {event.changed} changed")
            elif isinstance(event, NodeFailed | NodeUnhealthy | NodeUnreachable | NodeBlocked) and event.node == name:
                word = type(event).__name__.removeprefix("Node").lower()
                lines.append(f"{at}Z  {summary.id}  {word}: {event.reason}")
    return tuple(lines)
