"""A Flaw: what is wrong within one document, before anyone knows where that document was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from fleet.model.problem import type_path


class Flaw(msgspec.Struct, frozen=True):
    """`path` leads from the document's root; `others` are the other ends of a clash, in the same document.

    `on_key`: the key itself is wrong, not what it holds.
    """

    path: type_path
    message: str
    hint: str = ""
    on_key: bool = False
    others: tuple[type_path, ...] = ()
    severity: Literal["error", "warning"] = "error"


def twice(path: type_path, names: Iterable[str], what: str, field: str = "name") -> Iterator[Flaw]:
    """A flaw for every name in the list at `path` that an earlier item has."""
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if first.setdefault(name, at) != at:
            steps: type_path = (field,) if field else ()
            other = (*path, first[name], *steps)
            yield Flaw((*path, at, *steps), f"{what} `{name}` is there twice", others=(other,))
