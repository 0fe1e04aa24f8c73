"""Groups of equal changes as lines: a sign, what changes, how many nodes, what restarts, and a diff below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fleet.formats.words import count, some
from fleet.model.change import Change
from fleet.model.plan import ChangeGroup
from fleet.report.line import Line, LineKind, clean, line

_SIGNS = {"add": "+", "edit": "~", "remove": "-"}
_NAMED = frozenset({"label", "taint", "folder", "artifact", "unit", "package", "user", "sysctl"})
_SHA = 64
# A plan is read by a person: what is more is counted, and --json has it all.
_MAX_GROUPS = 40
_MAX_ALIKE = 4
_MAX_DIFF_LINES = 200
_MAX_LABEL = 60


def group_lines(groups: Sequence[ChangeGroup]) -> Iterator[Line]:
    """One line a group with its columns in line, and its diff below as long as there is room."""
    few = _few_of_each(groups)
    shown = few[:_MAX_GROUPS]
    labels = [clean(_label(group.change)) for group in shown]
    wide = min(max(map(len, labels), default=0), _MAX_LABEL)
    numbers = [f"{group.nodes:,}" for group in shown]
    digits = max(map(len, numbers), default=0)
    left = _MAX_DIFF_LINES
    for group, label, number in zip(shown, labels, numbers, strict=True):
        where = f"{'node' if group.nodes == 1 else 'nodes'}, {count(group.sites, 'site')}{_follows(group.change)}"
        yield line(f"  {_SIGNS[group.change.action]} {label:<{wide}}  {number:>{digits}} {where}", "group")
        if len(group.diff) <= left:
            left -= len(group.diff)
            yield from (line(f"      {text}", _diff_kind(text)) for text in group.diff)
        elif group.diff:
            yield line(f"        {count(len(group.diff), 'line')} of difference: fleet plan --json shows them")
    kept = {id(group) for group in shown}
    if rest := [group for group in groups if id(group) not in kept]:
        nodes = sum(group.nodes for group in rest)
        subjects = sorted({group.change.subject for group in rest})
        what = f"{count(len(rest), 'more group')} ({nodes:,} changes) of {some(subjects)}"
        yield line(f"  … {what}: fleet plan --json lists them")


def _few_of_each(groups: Sequence[ChangeGroup]) -> list[ChangeGroup]:
    """Of edits of one path that differ from node to node, the most common ones."""
    seen: Counter[tuple[str, str, str]] = Counter()
    few = []
    for group in groups:
        what = (group.change.kind, group.change.action, group.change.subject)
        seen[what] += 1
        if seen[what] <= _MAX_ALIKE:
            few.append(group)
    return few


def _diff_kind(text: str) -> LineKind:
    return "added" if text.startswith("+") else "removed" if text.startswith("-") else "plain"


def _label(change: Change) -> str:
    """What changes, in words: `K3s v1.34.6+k3s1 -> v1.35.4+k3s1`, a path, `sysctl vm.swappiness: 10 -> 20`."""
    if change.kind == "first":
        what = "first application" if change.action == "add" else "everything, since what they hold is not kept here"
        return f"{what}: K3s {change.after}" if change.after else what
    if change.kind == "k3s":
        return f"K3s {_arrow(change)}"
    if change.kind == "reboot":
        return f"reboot {change.after}"
    if change.kind == "fact":
        return "record, nothing on disk" if change.subject == "record" else f"{change.subject} {_arrow(change)}"
    name = f"{change.kind} {change.subject}" if change.kind in _NAMED else change.subject
    told = _arrow(change)
    return f"{name}: {told}" if told else name


def _arrow(change: Change) -> str:
    """Before and after; of contents and of what goes away, nothing: the diff or the sign says it."""
    if _SHA in {len(change.before), len(change.after)}:
        return ""
    if change.action == "add":
        return change.after
    if change.action == "remove":
        return change.before if change.kind in {"k3s", "fact"} else ""
    return f"{change.before or 'none'} -> {change.after or 'none'}" if change.before or change.after else ""


def _follows(change: Change) -> str:
    """What restarts and reloads. K3s's two units are one thing to a person."""
    units = set(change.restarts)
    told = sorted(units - {"k3s.service", "k3s-agent.service"})
    if "k3s.service" in units:
        told.append("k3s one server at a time")
    elif "k3s-agent.service" in units:
        told.append("k3s-agent")
    restarts = f", restarts {', '.join(told)}" if told else ""
    return restarts + (f", reloads {', '.join(sorted(change.reloads))}" if change.reloads else "")
