"""`fleet node log` as lines: one a run, the newest last, and what Ansible printed of it below."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from fleet.formats.words import count, some
from fleet.model.node_log import NodeLog, NodeRun
from fleet.report import Line, LineKind, clean

_KINDS: dict[str, LineKind] = {
    "applied": "added",
    "failed": "refused",
    "unhealthy": "refused",
    "rolled-back": "warning",
    "not-rolled-back": "refused",
    "unreachable": "refused",
    "blocked": "warning",
    "unknown": "warning",
}


def node_log_lines(log: NodeLog, again: Callable[[str], str], *, with_output: bool) -> Iterator[Line]:
    if not log.runs:
        yield Line(clean(f"{log.node}: no rollout ever touched it"), "answer")
        return
    rollouts = len({run.rollout for run in log.runs})
    newest = "the newest " if log.has_more else ""
    yield Line(
        clean(f"{log.node}: {newest}{count(len(log.runs), 'entry', 'entries')}, of {count(rollouts, 'rollout')}"),
        "answer",
    )
    for run in log.runs:
        yield Line(
            clean(f"{_stamp(run.at or run.began)}  {run.rollout}  {_told(run)}"), _KINDS.get(run.outcome, "plain")
        )
        if with_output and run.batch:
            yield from _output(run, log.kept_rollouts)
    if not with_output:
        kept = f"kept of the newest {count(log.kept_rollouts, 'rollout')}"
        yield Line(f"{again(f'node log {log.node} --output')} shows what Ansible printed ({kept})", "next")


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def _told(run: NodeRun) -> str:
    """The outcome, what it did, and which rollout it undid or was undone by."""
    words = {
        "running": "under way",
        "unknown": "no result",
        "rolled-back": "went back to what it held before",
        "not-rolled-back": "did not go back",
    }.get(run.outcome, run.outcome)
    told = f"{words}: {run.reason}" if run.reason else words
    if run.outcome in ("applied", "rolled-back") or run.changed:
        told += f", {run.changed:,} changed"
    if run.restarted:
        told += f", restarted {some(run.restarted, 10)}"
    if run.updated:
        told += f", {count(run.updated, 'package')} updated"
    if run.rebooted:
        told += ", rebooted"
    if run.warnings:
        told += f" (warning: {'; '.join(run.warnings)})"
    if run.undoes and run.outcome == "applied":
        told += f"; went back to what it held before {run.undoes}"
    elif run.undoes:
        told += f"; was to go back to what it held before {run.undoes}"
    if run.undone_by and run.outcome not in ("blocked", "rolled-back"):
        told += f"; rolled back by {run.undone_by}"
    where = f"batch {run.batch.removeprefix(f'{run.rollout}-')}" if run.batch else "no batch"
    took = f", {run.at - run.began:.0f} s" if run.began and run.at > run.began else ""
    commit = f" of {run.commit[:7]}" if run.commit else ""
    return f"{told} ({where}{commit}{took})"


def _output(run: NodeRun, kept: int) -> Iterator[Line]:
    if run.output is None:
        which = f"of the newest {count(kept, 'rollout')} only" if kept else "of no rollout"
        yield Line(f"    Ansible's output is not there: it is kept {which} (FLEET_KEPT_OUTPUT)", "hint")
    elif not run.output:
        yield Line("    Ansible printed nothing about it", "hint")
    else:
        yield from (Line(clean(f"    {text}")) for text in run.output)
