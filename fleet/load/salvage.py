"""What of a wrong document can still be checked: the document without what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from fleet.load.flaw import Flaw
from fleet.load.thorough import flaws
from fleet.model.problem import type_path

_GONE = object()
_ROUNDS = 6


class Salvage:
    """`document` is the struct that is left, or None. Its lists may be shorter: `written` gives the true path."""

    def __init__(self, value: Any, of: Any, wrong: Iterable[Flaw]) -> None:
        self.document: Any = None
        self._indexes: dict[type_path, list[int]] = {}
        self._wrong = {flaw.path for flaw in wrong}
        paths = set(self._wrong)
        for _ in range(_ROUNDS):
            for path in paths:
                value = _without(value, path)
            self._indexes.clear()
            left = self._compact(value, ())
            try:
                self.document = msgspec.convert(left, of)
            except msgspec.ValidationError:
                # What is still wrong is wrong because of what was left out: leave out what holds it.
                paths = {self.written(flaw.path) for flaw in flaws(left, of)}
            else:
                return

    def written(self, path: type_path) -> type_path:
        """The path in the document as it was written, of a path in what is left of it."""
        true: type_path = ()
        for at, step in enumerate(path):
            indexes = self._indexes.get(path[:at])
            is_moved = indexes is not None and isinstance(step, int)
            true = (*true, indexes[step] if is_moved else step)  # type: ignore[index]
        return true

    def follows(self, path: type_path) -> bool:
        """Whether a flaw at this (true) path may be there only because of what was left out beside or below it."""
        return any(wrong[: len(path)] == path and len(wrong) <= len(path) + 1 for wrong in self._wrong)

    def _compact(self, value: Any, path: type_path) -> Any:
        if isinstance(value, dict):
            return {key: self._compact(item, (*path, key)) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        indexes = [at for at, item in enumerate(value) if item is not _GONE]
        if len(indexes) < len(value):
            self._indexes[path] = indexes
        return [self._compact(value[at], (*path, new)) for new, at in enumerate(indexes)]


def _without(value: Any, path: type_path) -> Any:
    """A copy of `value` without what stands at `path`; an item of a list leaves a mark, so that indexes hold."""
    if not path:
        return value
    step = path[0]
    if isinstance(value, dict) and step in value:
        if len(path) == 1:
            return {key: item for key, item in value.items() if key != step}
        return {**value, step: _without(value[step], path[1:])}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        item = _GONE if len(path) == 1 else _without(value[step], path[1:])
        return [*value[:step], item, *value[step + 1 :]]
    return value
