"""Which nodes --site, --selector, --node and --limit leave. Selectors are written as kubectl takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fleet.errors import UsageError
from fleet.model.fleet import ResolvedFleet
from fleet.model.node import Node
from fleet.model.plan import Scope
from fleet.model.spec.selector import MatchExpression, Selector
from fleet.resolve.selector import matches

_PART = re.compile(
    r"""\s*(?:
        (?P<not>!)\s*(?P<absent>[\w./-]+)
      | (?P<key>[\w./-]+)\s*(?:
            (?P<operator>==|=|!=)\s*(?P<value>[\w.-]*)
          | \s(?P<set>in|notin)\s*\((?P<values>[^)]*)\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def in_scope(fleet: ResolvedFleet, scope: Scope) -> Sequence[Node]:
    """The nodes of a scope in the fleet's order. Raises UsageError for a name or a selector that means nothing."""
    if scope.is_everything:
        return fleet.nodes
    nodes: Sequence[Node] = fleet.nodes
    if scope.sites:
        _known(scope.sites, fleet.sites, "site")
        wanted = frozenset(scope.sites)
        nodes = [node for node in nodes if node.site in wanted]
    if scope.nodes:
        _known(scope.nodes, {node.name: node for node in fleet.nodes}, "node")
        wanted = frozenset(scope.nodes)
        nodes = [node for node in nodes if node.name in wanted]
    if scope.selector:
        selector = parse_selector(scope.selector)
        nodes = [node for node in nodes if matches(selector, seen_labels(node))]
    return nodes[: scope.limit] if scope.limit else nodes


def seen_labels(node: Node) -> dict[str, str]:
    """What selectors see of a node: its labels and the built-in ones."""
    return {
        **node.labels,
        "site": node.site,
        "role": node.role,
        "set": node.set,
        "cluster": node.cluster,
        "arch": node.arch,
    }


def parse_selector(text: str) -> Selector:
    """`a=b,c!=d,e in (f,g),h,!i`, as kubectl takes it. Raises UsageError."""
    expressions = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or found.end() == at:
            raise UsageError(
                f"--selector {text!r}: cannot be read from {text[at:]!r} on",
                "Write it as for kubectl: ring=pilot,app in (pos,kiosk),!gpu",
            )
        expressions.append(_expression(found))
        at = found.end()
    return Selector(match_expressions=expressions)


def _expression(found: re.Match[str]) -> MatchExpression:
    if found["absent"]:
        return MatchExpression(key=found["absent"], operator="DoesNotExist")
    if found["operator"]:
        is_not = found["operator"] == "!="
        return MatchExpression(key=found["key"], operator="NotIn" if is_not else "In", values=[found["value"]])
    if found["set"]:
        values = [value.strip() for value in found["values"].split(",")]
        return MatchExpression(key=found["key"], operator="In" if found["set"] == "in" else "NotIn", values=values)
    return MatchExpression(key=found["key"], operator="Exists")


def _known(names: Sequence[str], known: Mapping[str, object], what: str) -> None:
    for name in names:
        if name not in known:
            near = [other for other in known if name in other][:3]
            raise UsageError(f"there is no {what} {name}", f"Is it {', '.join(near)}?" if near else "")
