"""What an import did as lines: counts first, then all that is not as it was, `file:line:col  severity  what: why. Mend`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from fleet.formats.words import count
from fleet.model.translation import ImportNote, ImportReport
from fleet.report.line import Line, LineKind, line

_MOST_OF_ONE = 3
_MOST_ALIKE = 20
_SHOWN_ALIKE = 5
_MAX_PLACE = 50
_QUOTED = re.compile(r"`[^`]*`")


def import_lines(report: ImportReport) -> tuple[Line, ...]:
    """Warnings before notes, each in the order of the files. What is said in the same words of many places is said
    once, with their number.
    """
    return tuple(_lines(report))


def _lines(report: ImportReport) -> Iterator[Line]:
    hosts = len(report.hosts)
    yield line(
        f"{report.source}: {count(hosts, 'host')} in {count(len(report.groups), 'group')} with "
        f"{count(report.variables, 'variable')} {'became' if report.is_written else 'would become'} "
        f"fleet {report.fleet}: {count(hosts, 'node')} at {count(report.sites, 'site')}, "
        f"{count(report.secrets, 'secret')}, {count(len(report.files), 'file')} in {report.out}",
        "answer",
    )
    warnings = [note for note in report.notes if note.severity == "warning"]
    notes = [note for note in report.notes if note.severity == "note"]
    if not report.notes:
        yield line("everything was carried over")
        return
    yield line(f"{count(len(warnings), 'warning')}: to look at; {count(len(notes), 'note')}: nothing is lost", "group")
    shown = _folded([*warnings, *notes])
    wide = min(max(len(_place(note)) for note, _ in shown), _MAX_PLACE)
    for note, more in shown:
        again = f" (and {more:,} more like it: --json has them all)" if more else ""
        kind: LineKind = "warning" if note.severity == "warning" else "plain"
        yield line(f"{_place(note):<{wide}} {note.severity:<7}  {_text(note)}{again}", kind)


def _folded(notes: Sequence[ImportNote]) -> list[tuple[ImportNote, int]]:
    """Each note with the number of those that it stands for. What many places or many variables have in common is said
    of the first ones only.
    """
    of_one = _grouped(notes, lambda note: (note.severity, note.subject, note.message, note.hint))
    stands = {id(same[0]): len(same) - 1 for same in of_one if len(same) > _MOST_OF_ONE}
    left = [note for same in of_one for note in (same[:1] if len(same) > _MOST_OF_ONE else same)]
    hidden: set[int] = set()
    for alike in _grouped(left, lambda note: (note.severity, _QUOTED.sub("`", note.message), note.hint)):
        if len(alike) > _MOST_ALIKE:
            rest = alike[_SHOWN_ALIKE:]
            hidden.update(id(note) for note in rest)
            last = alike[_SHOWN_ALIKE - 1]
            stands[id(last)] = stands.get(id(last), 0) + sum(1 + stands.get(id(note), 0) for note in rest)
    kept = {id(note) for note in left} - hidden
    return [(note, stands.get(id(note), 0)) for note in notes if id(note) in kept]


def _grouped(notes: Iterable[ImportNote], key: Callable[[ImportNote], tuple[str, ...]]) -> list[list[ImportNote]]:
    groups: dict[tuple[str, ...], list[ImportNote]] = {}
    for note in notes:
        groups.setdefault(key(note), []).append(note)
    return list(groups.values())


def _place(note: ImportNote) -> str:
    return f"{note.file}:{note.line}:{note.column}"


def _text(note: ImportNote) -> str:
    stop = "" if note.message.endswith((".", "?", "!")) else "."
    return f"{note.subject}: {note.message}{stop} {note.hint}" if note.hint else f"{note.subject}: {note.message}"
