"""Looks at nodes: `refresh` makes the controller's copy of their records anew, `learn` asks what only they can tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from fleet.model.batch import Observation
from fleet.model.check import How
from fleet.model.record import Record, Silence
from fleet.ports.applier import Observer
from fleet.ports.records import Records

_AT_ONCE = 200


def refresh(
    nodes: Sequence[str], fleet: str, observer: Observer, records: Records, sites: Mapping[str, str] | None = None
) -> Iterator[Observation]:
    """Looks at each node and keeps what it says and what of it is not so; one that cannot be reached keeps what was
    known of it, and it is kept that it was asked. `sites`: where each node is.
    """
    known: list[Record] = []
    silent: list[Silence] = []
    gone: list[str] = []
    for observation in observer.observe(nodes):
        if not observation.unreachable:
            if observation.record is not None:
                known.append(replace(observation.record, differs=observation.differs))
            elif observation.arch or observation.machine_id:
                known.append(Record(observation.node, fleet, observation.machine_id, digest="", arch=observation.arch))
            else:
                gone.append(observation.node)
        else:
            site = (sites or {}).get(observation.node, "")
            silent.append(Silence(observation.node, site, observation.unreachable))
        yield observation
        if len(known) >= _AT_ONCE:
            records.save(known)
            known = []
    records.save(known)
    records.forget(gone)
    if silent:
        records.note_silent(silent)


def noted(
    observations: Iterable[Observation], known: Mapping[str, Record], missing: dict[str, How]
) -> Iterator[Observation]:
    """The same observations. `missing` has then who did not answer, and who has lost what it held as `known` says."""
    for observation in observations:
        record = known.get(observation.node)
        missing.pop(observation.node, None)
        if observation.unreachable:
            missing[observation.node] = "silent"
        elif observation.record is None and record is not None and record.last_digest:
            missing[observation.node] = "emptied"
        yield observation


def learn(nodes: Sequence[str], fleet: str, observer: Observer, records: Records) -> Iterator[Observation]:
    """Keeps what only a node can tell (architecture, machine-id), and nothing of what it holds.

    What it was expected to hold stays expected: a node that another controller brought forward refuses, unseen changes
    are never taken for granted.
    """
    known = dict(records.all())
    learned: list[Record] = []
    for observation in observer.observe(nodes):
        if observation.arch or observation.machine_id:
            before = known.get(observation.node) or Record(observation.node, fleet, machine_id="", digest="")
            machine_id = before.machine_id or observation.machine_id
            learned.append(replace(before, machine_id=machine_id, arch=observation.arch or before.arch))
        yield observation
    sent = records.unanswered()
    records.save(learned)
    for record in learned:  # what it holds was not asked
        for digest in sent.get(record.node, ()):
            records.note_unanswered({record.node: digest})
