"""A fast reader for the plain part of YAML, line by line: `key: value`, `- item`, `{a: b, c: [d]}`, `|` blocks, comments.

It never guesses: at the first thing that it does not fully understand it raises `Unclear`, and the strict builder over
libyaml reads the document instead. It never reports a mistake. A property test holds the two to the same answers.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from fleet.formats.yaml_atoms import CLIP, FLOW, HEADS, NESTED, STRIP, FlowScalars, LineScalars, Unclear
from fleet.formats.yaml_scalars import Special

# Leaves room for flow collections inside the block ones, of 100 levels in all.
_MAX_BLOCK_DEPTH: Final = 80
_MAX_FLOW_DEPTH: Final = 10


class LineReader:
    """Reads the documents of one stream; remembers their scalars."""

    def __init__(self) -> None:
        self._scalars = LineScalars()
        self._flow_scalars = FlowScalars()

    def read(self, text: str) -> Any:  # noqa: C901, PLR0912, PLR0915 -- one flat loop: a call per line costs a third
        """Read one document, without its `---`. Raises Unclear, also where there is no content."""
        heads, scalars = HEADS, self._scalars
        root: Any = None
        top: Any = None
        column = 0
        stack: list[tuple[Any, int]] = []
        waiting: str | None = None  # the key of `top` whose value may follow, deeper, on the next lines
        key: str | None
        rest = iter(text.split("\n"))
        lines: Iterator[str] | None = rest
        while lines is not None:
            after_block: str | None = None
            for line in lines:
                head, colon, tail = line.partition(": ")
                if colon:
                    indent, key, is_entry = heads[head]
                    if key is None:
                        if indent < 0:
                            _check_comment(line)
                            continue
                        tail = line[indent + 2 :]
                elif line[-1:] == ":":
                    indent, key, is_entry = heads[line[:-1]]
                    if key is None:
                        if indent >= 0:
                            raise Unclear
                        _check_comment(line)
                        continue
                else:
                    bare = line.lstrip(" ")
                    if not bare or bare[0] == "#":
                        _check_comment(line)
                        continue
                    if bare[:2] != "- ":
                        raise Unclear
                    indent, key, is_entry, tail = len(line) - len(bare), None, True, bare[2:]

                if is_entry:
                    if waiting is not None and indent >= column:
                        stack.append((top, column))
                        top[waiting] = top = []
                        column = indent
                    elif root is None:
                        root = top = []
                    waiting = None
                    while column > indent:
                        top, column = stack.pop()
                    if column != indent or top.__class__ is not list or len(stack) > _MAX_BLOCK_DEPTH:
                        raise Unclear
                    if key is not None:
                        stack.append((top, column))
                        child: dict[str, Any] = {}
                        top.append(child)
                        top = child
                        column = indent + 2
                else:
                    if waiting is not None:
                        if indent > column:
                            stack.append((top, column))
                            top[waiting] = top = {}
                            column = indent
                        waiting = None
                    if indent != column or top.__class__ is not dict:
                        if root is None:
                            root = top = {}
                        while column > indent or (column == indent and top.__class__ is list and stack):
                            top, column = stack.pop()
                        if column != indent or top.__class__ is not dict:
                            raise Unclear
                    if key in top or len(stack) > _MAX_BLOCK_DEPTH:
                        raise Unclear

                value = scalars[tail]
                if value.__class__ is Special:
                    if value is NESTED and key is not None:
                        top[key] = None
                        waiting = key
                        continue
                    if value is FLOW:
                        value = self._flow(tail, 0)
                    elif value is CLIP or value is STRIP:
                        value, after_block = _block(rest, column, value)
                    else:
                        raise Unclear
                if key is None:
                    top.append(value)
                else:
                    top[key] = value
                if after_block is not None:
                    break
            lines = None if after_block is None else chain((after_block,), rest)
        if root is None:
            raise Unclear
        return root

    def _flow(self, text: str, depth: int) -> Any:
        if text[-1] != ("}" if text[0] == "{" else "]") or depth > _MAX_FLOW_DEPTH:
            raise Unclear
        body = text[1:-1].strip(" ")
        if not body:
            return {} if text[0] == "{" else []
        pieces = iter(body.split(", "))
        if text[0] == "[":
            return [self._flow_value(piece, pieces, depth) for piece in pieces]
        scalars, heads = self._flow_scalars, HEADS
        mapping: dict[str, Any] = {}
        for piece in pieces:
            head, colon, tail = piece.partition(": ")
            indent, key, is_entry = heads[head]
            if not colon or indent or key is None or is_entry or key in mapping:
                raise Unclear
            mapping[key] = self._flow_value(tail, pieces, depth) if tail[:1] in _OPENING else scalars[tail]
        return mapping

    def _flow_value(self, text: str, pieces: Iterator[str], depth: int) -> Any:
        """Read a value of which the text was cut at each `, `; takes what belongs to it from the pieces."""
        if text[:1] not in _OPENING:
            return self._flow_scalars[text]
        parts = [text]
        level = _level(text)
        while level > 0:
            piece = next(pieces, None)
            if piece is None:
                raise Unclear
            parts.append(piece)
            level += _level(piece)
        if level < 0:
            raise Unclear
        return self._flow(", ".join(parts), depth + 1)


_OPENING: Final = frozenset("{[")


def _level(text: str) -> int:
    """Say by how many brackets a text leaves open. One inside quotes miscounts, and then no quoted scalar is whole."""
    return text.count("{") + text.count("[") - text.count("}") - text.count("]")


def _check_comment(line: str) -> None:
    if not line.isprintable():
        raise Unclear


def _block(lines: Iterator[str], column: int, kind: Any) -> tuple[str, str]:
    """Read a literal block below something that stands at `column`. Gives its text and the line behind it."""
    content: list[str] = []
    indent = column + 1
    after = ""
    for line in lines:
        bare = line.lstrip(" ")
        width = len(line) - len(bare)
        if not bare:
            if not content or width > indent:
                raise Unclear
            content.append("")
        elif width >= indent:
            if not content:
                indent = width
            if not line.isprintable():
                raise Unclear
            content.append(line[indent:])
        else:
            after = line
            break
    while content and not content[-1]:
        content.pop()
    if not content:
        raise Unclear
    return "\n".join(content) + ("\n" if kind is CLIP else ""), after
