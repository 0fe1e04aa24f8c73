"""Secrets in contents: a template moves placeholders, and what comes out is cut into segments at them.

The value of a secret is never known here. NUL cannot stand in a text file, so a placeholder cannot be mistaken for
content, and one that was bent by a filter is noticed: a template may insert or base64 a secret, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from jinja2.exceptions import SecurityError

from fleet.model.bundle import SecretRef, Segment
from fleet.model.secret import LockedSecret

_PLACEHOLDER = re.compile("\0S:([A-Za-z0-9._-]+):(plain|base64|json)\0")
_ONLY = "a template may insert or base64 a secret, nothing else"
PREFIX = "secret:"


class SecretName:
    """What `secrets.NAME` is in a template."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"\0S:{self.name}:plain\0"

    def __repr__(self) -> str:
        """Within a list or a map: a bent placeholder, which `segments` refuses."""
        return "\0"

    @property
    def base64_placeholder(self) -> str:
        return f"\0S:{self.name}:base64\0"

    def __bool__(self) -> bool:
        raise SecurityError(_ONLY)

    def __eq__(self, other: object) -> bool:
        raise SecurityError(_ONLY)

    def __hash__(self) -> int:
        raise SecurityError(_ONLY)


class SecretNames(dict[str, SecretName]):
    """The `secrets` of a template: every name that secrets.lock knows. Not to be walked, only asked."""

    def __init__(self, known: Mapping[str, LockedSecret]) -> None:
        super().__init__((name, SecretName(name)) for name in known)


def json_placeholder(name: str) -> str:
    """A secret as a JSON (and YAML) string in quotes, for generated YAML."""
    return f"\0S:{name}:json\0"


def segments(text: str, known: Mapping[str, LockedSecret]) -> tuple[Segment, ...]:
    """`text` cut at its placeholders; one plain segment when there is none. Raises SecurityError for a bent one."""
    if "\0" not in text:
        return (text,)
    parts = _PLACEHOLDER.split(text)
    made: list[Segment] = []
    for plain, name, encoding in zip(parts[0::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        if "\0" in plain:
            raise SecurityError(_ONLY)
        if plain:
            made.append(plain)
        if name:
            locked = known.get(name)
            fingerprint = "" if locked is None else locked.fingerprint
            made.append(SecretRef(name, cast("Literal['plain', 'base64', 'json']", encoding), fingerprint))
    return tuple(made)


def named(value: Any) -> Any:
    """A value of `vars` as templates see it: `secret:NAME` becomes the secret. The same object where there is none."""
    if isinstance(value, str):
        return SecretName(value.removeprefix(PREFIX)) if value.startswith(PREFIX) else value
    if isinstance(value, dict):
        changed = {key: named(item) for key, item in value.items()}
        return value if all(value[key] is item for key, item in changed.items()) else changed
    if isinstance(value, list):
        items = [named(item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def names_in(value: Any) -> set[str]:
    """Every NAME of a `secret:NAME` in a value."""
    if isinstance(value, str):
        return {value.removeprefix(PREFIX)} if value.startswith(PREFIX) else set()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for item in items for name in names_in(item)}
