"""How messages name values, kinds of values and near misses."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_+/:-]+")
_KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "null",
}


def found(value: Any) -> str:
    """What stands there, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {short(str(value))}"
    if isinstance(value, str):
        return f"`{short(value)}`" if value else "an empty string"
    return "a map" if isinstance(value, dict) else "a list"


def short(text: str) -> str:
    """`text` on one line, cut in the middle of what is long."""
    line = text.replace("\n", "\\n").replace("\t", "\\t")
    line = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in line)
    return line if len(line) <= 60 else line[:57] + "..."


def kind(name: str) -> str:
    """A JSON Schema type in words."""
    return _KINDS[name]


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def near(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is meant, or which there are; empty where there are too many to say."""
    return _near(name, tuple(sorted(known)))


@functools.lru_cache(maxsize=1024)
def _near(name: str, names: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        lower = {each.lower(): each for each in names}
        close = [lower[name.lower()]] if name.lower() in lower else []
    if close:
        return f"Did you mean `{close[0]}`?"
    if 0 < len(names) <= 8:
        return f"Known: {', '.join(f'`{each}`' for each in names)}."
    return ""


def path_text(path: Sequence[str | int]) -> str:
    """`spec.nodeSets[0].count`; a key that is no plain word stands in brackets and quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{short(step)}"]'
    return text
