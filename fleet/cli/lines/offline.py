"""`fleet status --offline` as lines: by site, those that went away last first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fleet.formats.words import count, moment, some
from fleet.model.status import Offline, OfflineNode
from fleet.model.trouble import Trouble
from fleet.report import Column, Line, by_reason, clean, table_lines

SHOWN = 20
_SITES = (
    Column("SITE", is_name=True),
    Column("NODES"),
    Column("SINCE"),
    Column("LAST ANSWER"),
    Column("SUCH AS"),
    Column("WHY"),
)
_NODES = (Column("NODE", is_name=True), Column("SITE"), Column("SINCE"), Column("LAST ANSWER"), Column("WHY"))


def offline_lines(found: Offline, width: int, again: Callable[[str], str], *, with_nodes: bool) -> Iterator[Line]:
    if not found.nodes:
        yield Line("no node that was asked is without an answer", "answer")
        yield Line("")
        yield Line(f"{again('plan --refresh')} asks every node", "next")
        return
    sites = len({each.site for each in found.nodes})
    where = f"{count(len(found.nodes), 'node')} at {count(sites, 'site')}"
    yield Line(f"{where} did not answer when {'it was' if len(found.nodes) == 1 else 'they were'} last asked", "answer")
    yield Line("")
    if with_nodes:
        yield from table_lines(_NODES, [_node(each) for each in found.nodes], width)
    else:
        groups: dict[tuple[str, str], list[OfflineNode]] = {}
        for each in found.nodes:
            groups.setdefault((each.site, moment(each.since)), []).append(each)
        rows = list(groups.values())
        yield from table_lines(_SITES, [_site(those) for those in rows[:SHOWN]], width)
        if rest := sum(map(len, rows[SHOWN:])):
            yield Line(f"and {count(rest, 'more node')}: -v and --json name every node")
    yield Line("")
    yield Line(
        clean(f"{again('plan --refresh')} asks again; {again(f'node log {found.nodes[0].node}')} shows one"), "next"
    )


def _site(those: Sequence[OfflineNode]) -> tuple[str, ...]:
    first = those[0]
    reasons = by_reason(Trouble("unreachable", each.node, each.reason) for each in those)
    also = f" and {count(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    answered = max(each.answered for each in those)
    return (
        first.site,
        f"{len(those):,}",
        moment(first.since),
        _answered(answered),
        some([each.node for each in those]),
        reasons[0].reason + also,
    )


def _node(each: OfflineNode) -> tuple[str, ...]:
    return each.node, each.site, moment(each.since), _answered(each.answered), each.reason


def _answered(at: float) -> str:
    return moment(at) if at else "never"
