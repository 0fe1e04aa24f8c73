"""`fleet rollout show --nodes` as lines: what came of each node, and how many there are of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from fleet.formats.words import count
from fleet.model.node_result import RESULTS, NodeResults
from fleet.report import Column, Line, clean, table_lines

_COLUMNS = (Column("NODE", is_name=True), *map(Column, ("WAVE", "RESULT", "WHEN (UTC)", "BY", "REASON")))


def result_lines(found: NodeResults, again: Callable[[str], str], width: int) -> Iterator[Line]:
    rows = [
        (
            each.node,
            each.wave,
            each.result,
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(each.at)) if each.at else "-",
            each.by or "-",
            each.reason or "-",
        )
        for each in found.nodes
    ]
    if rows:
        yield from table_lines(_COLUMNS, rows, width)
    told = ", ".join(f"{found.counts[result]:,} {result}" for result in RESULTS if result in found.counts)
    yield Line(clean(f"{count(sum(found.counts.values()), 'node')}: {told}"), "answer")
    asked = next((each.node for each in found.nodes if each.result in ("failed", "rolled-back") and each.reason), "")
    if asked:
        yield Line(clean(f"{again(f'node log {asked} --output')} says more of one"), "next")
