"""Lines of `fleet node trust`, `adopt`, `retire` and `replace`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.diff.lines import diff_lines, printable
from fleet.formats.words import count, some
from fleet.model.drain import DrainEvent, NodeDrained, PodGone, PodHeld
from fleet.model.host import HostEvent, NodeAdopted, NodeReplaced, NodeRetired, NodeUntouched, Waiting
from fleet.model.host_key import TrustRow
from fleet.report import Column, Line, LineKind, clean, table_lines


def key_lines(rows: Sequence[TrustRow], width: int) -> Iterator[Line]:
    """Every key that is not pinned already, by name; those that are, counted."""
    shown = [row for row in rows if row.state != "pinned"]
    cells = [(row.node, row.host if row.port == 22 else f"{row.host} port {row.port}", *_told(row)) for row in shown]
    if shown:
        columns = [Column("NODE", is_name=True), Column("HOST"), Column("KEY"), Column("FINGERPRINT", is_name=True)]
        yield from table_lines([*columns, Column("STATE")], cells, width)
    for row in shown:
        if row.reason:
            yield Line(clean(f"x {row.node}  {row.reason}"), "warning")
    pinned = len(rows) - len(shown)
    if pinned:
        yield Line(f"{count(pinned, 'key')} {'is' if pinned == 1 else 'are'} pinned already", "answer")


def _told(row: TrustRow) -> tuple[str, str, str]:
    state = {"changed": f"another one is pinned: {row.was}", "unreachable": "no answer"}.get(row.state, row.state)
    return row.algorithm, row.fingerprint, state


def event_lines(event: HostEvent) -> Iterator[Line]:
    if isinstance(event, NodeAdopted):
        yield from _adopted(event)
    elif isinstance(event, NodeRetired):
        yield from _retired(event)
    elif isinstance(event, NodeReplaced):
        machine = f"machine {event.machine_id[:12]}…" if event.machine_id else "no machine"
        yield Line(clean(f"{event.node}: {machine} is expected no more"), "answer")
        yield from _cluster_side(event)
    elif isinstance(event, NodeUntouched):
        yield Line(clean(f"x {event.node}  {event.reason}"), "warning")
    else:
        yield from _draining(event)


def _draining(event: DrainEvent) -> Iterator[Line]:
    """What moves, and what holds; why it did not come through is told with the node."""
    if isinstance(event, PodGone):
        yield Line(clean(f"  {event.pod} has left"))
    elif isinstance(event, PodHeld):
        by = f"PodDisruptionBudget {event.budget}: " if event.budget else ""
        yield Line(clean(f"  ! {event.pod} is held by {by}{event.reason}"), "warning")
    elif isinstance(event, NodeDrained):
        yield Line(clean(f"{event.node}: drained, {count(event.gone, 'pod')} gone"), "answer")


def _cluster_side(event: NodeRetired | NodeReplaced) -> Iterator[Line]:
    if event.left_cluster:
        yield Line("  its cluster has no Node, node password or member of it any more")
    for each in event.left:
        yield Line(clean(f"  ! {each}"), "warning")


def _adopted(event: NodeAdopted) -> Iterator[Line]:
    if event.is_check:
        answer = f"{count(len(event.waiting), 'path')} would wait" if event.waiting else "nothing differs"
    elif event.waiting:
        answer = f"adopted, {count(len(event.waiting), 'path')} {'waits' if len(event.waiting) == 1 else 'wait'}"
    else:
        answer = "adopted, and as git wants" if event.is_whole else "adopted; fleet apply does the rest"
    taken = f"; taken: {some(event.taken)}" if event.taken and not event.is_check else ""
    yield Line(clean(f"{event.node}: {answer}{taken}"), "answer")
    for each in event.waiting:
        yield Line(clean(f"  ~ {each.path}  {', '.join(each.what) or each.action}"), "group")
        yield from _diff(each)


def _diff(each: Waiting) -> Iterator[Line]:
    if "content" in each.what:
        for line in printable(diff_lines(each.before.encode(), each.after.encode())):
            kind: LineKind = "added" if line.startswith("+") else "removed" if line.startswith("-") else "plain"
            yield Line(clean(f"      {line}"), kind)


def _retired(event: NodeRetired) -> Iterator[Line]:
    if not event.was_asked:
        yield Line(clean(f"{event.node}: forgotten; the host was not asked"), "answer")
    else:
        told = f"{count(len(event.removed), 'path')} gone, {count(len(event.restored), 'path')} as before"
        yield Line(clean(f"{event.node}: given back; {told}"), "answer")
    for target in event.unpinned:
        yield Line(clean(f"  known_hosts forgets {target}"))
    yield from _cluster_side(event)
