"""status --certificates: when what K3s signed on each node runs out, as nodes last told."""

from __future__ import annotations

from collections.abc import Collection

from fleet.k3s import certificates as k3s
from fleet.model.record import Record
from fleet.model.status import CertificateRow, Certificates


def certificates(records: Collection[Record], now: float) -> Certificates:
    """`now` is seconds since 1970."""
    told = []
    for record in records:
        leaf, ca = record.learned.get(k3s.LEAF_END, ""), record.learned.get(k3s.CA_END, "")
        if leaf or ca:
            is_leaf_due = k3s.is_due(leaf, now, k3s.RENEWED_WITHIN_DAYS)
            told.append(CertificateRow(record.node, leaf, ca, is_leaf_due, k3s.is_due(ca, now, k3s.CA_NOTICE_DAYS)))
    due = [row for row in told if row.is_leaf_due or row.is_ca_due]
    return Certificates(
        told=len(told),
        silent=len(records) - len(told),
        rows=tuple(sorted(due, key=_first_end)),
        first_leaf=min((row.leaf_end for row in told if row.leaf_end), default=""),
        first_ca=min((row.ca_end for row in told if row.ca_end), default=""),
    )


def _first_end(row: CertificateRow) -> tuple[str, str]:
    ends = [end for end, is_due in ((row.leaf_end, row.is_leaf_due), (row.ca_end, row.is_ca_due)) if is_due]
    return min(ends), row.node
