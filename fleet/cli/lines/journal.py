"""Lines of `fleet journal`: what is wrong first, then what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.formats.words import count
from fleet.model.journal import JournalReport, SavedTable
from fleet.report import Line, clean

_SHOWN = ("rollouts", "events", "records")


def report_lines(report: JournalReport) -> Iterator[Line]:
    if not report.tables and report.is_whole:
        yield Line(clean(f"nothing was kept yet: there is no {report.path}"), "answer")
        return
    rows = {table.table: table.rows for table in report.tables}
    told = ", ".join(count(rows.get(name, 0), name[:-1]) for name in _SHOWN)
    wrong = sum(each.outcome == "wrong" for each in report.diagnoses)
    if report.is_whole:
        yield Line(clean(f"{report.path} is whole: {told}"), "answer")
    else:
        yield Line(clean(f"{report.path} is damaged: {count(wrong, 'finding')}; {told} can be read"), "refused")
    for each in report.diagnoses:
        is_wrong = each.outcome == "wrong"
        word = "wrong  " if is_wrong else "warning"
        yield Line(clean(f"{word} {each.check}: {each.message}"), "refused" if is_wrong else "warning")
        yield Line(clean(f"        {each.hint}"), "hint")


def saved_lines(tables: Sequence[SavedTable], file: str) -> Iterator[Line]:
    """How much was saved, and of which tables something is lost."""
    rows = {table.table: table.rows for table in tables}
    told = ", ".join(count(rows.get(name, 0), name[:-1]) for name in _SHOWN)
    where = f" to {file}" if file else ""
    yield Line(clean(f"saved{where}: {told}" if tables else "nothing was kept yet, so there is nothing to save"))
    for table in tables:
        if not table.is_whole:
            pages = f", {count(table.pages, 'page')} cannot be read" if table.pages else ""
            lost = f"at least {count(table.lost, 'row')} lost" if table.lost else "rows may be lost"
            yield Line(f"{table.table}: {count(table.rows, 'row')} saved, {lost}{pages}", "warning")
