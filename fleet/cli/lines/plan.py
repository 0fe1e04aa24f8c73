"""`fleet plan --detail`: every node by name, with all of its changes."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.model.change import Change
from fleet.model.plan import Plan
from fleet.report import Line, LineKind, clean

_SIGNS = {"add": "+", "edit": "~", "remove": "-"}
_KINDS: dict[str, LineKind] = {"add": "added", "edit": "group", "remove": "removed"}


def detail_lines(plan: Plan) -> Iterator[Line]:
    """In the order of the plan: site, then name."""
    yield Line("")
    for node in plan.nodes:
        before = node.base[:11] or "nothing"
        yield Line(clean(f"{node.node} ({node.role} at {node.site}): {before} -> {node.wanted[:11]}"))
        for change in node.changes:
            yield Line(clean(f"  {_SIGNS[change.action]} {_text(change)}"), _KINDS[change.action])


def _text(change: Change) -> str:
    values = f" {change.before[:19]} -> {change.after[:19]}" if change.before and change.after else ""
    effects = [f"restarts {unit}" for unit in change.restarts] + [f"reloads {unit}" for unit in change.reloads]
    return f"{change.kind} {change.subject}{values}" + (f", {', '.join(effects)}" if effects else "")
