"""status --offline: nodes that did not answer the last time that a look or a rollout asked them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.model.event import NodeUnreachable
from fleet.model.status import Offline, OfflineNode
from fleet.ports.journal import Journal
from fleet.ports.records import Records


def offline(records: Records, journal: Journal) -> Offline:
    """Since when: the first question that stayed without an answer since the last one that did not."""
    contacts = records.contacts()
    found: dict[str, OfflineNode] = {}
    for name, it in records.silent().items():
        found[name] = OfflineNode(name, it.site, it.since, it.at, contacts.get(name, 0.0), it.reason)
    # Only of those: a node that came back, or that was given back, is not away.
    if waited_for := records.unanswered().keys():
        for each in _unreached(journal, contacts):
            if each.node in waited_for:
                found[each.node] = _both(found.get(each.node), each)
    return Offline(tuple(sorted(found.values(), key=lambda each: (-each.since, each.site, each.node))))


def _unreached(journal: Journal, contacts: Mapping[str, float]) -> Iterator[OfflineNode]:
    """What rollouts could not reach, and has not answered since."""
    for summary in journal.rollouts():
        for entry in journal.picked(summary.id, (NodeUnreachable,)):
            event = entry.event
            if isinstance(event, NodeUnreachable) and entry.at >= (answered := contacts.get(event.node, 0.0)):
                yield OfflineNode(event.node, event.site, entry.at, entry.at, answered, event.reason, summary.id)


def _both(one: OfflineNode | None, other: OfflineNode) -> OfflineNode:
    if one is None:
        return other
    newest = one if one.at >= other.at else other
    return OfflineNode(
        one.node,
        newest.site or one.site or other.site,
        min(one.since, other.since),
        newest.at,
        newest.answered,
        newest.reason,
        newest.rollout,
    )
