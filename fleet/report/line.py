"""A line of text for people, and what it is: a face may colour it, and its words say everything without colour."""

from __future__ import annotations

from typing import Literal

import msgspec

LineKind = Literal["plain", "answer", "group", "added", "removed", "label", "refused", "warning", "hint", "next"]


class Line(msgspec.Struct, frozen=True):
    """`text` holds no line break and nothing that a terminal obeys, whatever a node wrote into its record."""

    text: str
    kind: LineKind = "plain"


def line(text: str, kind: LineKind = "plain") -> Line:
    return Line(clean(text), kind)


def clean(text: str) -> str:
    """The text with control characters and other unprintable ones as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
