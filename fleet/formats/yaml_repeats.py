"""Items of a list that are alike: mappings with the same keys at the same places, line for line, and other scalars.

Nearly all of a large spec is such items. Once the shape of one is known, a pattern reads the others whole, in half the
time of line by line. What has another shape, or is not fully understood, is left to the line reader.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from fleet.formats.yaml_atoms import FLOW, HEADS, LineScalars, Unclear
from fleet.formats.yaml_scalars import Special

_MAX_DEPTH: Final = 8
_MAX_SHAPES: Final = 4
_MAX_LOOKS: Final = 16
"""Looks for a new shape behind one first line: lists whose items are all different are not searched for ever."""
_ANY: Final = r"(.*)"
_QUOTED: Final = r'"([ !#-\[\]-~]*)"'
_IS_QUOTED: Final = re.compile(_QUOTED)

Picker = Callable[[Sequence[Any]], tuple[Any, ...]]


class _Level(NamedTuple):
    """One mapping: its keys, what picks their values among the pattern's texts, and where it hangs (-1: it is the item)."""

    keys: tuple[str, ...]
    pick: Picker
    parent: int
    key: str


class _Line(msgspec.Struct, frozen=True):
    """What stands before `: `, or a whole line of a key alone; what stands behind; and the key."""

    head: str
    colon: str
    tail: str
    key: str


class _Shape(msgspec.Struct, frozen=True):
    """`pattern` gives the texts of all values; `scalars` are those that have to be understood, the others were quoted."""

    pattern: re.Pattern[str]
    lines: int
    scalars: tuple[int, ...]
    levels: tuple[_Level, ...]


class Repeats:
    """The shapes of one stream, by the beginning of their first line."""

    def __init__(self, scalars: LineScalars, flow: Callable[[str, int], Any]) -> None:
        self._scalars = scalars
        self._flow = flow
        self._shapes: dict[str, list[_Shape]] = {}
        self._looks: dict[str, int] = {}
        self._text = ""
        self._lines: Sequence[str] = ()
        self._at = self._offset = 0

    def open(self, text: str, lines: Sequence[str]) -> None:
        """Begin with a document."""
        self._text, self._lines, self._at, self._offset = text, lines, 0, 0

    def read(self, start: int, head: str) -> tuple[list[Any], int] | None:
        """Read the items that begin at a line, with a dash and a key (`head`): the items, and how many lines they are.

        None where the first one has to be read line by line. Raises Unclear as the line reader would.
        """
        shapes = self._shapes.get(head)
        if shapes is None:
            shapes = self._shapes[head] = []
        elif shapes and (found := self._run(shapes, start)) is not None:
            return found
        looks = self._looks[head] = self._looks.get(head, 0) + 1
        if looks > _MAX_LOOKS or len(shapes) == _MAX_SHAPES:
            return None
        shape = _shape_at(self._lines, start, knows_quotes=len(shapes) < _MAX_SHAPES - 1)
        if shape is None:
            return None
        shapes.append(shape)
        return self._run([shape], start)

    def _run(self, shapes: Sequence[_Shape], start: int) -> tuple[list[Any], int] | None:
        text, lines = self._text, 0
        self._offset += sum(map(len, self._lines[self._at : start])) + start - self._at
        self._at = start
        offset = self._offset
        items: list[Any] = []
        while True:
            for shape in shapes:
                found = shape.pattern.match(text, offset)
                if found is not None and (item := self._item(shape, found)) is not None:
                    break
            else:
                return (items, lines) if items else None
            items.append(item)
            lines += shape.lines
            offset = found.end()

    def _item(self, shape: _Shape, found: re.Match[str]) -> dict[str, Any] | None:
        values: list[Any] = [*found.groups()]
        scalars = self._scalars
        for at in shape.scalars:
            value = scalars[values[at]]
            if value.__class__ is Special:
                if value is not FLOW:
                    return None
                value = self._flow(values[at], 0)
            values[at] = value
        made: list[dict[str, Any]] = []
        for keys, pick, parent, key in shape.levels:
            mapping = dict(zip(keys, pick(values)))  # noqa: B905 -- one index is picked twice
            made.append(mapping)
            if parent >= 0:
                made[parent][key] = mapping
        return made[0]


def _shape_at(lines: Sequence[str], start: int, *, knows_quotes: bool) -> _Shape | None:
    """Learn the shape of an item; None for one that holds more than mappings and scalars that are whole on their line."""
    item: list[_Line] = []
    keys: list[dict[str, int]] = [{}]
    hangs: list[tuple[int, str]] = [(-1, "")]
    open_levels: list[tuple[int, int]] = []  # (place, number) of mappings that may go on
    column = len(lines[start]) - len(lines[start].lstrip(" "))
    try:
        for place, line in _lines_of(lines, start, column):
            if not item:
                open_levels.append((place, 0))
            elif not item[-1].colon:  # a key alone: what comes stands below it
                if place <= open_levels[-1][0] or len(open_levels) == _MAX_DEPTH:
                    return None
                hangs.append((open_levels[-1][1], item[-1].key))
                open_levels.append((place, len(keys)))
                keys.append({})
            while len(open_levels) > 1 and open_levels[-1][0] > place:
                open_levels.pop()
            level = keys[open_levels[-1][1]]
            if line.key in level or open_levels[-1][0] != place:
                return None
            level[line.key] = len(item)
            item.append(line)
    except Unclear:
        return None
    if len(item) < 2 or not item[-1].colon:
        return None
    quoted = [knows_quotes and _IS_QUOTED.fullmatch(line.tail) is not None for line in item]
    texts = [
        re.escape(line.head + line.colon) + ("" if not line.colon else _QUOTED if is_quoted else _ANY) + "\n"
        for line, is_quoted in zip(item, quoted, strict=True)
    ]
    return _Shape(
        # An item that goes on behind it is the line reader's.
        re.compile("".join(texts) + rf"(?=\Z| {{0,{column}}}[^ #\n])"),
        len(item),
        *_places(item, quoted, keys, hangs),
    )


def _lines_of(lines: Sequence[str], start: int, column: int) -> Iterator[tuple[int, _Line]]:
    """The lines of an item with the places of their keys (`HEADS`). Raises Unclear at the first that is not plain."""
    for at in range(start, len(lines)):
        line = lines[at]
        if at > start and len(line) - len(line.lstrip(" ")) <= column:
            return
        head, colon, tail = line.partition(": ")
        place, key = HEADS[head if colon else head[:-1]]
        if key is None or not (colon or head[-1:] == ":") or (place & 1) != (at == start):
            raise Unclear
        yield place + 3 if at == start else place, _Line(head, colon, tail, key)


def _places(
    item: Sequence[_Line], quoted: Sequence[bool], keys: Sequence[dict[str, int]], hangs: Sequence[tuple[int, str]]
) -> tuple[tuple[int, ...], tuple[_Level, ...]]:
    """Which of the pattern's texts are to be understood, and which of them are in which mapping."""
    valued = [at for at, line in enumerate(item) if line.colon]
    group = {at: number for number, at in enumerate(valued)}
    scalars = tuple(group[at] for at in valued if not quoted[at])
    levels = []
    for level, (parent, key) in zip(keys, hangs, strict=True):
        # The place of a key alone is kept by any value, until its mapping is there.
        picked = [group.get(at, 0) for at in level.values()]
        pick = itemgetter(*picked) if len(picked) > 1 else itemgetter(*picked, *picked)
        levels.append(_Level(tuple(level), pick, parent, key))
    return scalars, tuple(levels)
