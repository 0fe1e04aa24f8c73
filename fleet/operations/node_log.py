"""node log: what rollouts did to one node, from the journal and from what was printed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from fleet.model import event as ev
from fleet.model.event import Event
from fleet.model.node_log import NodeLog, NodeRun, RunOutcome
from fleet.model.rollout import RolloutOrder, RolloutSummary
from fleet.ports.journal import Entry, Journal
from fleet.ports.outputs import Outputs

_OUTCOMES: dict[type[Event], RunOutcome] = {
    ev.BatchRequeued: "unknown",
    ev.NodeApplied: "applied",
    ev.NodeFailed: "failed",
    ev.NodeUnhealthy: "unhealthy",
    ev.NodeUnreachable: "unreachable",
    ev.NodeBlocked: "blocked",
    ev.NodeRolledBack: "rolled-back",
    ev.NodeNotRolledBack: "not-rolled-back",
}
_KINDS = (ev.BatchStarted, ev.NodesRollingBack, *_OUTCOMES)
_HEAD = 4
"""A rollout says within so many events that it rolls another one back."""


def rollbacks(journal: Journal) -> Mapping[str, str]:
    """Rollouts that rolled another one back, newest first, each with that one."""
    found = {}
    for summary in journal.rollouts():
        for entry in journal.picked(summary.id, (ev.RollbackBegun,), until=_HEAD):
            if isinstance(entry.event, ev.RollbackBegun):
                found[summary.id] = entry.event.undoes
    return found


def undone_by(undone: Mapping[str, str], rollout_id: str) -> str:
    """The newest rollout that rolled this one back, of what `rollbacks` tells; empty for none."""
    return next((by for by, what in undone.items() if what == rollout_id), "")


def node_log(journal: Journal, outputs: Outputs, name: str, *, last: int = 0, with_output: bool = False) -> NodeLog:
    """The `last` runs, 0 for all, the newest last."""
    newest_first: list[NodeRun] = []
    undone = {by: what for by, what in rollbacks(journal).items() if _goes_back(journal.order(by), name)}
    rollouts = list(journal.rollouts())
    while rollouts and not (last and len(newest_first) >= last):
        summary = rollouts.pop(0)
        newest_first += reversed(list(_runs(summary, journal.picked(summary.id, _KINDS, name), name, undone)))
    shown = newest_first[: last or None]
    if with_output:
        shown = [replace(run, output=outputs.of(run.batch, name)) if run.batch else run for run in shown]
    return NodeLog(name, tuple(reversed(shown)), bool(rollouts) or len(shown) < len(newest_first), outputs.kept)


def _goes_back(order: RolloutOrder, name: str) -> bool:
    """A rollback may be of some nodes only."""
    return any(node.name == name for node in order.nodes)


def _runs(summary: RolloutSummary, entries: Iterable[Entry], name: str, undone: Mapping[str, str]) -> Iterator[NodeRun]:
    began: dict[str, float] = {}
    ids = {
        "commit": summary.commit,
        "undoes": undone.get(summary.id, ""),
        "undone_by": undone_by(undone, summary.id),
    }
    for entry in entries:
        event = entry.event
        if isinstance(event, ev.BatchStarted | ev.NodesRollingBack) and name in event.nodes:
            began[event.batch_id] = entry.at
        elif (run := _ended(entry, summary.id, name)) is not None:
            yield replace(run, began=began.pop(run.batch, 0.0), **ids)
    for batch, at in began.items():
        yield replace(NodeRun(0.0, summary.id, "running", batch=batch, began=at), **ids)


def _ended(entry: Entry, rollout: str, name: str) -> NodeRun | None:
    """None where the event is about another node, and only names this one."""
    event = entry.event
    if isinstance(event, ev.BatchRequeued):
        is_of_it = name in event.nodes
    else:
        is_of_it = isinstance(event, ev.NodeEvent) and event.node == name
    if not is_of_it:
        return None
    batch, reason = (getattr(event, field, "") for field in ("batch_id", "reason"))  # not each of them has both
    run = NodeRun(entry.at, rollout, _OUTCOMES[type(event)], batch=batch, reason=reason)
    if isinstance(event, ev.NodeFailed | ev.NodeApplied | ev.NodeRolledBack):
        run = replace(run, changed=event.changed, warnings=event.warnings)
    if isinstance(event, ev.NodeRolledBack):
        run = replace(run, restarted=event.restarted)
    if isinstance(event, ev.NodeApplied):
        run = replace(run, restarted=event.restarted, updated=event.updated, rebooted=event.rebooted)
    return run
