"""Verdicts as lines: which rule, whom it concerns, where it stands, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.formats.words import count
from fleet.model.verdict import Verdict
from fleet.report.line import Line, LineKind, line

_SHOWN_PER_RULE = 5


def verdict_lines(verdicts: Sequence[Verdict], kind: LineKind) -> Iterator[Line]:
    """Equal messages are one line; of each rule the first few different ones, and how many more there are."""
    by_rule: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_rule.setdefault(verdict.rule, []).append(verdict)
    for rule, own in by_rule.items():
        alike = _alike(own)
        for each in alike[:_SHOWN_PER_RULE]:
            yield from _lines(rule, each, kind)
        if rest := alike[_SHOWN_PER_RULE:]:
            more = sum(map(len, rest))
            yield line(f"  … {more:,} more of {rule}: fleet plan --json lists them", kind)


def _alike(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.message, []).append(verdict)
    return list(found.values())


def _lines(rule: str, alike: Sequence[Verdict], kind: LineKind) -> Iterator[Line]:
    first = alike[0]
    others = f" and {len(alike) - 1:,} more" if len(alike) > 1 else ""
    where = f" ({first.where})" if first.where else ""
    yield line(f"  {first.subject}{others}: {first.message}{where}", kind)
    hint = f"{first.hint} " if first.hint else ""
    yield line(f"    {hint}See docs/rules/{rule}.md", "hint")


def headline(verdicts: Sequence[Verdict]) -> str:
    """`1 change`, `1,036 changes`: what was refused."""
    return count(len(verdicts), "change")
