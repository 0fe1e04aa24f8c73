"""A Site with `from: SITESET` on top of its row: maps merge, things with a name or path merge by it, others replace.

What inheritance will read later (`key+`, `key: null` below k3s, os, vars, connection) stays as it is written, so that
it also acts on weaker layers.
"""

from __future__ import annotations

from typing import Any

from fleet.model.problem import Place, type_path

_LAYER = frozenset({"k3s", "hardening", "os", "vars", "connection"})
_KNOWN_BY = ("name", "path")


class Overlay:
    """Merges one overlay; `origins` tells which paths of the result it wrote, and where."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.origins: dict[type_path, Place] = {}

    def merged(self, base: Any, over: Any, path: type_path, written: type_path, *, in_layer: bool = False) -> Any:
        """`over`, written at `written`, on top of `base`; the result will stand at `path`."""
        if isinstance(base, dict) and isinstance(over, dict):
            return self._maps(base, over, path, written, in_layer=in_layer)
        if isinstance(base, list) and isinstance(over, list) and (field := _known_by([*base, *over])):
            return self._lists(base, over, path, written, field)
        self.origins[path] = self._place.at(*written)
        return over

    def _maps(
        self, base: dict[str, Any], over: dict[str, Any], path: type_path, written: type_path, *, in_layer: bool
    ) -> dict[str, Any]:
        result = dict(base)
        for key, value in over.items():
            here, there = (*path, key), (*written, key)
            if value is None and not in_layer and key not in _LAYER:
                result.pop(key, None)
                continue
            if not key.endswith("+") and in_layer:
                result.pop(f"{key}+", None)
            old = result.get(key)
            if key.endswith("+") and isinstance(value, list):
                result[key] = self._appended(result, key, value, here, there)
            elif old is None:
                self.origins[here] = self._place.at(*there)
                result[key] = value
            else:
                result[key] = self.merged(old, value, here, there, in_layer=in_layer or key in _LAYER)
        return result

    def _appended(
        self, result: dict[str, Any], key: str, value: list[Any], path: type_path, written: type_path
    ) -> list[Any]:
        old = result.get(key, [])
        kept = old if isinstance(old, list) else []
        for at, _ in enumerate(value):
            self.origins[*path, len(kept) + at] = self._place.at(*written, at)
        return [*kept, *value]

    def _lists(self, base: list[Any], over: list[Any], path: type_path, written: type_path, field: str) -> list[Any]:
        result = list(base)
        index = {item[field]: at for at, item in enumerate(base)}
        for at, item in enumerate(over):
            known = index.get(item[field])
            if known is None:
                self.origins[*path, len(result)] = self._place.at(*written, at)
                result.append(item)
            else:
                result[known] = self.merged(result[known], item, (*path, known), (*written, at))
        return result


def _known_by(items: list[Any]) -> str:
    for field in _KNOWN_BY:
        if items and all(isinstance(item, dict) and isinstance(item.get(field), str) for item in items):
            return field
    return ""
