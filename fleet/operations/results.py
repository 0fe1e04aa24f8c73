"""rollout show --nodes: what came of each node of a rollout, its rollbacks included, from the journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from msgspec.structs import replace

from fleet.model import event as ev
from fleet.model.event import STATUS_AFTER
from fleet.model.node_result import NodeResult, NodeResults, Result
from fleet.model.rollout import ENDED, RolloutOrder
from fleet.operations.node_log import rollbacks
from fleet.ports.journal import Entry, Journal

_NODE_ENDS = (
    ev.NodeApplied, ev.NodeFailed, ev.NodeUnhealthy, ev.NodeUnreachable, ev.NodeBlocked, ev.NodeRolledBack
)  # fmt: skip
_ROLLOUT_ENDS = tuple(kind for kind, status in STATUS_AFTER.items() if status in ENDED)
_KINDS = (ev.BatchStarted, ev.BatchRequeued, *_NODE_ENDS, *_ROLLOUT_ENDS)


def results(journal: Journal, rollout_id: str, only: Collection[Result] = ()) -> NodeResults:
    """Of nodes with one of the results `only`, of all where there are none. Raises UsageError for a rollout that is not
    known.
    """
    order = journal.order(rollout_id)
    found = {node.name: NodeResult(node.name, wave.name, "waiting") for wave in order.waves for node in wave.nodes}
    for entry in journal.picked(rollout_id, _KINDS):
        found |= {each.node: each for each in _told(entry, order, found)}
    for by in (by for by, undone in rollbacks(journal).items() if undone == rollout_id):
        found |= {each.node: each for each in _taken_back(journal, by, found)}
    told = found.values()
    counts: Counter[Result] = Counter(each.result for each in told)
    return NodeResults(rollout_id, dict(counts), tuple(each for each in told if not only or each.result in only))


def _told(entry: Entry, order: RolloutOrder, found: Mapping[str, NodeResult]) -> Iterator[NodeResult]:
    """What is known anew of which nodes."""
    match event := entry.event:
        case ev.BatchStarted():
            yield from (replace(found[name], result="running", batch=event.batch_id) for name in event.nodes)
        case ev.BatchRequeued():
            requeued = (found[name] for name in event.nodes if found[name].result == "running")
            yield from (replace(each, result="waiting", batch="") for each in requeued)
        case ev.NodeApplied():
            yield replace(found[event.node], result="succeeded", at=entry.at)
        case ev.NodeFailed() | ev.NodeUnhealthy():
            yield replace(found[event.node], result="failed", reason=event.reason, at=entry.at)
        case ev.NodeRolledBack():
            yield replace(found[event.node], result="rolled-back", by=order.id, at=entry.at)
        case ev.NodeUnreachable():
            result: Result = "deferred" if order.offline == "defer" else "failed"
            yield replace(found[event.node], result=result, reason=event.reason, at=entry.at)
        case ev.NodeBlocked():
            yield replace(found[event.node], result="skipped", reason=event.reason, at=entry.at)
        case ev.RolloutSuperseded():
            yield from _left(found, "superseded", f"left to rollout {event.by}", entry.at, event.by)
        case _:
            status = STATUS_AFTER[type(event)]
            yield from _left(found, "skipped", f"the rollout was {status} before its turn", entry.at)


def _left(
    found: Mapping[str, NodeResult], result: Result, reason: str, at: float, by: str = ""
) -> Iterator[NodeResult]:
    for each in found.values():
        if each.result == "waiting":
            yield replace(each, result=result, reason=reason, at=at, by=by)


def _taken_back(journal: Journal, by: str, found: Mapping[str, NodeResult]) -> Iterator[NodeResult]:
    """Nodes that rollout `by` brought back to what they held before."""
    for entry in journal.picked(by, (ev.NodeApplied,)):
        if isinstance(entry.event, ev.NodeApplied) and entry.event.node in found:
            yield replace(found[entry.event.node], result="rolled-back", by=by, at=entry.at)
