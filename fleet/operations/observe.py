"""refresh: the nodes' own records are the truth, and the controller's copy is made anew from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from fleet.model.batch import Observation
from fleet.model.record import Record
from fleet.ports.applier import Observer
from fleet.ports.records import Records

_AT_ONCE = 200


def refresh(nodes: Sequence[str], fleet: str, observer: Observer, records: Records) -> Iterator[Observation]:
    """Looks at each node and keeps what it says and what of it is not so; one that cannot be reached keeps what was
    known of it.
    """
    known: list[Record] = []
    gone: list[str] = []
    for observation in observer.observe(nodes):
        if not observation.unreachable:
            if observation.record is not None:
                known.append(replace(observation.record, differs=observation.differs))
            elif observation.arch or observation.machine_id:
                known.append(Record(observation.node, fleet, observation.machine_id, digest="", arch=observation.arch))
            else:
                gone.append(observation.node)
        yield observation
        if len(known) >= _AT_ONCE:
            records.save(known)
            known = []
    records.save(known)
    records.forget(gone)
