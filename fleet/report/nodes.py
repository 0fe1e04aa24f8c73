"""Nodes as a table: `fleet node list`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.report.line import Line
from fleet.report.table import Column, table_lines

_COLUMNS = (
    Column("NODE", is_name=True),
    Column("SITE", is_name=True),
    Column("ROLE"),
    Column("STATE"),
    Column("K3S"),
    Column("COMMIT"),
    Column("ADDRESS"),
    Column("CLUSTER"),
)


class NodeRow(msgspec.Struct, frozen=True):
    """One node. `state` is a word (applied, differs, never); `commit` is empty where nothing was ever applied."""

    node: str
    site: str
    cluster: str
    role: str
    address: str
    k3s_version: str
    state: str
    commit: str = ""


def node_lines(rows: Sequence[NodeRow], width: int = 0) -> tuple[Line, ...]:
    """A title line and one line a node, in the order given."""
    return table_lines(_COLUMNS, [_cells(row) for row in rows], width)


def _cells(row: NodeRow) -> tuple[str, ...]:
    cluster = "" if row.cluster == row.site else row.cluster
    return row.node, row.site, row.role, row.state, row.k3s_version, row.commit[:7], row.address, cluster
