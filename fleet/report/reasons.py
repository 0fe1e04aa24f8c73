"""Failures by reason: one for each reason however many nodes have it, the most common one first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap

from fleet.formats.words import count, some
from fleet.model.trouble import ReasonGroup, Trouble
from fleet.report.line import Line, line

_SHOWN = 20
# What names a machine as its own name does: addresses (IPv4, IPv6, MAC), and ids of 12 hex digits and more.
_NAMES = re.compile(
    r"(?P<ADDRESS>\b(?:\d{1,3}\.){3}\d{1,3}\b|(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:]))"
    r"|(?P<ID>\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b)"
)


def by_reason(troubles: Iterable[Trouble]) -> tuple[ReasonGroup, ...]:
    """A node's own name in its reason, and an address or id that only this node's reason has, make no reason another one.
    What several nodes name (a mirror, a server) stays: it tells reasons apart.
    """
    known = list(troubles)
    owners: dict[str, set[str]] = {}
    for trouble in known:
        for found in _NAMES.finditer(trouble.reason):
            owners.setdefault(found[0], set()).add(trouble.node)
    shared = {name for name, nodes in owners.items() if len(nodes) > 1}
    groups: dict[tuple[str, str], list[Trouble]] = {}
    for trouble in known:
        groups.setdefault((trouble.kind, _nameless(trouble, shared)), []).append(trouble)
    return tuple(sorted(starmap(_group, groups.items()), key=lambda group: -len(group.nodes)))


def reason_lines(groups: Sequence[ReasonGroup], more: str) -> Iterator[Line]:
    """A line for each of the most common ones. `more` says how to see what is not shown."""
    for group in groups[:_SHOWN]:
        prefix = "" if group.kind == "failed" else f"{group.kind}: "
        yield line(f"x {prefix}{group.reason}: {count(len(group.nodes), 'node')} ({some(group.nodes)})", "refused")
    if rest := groups[_SHOWN:]:
        nodes = sum(len(group.nodes) for group in rest)
        yield line(f"x {count(len(rest), 'more reason')}, of {count(nodes, 'node')}: {more}", "refused")


def _group(key: tuple[str, str], those: Sequence[Trouble]) -> ReasonGroup:
    words = {trouble.reason for trouble in those}
    nodes = tuple(dict.fromkeys(trouble.node for trouble in those))
    return ReasonGroup(those[0].kind, words.pop() if len(words) == 1 else key[1], nodes)


def _nameless(trouble: Trouble, shared: set[str]) -> str:
    text = _without(trouble.reason, trouble.node, "NODE")
    if trouble.by and trouble.by != trouble.node:
        text = _without(text, trouble.by, "SERVER")
    return _NAMES.sub(lambda found: found[0] if found[0] in shared else str(found.lastgroup), text)


def _without(text: str, name: str, word: str) -> str:
    """The name as a whole: `till-1` is not in `till-10`."""
    return re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", word, text) if name in text else text
