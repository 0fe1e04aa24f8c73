"""status: from records and the journal alone, so that it answers at once however large the spec is."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.model.record import Record
from fleet.model.status import CommitRow, RolloutRow, Status
from fleet.model.tree import Revision
from fleet.operations.certificates import certificates
from fleet.ports.records import Records

_SAMPLE = 3


def status(records: Records, rollouts: Sequence[RolloutRow], revision: Revision, sandbox: str, now: float) -> Status:
    """`now` is seconds since 1970."""
    by_commit: dict[str, list[Record]] = {}
    known = records.all()
    for record in known.values():
        if record.digest:
            by_commit.setdefault(record.commit, []).append(record)
    rows = [_row(commit, held) for commit, held in by_commit.items()]
    return Status(
        revision=revision,
        reported=sum(row.nodes for row in rows),
        commits=tuple(sorted(rows, key=lambda row: (-row.last_at, row.commit))),
        rollouts=tuple(rollouts),
        sandbox=sandbox,
        adopting=tuple(sorted(record.node for record in known.values() if record.waiting)),
        reboots=tuple(sorted(record.node for record in known.values() if record.updates and record.updates.reboot)),
        certificates=certificates(known.values(), now),
    )


def _row(commit: str, held: list[Record]) -> CommitRow:
    return CommitRow(
        commit=commit,
        nodes=len(held),
        first_at=min(record.at for record in held),
        last_at=max(record.at for record in held),
        sample=tuple(sorted(record.node for record in held)[:_SAMPLE]),
    )
