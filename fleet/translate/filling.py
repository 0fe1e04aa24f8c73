"""Texts with plain references, `{{ name }}`, filled in from a host's own variables; more of Jinja is not worked out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fleet.formats.inventory import Unsafe, Vaulted

Lookup = Callable[[str], Any]

_REFERENCE = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}")
_JINJA = re.compile(r"\{\{|\{%|\{#")
_DEEPEST = 10


def has_jinja(value: Any) -> bool:
    """Whether Ansible would work something out in a value."""
    if isinstance(value, str):
        return not isinstance(value, Unsafe | Vaulted) and _JINJA.search(value) is not None
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(has_jinja(item) for item in items)


def filled(text: str, lookup: Lookup, depth: int = 0) -> str | None:
    """The text with its references filled in; None where something is left that only Ansible can work out."""
    if isinstance(text, Unsafe):
        return str(text)
    if depth > _DEEPEST:
        return None
    parts = _REFERENCE.split(text)
    for at in range(1, len(parts), 2):
        value = lookup(parts[at])
        if isinstance(value, Vaulted) or not isinstance(value, str | int | float):
            return None
        inner = filled(value, lookup, depth + 1) if isinstance(value, str) else str(value)
        if inner is None:
            return None
        parts[at] = inner
    whole = "".join(parts)
    return None if _JINJA.search("".join(parts[0::2])) else whole


def emptied(text: str, lookup: Lookup, mark: str) -> str:
    """The text with plain references filled in, and `mark` in the place of all that only Ansible can work out."""

    def put(found: re.Match[str]) -> str:
        inner = filled(found[0], lookup)
        return mark if inner is None else inner

    known = _REFERENCE.sub(put, text)
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", mark, known, flags=re.DOTALL)
