"""Lines of `fleet doctor`: what is wrong first, what is doubtful then, and what is well in a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.formats.words import count, some
from fleet.model.diagnosis import Diagnosis
from fleet.report import Line, LineKind, clean

_WORDS = {"wrong": "wrong  ", "warning": "warning"}


def doctor_lines(found: Sequence[Diagnosis], *, is_long: bool) -> Iterator[Line]:
    """`is_long` also lists what is well."""
    for outcome, word in _WORDS.items():
        for each in found:
            if each.outcome == outcome:
                kind: LineKind = "refused" if outcome == "wrong" else "warning"
                subjects = f" ({some(each.subjects)})" if each.subjects else ""
                yield Line(clean(f"{word} {each.check}: {each.message}{subjects}"), kind)
                if each.hint:
                    yield Line(clean(f"        {each.hint}"), "hint")
    well = [each for each in found if each.outcome == "ok"]
    if is_long:
        yield from (Line(clean(f"ok      {each.check}: {each.message}")) for each in well)
    bad = len(found) - len(well)
    told = (
        f"{count(bad, 'thing')} to look at, {count(len(well), 'check')} found nothing"
        if bad
        else f"all is well: {count(len(well), 'check')}"
    )
    yield Line(told, "answer")
