"""Mistakes in a spec as lines: `file:line:col  severity  path: message. Hint` (cli.md, A mistake)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.formats.words import count
from fleet.model.problem import Problem
from fleet.report.line import Line, LineKind, line

_MAX_SHOWN = 200
_MAX_PLACE = 50


def problems_lines(problems: Sequence[Problem], documents: int, bad_documents: int) -> tuple[Line, ...]:
    """Every mistake, in the order given, and how many there are; one line when there is none."""
    return tuple(_lines(problems, documents, bad_documents))


def _lines(problems: Sequence[Problem], documents: int, bad_documents: int) -> Iterator[Line]:
    if not problems:
        yield line(f"No mistakes in {count(documents, 'document')}.", "answer")
        return
    shown = problems[:_MAX_SHOWN]
    places = [f"{p.file}:{p.line}:{p.column}" for p in shown]
    wide = min(max(map(len, places)), _MAX_PLACE)
    severe = max(len(p.severity) for p in shown)
    for problem, place in zip(shown, places, strict=True):
        kind: LineKind = "refused" if problem.severity == "error" else "warning"
        yield line(f"{place:<{wide}} {problem.severity:<{severe}}  {_text(problem)}", kind)
        yield from (line(f"{'':<{wide}} {'':<{severe}}  also at {other}", "hint") for other in problem.others)
    if rest := len(problems) - len(shown):
        yield line(f"… {rest:,} more: fleet validate --json lists them all")
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    numbers = [count(errors, "error")] if errors else []
    numbers += [count(warnings, "warning")] if warnings else []
    yield line(f"{', '.join(numbers)} in {bad_documents:,} of {count(documents, 'document')}.", "answer")


def _text(problem: Problem) -> str:
    where = f"{problem.path}: " if problem.path else ""
    stop = "" if problem.message.endswith((".", "?", "!")) else "."
    return f"{where}{problem.message}{stop} {problem.hint}" if problem.hint else f"{where}{problem.message}"
