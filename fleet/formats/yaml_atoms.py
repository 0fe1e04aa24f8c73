"""The pieces of a line that the fast YAML reader understands: keys, and scalars that are whole on their line.

What is not surely read alike by libyaml raises `Unclear`; texts seen before cost one look-up.
"""

import re
from collections.abc import Mapping
from sys import intern
from typing import Any, ClassVar, Final

from fleet.formats.yaml_scalars import AMBIGUOUS, WORDS, PlainScalars, Special, is_plain_string

_MAX_HEADS: Final = 10_000
_MAX_TEXTS: Final = 100_000
_MAX_KEY: Final = 500
_HEAD: Final = re.compile(r"""( *)(- )?(?:([A-Za-z_][\w./-]*)|"([^"\\]*)"|'([^']*)')""")
_DASH: Final = re.compile(r"( *)- ")
_FLOW_PLAIN: Final = re.compile(r"-?[\w.~+/](?:[\w./~+=@()%-]|:(?=[\w/])| (?=[\w(]))*")
# Not `yes` or `null`: those are known, and never looked for here. No number has three dots.
_SURELY_TEXT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_PLAIN_STARTS: Final = frozenset("_./~+")
_COMMENT: Final = (-1, None)

# What begins in a line and is no scalar that is whole there.
NESTED: Final = Special()
FLOW: Final = Special()
CLIP: Final = Special()
STRIP: Final = Special()

Head = tuple[int, str | None]


class Unclear(Exception):  # noqa: N818 -- no error: the strict builder reads what is unclear here
    """The text goes beyond what the fast reader understands."""


class Heads(dict[str, Head]):
    """What stands before `: ` -> (place, key). The place is twice the indentation, and 1 more behind a dash.

    The key is None where the dash is all that is understood; the place is -1 for a comment.
    """

    def __missing__(self, head: str) -> Head:
        found = _HEAD.fullmatch(head)
        if found is not None:
            parsed: Head = (2 * len(found[1]) + (found[2] is not None), _key(found))
        elif (dash := _DASH.match(head)) is not None:
            parsed = (2 * len(dash[1]) + 1, None)
        elif head.lstrip(" ")[:1] == "#":
            return _COMMENT
        else:
            raise Unclear
        if len(self) < _MAX_HEADS:
            self[head] = parsed
        return parsed


# Shared by all texts, and only ever added to: many small files have the same keys.
HEADS: Final = Heads()


def _key(found: re.Match[str]) -> str:
    plain = found[3]
    text: str = plain if plain is not None else found[4] if found[4] is not None else found[5]
    if len(text) > _MAX_KEY or not text.isprintable():
        raise Unclear
    if plain is not None and text not in _SURE and not is_plain_string(text):
        raise Unclear
    return intern(text)


# Quoted on the way out, but strings to every reader that is asked here.
_SURE: Final = frozenset("yYnN")


class LineScalars(PlainScalars):
    """Text of a value in a line -> the value, or what kind of value begins there."""

    words: ClassVar[Mapping[str, Any]] = {**WORDS, "": NESTED, "|": CLIP, "|-": STRIP}

    def __missing__(self, text: str) -> Any:
        first = text[0]
        is_text = _SURELY_TEXT.fullmatch(text) is not None
        if is_text or first in {'"', "'"}:
            value: Any = text if is_text else _unquoted(text, first)
            if len(self) < _MAX_TEXTS:
                self[text] = value
            return value
        if first in {"{", "["}:
            return FLOW  # not kept: most come only once
        if first == " ":
            return self[text.lstrip(" ")]
        if first == "#" and text.isprintable():
            return NESTED
        if not (first.isalnum() or first in _PLAIN_STARTS or (first == "-" and text[1:2].isalnum())):
            raise Unclear
        if ": " in text or text[-1] in {" ", ":"} or not text.isprintable():
            raise Unclear
        if " #" in text:
            return self[text[: text.index(" #")].rstrip(" ")]
        return super().__missing__(text)


class FlowScalars(dict[str, Any]):
    """Text of a scalar inside `{}` or `[]` -> its value."""

    def __init__(self) -> None:
        super().__init__()
        self._plain = PlainScalars()

    def __missing__(self, text: str) -> Any:
        if text[:1] in {'"', "'"}:
            value: Any = _unquoted(text, text[0])
        elif _FLOW_PLAIN.fullmatch(text):
            value = self._plain[text]
            if value is AMBIGUOUS:
                raise Unclear
        else:
            raise Unclear
        if len(self) < _MAX_TEXTS:
            self[text] = value
        return value


def _unquoted(text: str, quote: str) -> str:
    body = text[1:-1]
    if len(text) < 2 or text[-1] != quote or quote in body or not body.isprintable():
        raise Unclear
    if quote == '"' and "\\" in body:
        raise Unclear
    return intern(body)
