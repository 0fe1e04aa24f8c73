"""`fleet status` as lines: what nodes hold, by commit, and the latest rollouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fleet.cli.lines.events import counted
from fleet.formats.words import count, some
from fleet.model.rollout import ENDED
from fleet.model.status import CommitRow, RolloutRow, Status
from fleet.report import Column, Line, clean, table_lines
from fleet.report.status import moment

_COMMITS = (Column("COMMIT", is_name=True), Column("NODES"), Column("SINCE"), Column("LAST"), Column("SUCH AS"))
_ROLLOUTS = (Column("ROLLOUT", is_name=True), Column("STATUS"), Column("APPLIED"), Column("COMMIT"), Column("STARTED"))


def status_lines(status: Status, width: int) -> Iterator[Line]:
    where = f" in the sandbox {status.sandbox}" if status.sandbox else ""
    told = count(status.reported, "node")
    yield Line(
        clean(
            f"git is at {status.revision.short}; {told} {'has' if status.reported == 1 else 'have'} been applied{where}"
        ),
        "answer",
    )
    if status.commits:
        yield Line("")
        yield from table_lines(_COMMITS, [_commit(row, status.revision.commit) for row in status.commits], width)
    if status.rollouts:
        yield Line("")
        cells = [
            (each.id, each.status, _applied(each), each.commit[:7] or "no commit", moment(each.started_at))
            for each in status.rollouts
        ]
        yield from table_lines(_ROLLOUTS, cells, width)
        for each in status.rollouts:
            if each.waits_for:
                yield Line(clean(f"! rollout {each.id} waits for {each.waits_for}"), "warning")
    if status.adopting or status.reboots or status.certificates.rows:
        yield Line("")
    if status.adopting:
        yield Line(clean(f"! being adopted: {some(status.adopting)} (fleet node adopt shows what waits)"), "warning")
    if status.reboots:
        yield Line(
            clean(f"! a reboot is due on {count(len(status.reboots), 'node')}: {some(status.reboots)}"), "warning"
        )
    if due := len(status.certificates.rows):
        yield Line(f"! certificates of K3s run out on {count(due, 'node')}: fleet status --certificates", "warning")
    yield Line("")
    yield Line("fleet plan shows what would change", "next")


def progress_lines(row: RolloutRow, again: Callable[[str], str]) -> Iterator[Line]:
    """How far a rollout is that neither has ended nor is paused. `again` makes the next command to type."""
    if row.status == "paused" or row.status in ENDED:
        return
    wave = f", in wave {row.wave}" if row.wave else ""
    driver = f"driven by {row.driver}" if row.driver else "nobody drives it"
    told = f"{row.status}: {counted(row.counts)}, {row.under_way:,} of them under way{wave}; {driver}"
    yield Line(clean(told), "answer")
    if row.waits_for and row.driver:
        yield Line(clean(f"it waits for {row.waits_for}"), "warning")
    verb = "watch" if row.driver else "resume"
    yield Line(f"{again(f'rollout {verb} {row.id}')} {'follows it' if row.driver else 'goes on'}", "next")


def unfinished_lines(rows: Iterable[RolloutRow], again: Callable[[str], str]) -> Iterator[Line]:
    """Rollouts that have not ended, where nothing else is to do."""
    for row in rows:
        if row.status in ENDED:
            continue
        told = f"driven by {row.driver}" if row.driver else f"waits for {row.waits_for}"
        under_way = f", {count(row.under_way, 'node')} under way" if row.under_way else ""
        yield Line(clean(f"rollout {row.id} has not ended ({row.status}{under_way}): {told}"), "warning")
        verb, follows = ("watch", "follows it") if row.driver else ("resume", "goes on")
        yield Line(
            f"{again(f'rollout {verb} {row.id}')} {follows}; {again(f'rollout cancel {row.id}')} ends it", "next"
        )


def _applied(row: RolloutRow) -> str:
    return f"{row.counts.applied:,}/{row.nodes:,}"


def _commit(row: CommitRow, present: str) -> tuple[str, ...]:
    name = row.commit[:7] or "no commit"
    is_present = " (git)" if present and row.commit == present else ""
    return name + is_present, f"{row.nodes:,}", moment(row.first_at), moment(row.last_at), some(row.sample)
