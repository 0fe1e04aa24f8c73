"""`fleet status --certificates` as lines: what runs out, the first one first."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.formats.words import count
from fleet.model.status import CertificateRow, Certificates
from fleet.report import Column, Line, clean, table_lines

SHOWN = 20
_COLUMNS = (Column("NODE", is_name=True), Column("LEAF ENDS"), Column("CA ENDS"))


def certificate_lines(found: Certificates, width: int) -> Iterator[Line]:
    if not found.told:
        yield Line("no node has told of certificates of K3s", "answer")
        yield Line("")
        yield Line("fleet plan --refresh asks them", "next")
        return
    leaves = sum(row.is_leaf_due for row in found.rows)
    authorities = sum(row.is_ca_due for row in found.rows)
    yield Line(
        f"{count(found.told, 'node')} told of certificates of K3s: on {leaves:,} a leaf ends within 120 days, "
        f"on {authorities:,} a CA within a year",
        "answer",
    )
    if found.rows:
        yield Line("")
        yield from table_lines(_COLUMNS, [_cells(row) for row in found.rows[:SHOWN]], width)
        if len(found.rows) > SHOWN:
            yield Line(f"and {len(found.rows) - SHOWN:,} more: --json shows all")
    else:
        yield Line(clean(f"the first leaf ends on {found.first_leaf[:10]}, the first CA on {found.first_ca[:10]}"))
    if found.silent:
        yield Line("")
        yield Line(f"{count(found.silent, 'node')} told of none: no K3s, or not asked since (fleet plan --refresh)")
    if leaves:
        yield Line("")
        yield Line(
            "a leaf is made anew when K3s starts within 120 days of its end: restart it, a server at a time", "next"
        )
    if authorities:
        yield Line("no restart renews a CA: `k3s certificate rotate-ca` on a server does", "next")


def _cells(row: CertificateRow) -> tuple[str, ...]:
    leaf, ca = (_shown(end, is_due) for end, is_due in ((row.leaf_end, row.is_leaf_due), (row.ca_end, row.is_ca_due)))
    return row.node, leaf, ca


def _shown(end: str, is_due: bool) -> str:
    return f"{end[:10] or 'not told'}{' !' if is_due else ''}"
