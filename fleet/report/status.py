"""What is applied where, since when, by which commit: from records alone, so that it is quick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from fleet.model.record import Record
from fleet.report.line import Line, line
from fleet.report.table import Column, table_lines
from fleet.report.words import count, some

STATUS_FORMAT = "fleet.status/v1"


class AppliedCommit(msgspec.Struct, frozen=True):
    """Nodes that hold bundles of one commit. `first` and `last` are seconds since 1970, by the nodes' own clocks."""

    commit: str
    nodes: int
    sites: int
    first: float
    last: float


class Status(msgspec.Struct, frozen=True):
    """`total` nodes in the spec, of which `never` hold nothing; `orphaned` hold something and left the spec."""

    fleet: str
    commit: str
    total: int
    commits: tuple[AppliedCommit, ...]
    never: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    format: str = STATUS_FORMAT


def status(fleet: str, commit: str, sites: Mapping[str, str], records: Mapping[str, Record]) -> Status:
    """`commit` is git's present one; `sites` maps every node of the spec to its site."""
    by_commit: dict[str, list[Record]] = {}
    for name, record in records.items():
        if name in sites:
            by_commit.setdefault(record.commit, []).append(record)
    commits = [_applied(commit, own, sites) for commit, own in by_commit.items()]
    return Status(
        fleet=fleet,
        commit=commit,
        total=len(sites),
        commits=tuple(sorted(commits, key=lambda each: (-each.last, each.commit))),
        never=tuple(name for name in sites if name not in records),
        orphaned=tuple(sorted(name for name in records if name not in sites)),
    )


def _applied(commit: str, records: Iterable[Record], sites: Mapping[str, str]) -> AppliedCommit:
    times = [record.at for record in records]
    places = {sites[record.node] for record in records if record.node in sites}
    return AppliedCommit(commit, len(times), len(places), min(times), max(times))


def status_lines(found: Status, width: int = 0) -> tuple[Line, ...]:
    return tuple(_lines(found, width))


def _lines(found: Status, width: int) -> Iterator[Line]:
    holding = sum(each.nodes for each in found.commits)
    git = f" at {found.commit[:7]}" if found.commit else ""
    yield line(f"fleet {found.fleet}{git}: {holding:,} of {count(found.total, 'node')} applied", "answer")
    if found.commits:
        yield line("")
        columns = (Column("COMMIT", is_name=True), Column("NODES"), Column("SITES"), Column("SINCE"), Column("LAST"))
        yield from table_lines(columns, [_row(each, found.commit) for each in found.commits], width)
    if found.never:
        yield line(f"never applied: {count(len(found.never), 'node')} ({some(found.never)})")
    if found.orphaned:
        yield line(f"left the spec: {count(len(found.orphaned), 'node')} ({some(found.orphaned)})")
    yield line("")
    yield line("fleet plan shows what would change; fleet node list shows each node.", "next")


def _row(each: AppliedCommit, present: str) -> tuple[str, ...]:
    name = each.commit[:7] or "no commit"
    here = " (git)" if present and each.commit == present else ""
    return name + here, f"{each.nodes:,}", f"{each.sites:,}", moment(each.first), moment(each.last)


def moment(seconds: float) -> str:
    """`2026-11-22 06:10 UTC`; `unknown` for what a node made up."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds > 0 else "unknown"
    except (OverflowError, ValueError, OSError):
        return "unknown"
