"""A fast reader for the plain part of YAML, line by line: `key: value`, `- item`, `{a: b, c: [d]}`, `|` blocks, comments.

It never guesses: at the first thing that it does not fully understand it raises `Unclear`, and the strict builder over
libyaml reads the document instead. It never reports a mistake. A property test holds the two to the same answers.
"""

from collections.abc import Iterator
from itertools import chain, islice
from operator import length_hint
from typing import Any, Final

from fleet.formats.yaml_atoms import CLIP, FLOW, HEADS, NESTED, STRIP, FlowScalars, LineScalars, Unclear
from fleet.formats.yaml_repeats import Repeats
from fleet.formats.yaml_scalars import Special

# Leaves room for flow collections inside the block ones, of 100 levels in all.
_MAX_BLOCK_DEPTH: Final = 80
_MAX_REPEAT_DEPTH: Final = 70
_MAX_FLOW_DEPTH: Final = 10


class LineReader:
    """Reads the documents of one stream; remembers their scalars."""

    def __init__(self) -> None:
        self._scalars = LineScalars()
        self._flow_scalars = FlowScalars()
        self._repeats = Repeats(self._scalars, self._flow)

    def read(self, text: str) -> Any:  # noqa: C901, PLR0912, PLR0915 -- one flat loop: a call per line costs a third
        """Read one document, without its `---`. Raises Unclear, also where there is no content."""
        heads, scalars = HEADS, self._scalars
        root: Any = None
        top: Any = None
        # Where the entries of `top` stand: 2 x indentation, and 1 more in a list. So a list may stand as deep as the key
        # above it, and a line at the place of `top` is sure to be of its kind.
        place = -1
        stack: list[tuple[Any, int]] = [(None, -1)]
        waiting: str | None = None  # the key of `top` whose value may follow, deeper, on the next lines
        key: str | None
        whole = text.split("\n")
        self._repeats.open(text, whole)
        rest = iter(whole)
        lines: Iterator[str] | None = rest
        while lines is not None:
            after_block: str | None = None
            for line in lines:
                head, colon, tail = line.partition(": ")
                if colon:
                    here, key = heads[head]
                    if key is None:
                        if here < 0:
                            _check_comment(line)
                            continue
                        tail = line[(here >> 1) + 2 :]
                elif line[-1:] == ":":
                    here, key = heads[line[:-1]]
                    if key is None:
                        if here >= 0:
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
                    here, key, tail = 2 * (len(line) - len(bare)) + 1, None, bare[2:]

                if here != place or waiting is not None:
                    if waiting is not None:
                        if here > place:
                            stack.append((top, place))
                            top[waiting] = top = [] if here & 1 else {}
                            place = here
                        waiting = None
                    elif root is None and here <= 1:
                        root = top = [] if here else {}
                        place = here
                    while place > here:
                        top, place = stack.pop()
                    if place != here or len(stack) > _MAX_BLOCK_DEPTH:
                        raise Unclear
                if here & 1:
                    if key is not None:
                        if len(stack) < _MAX_REPEAT_DEPTH:
                            known = self._repeats.read(len(whole) - length_hint(rest) - 1, head)
                            if known is not None:
                                items, count = known
                                top += items
                                next(islice(rest, count - 2, count - 1))
                                continue
                        stack.append((top, place))
                        child: dict[str, Any] = {}
                        top.append(child)
                        top = child
                        place += 3
                elif key in top:
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
                        value, after_block = _block(rest, place >> 1, value)
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
            head, _, tail = piece.partition(": ")
            here, key = heads[head]
            if here or key is None or key in mapping:
                raise Unclear
            # A piece without a colon has an empty tail, which is no scalar.
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
