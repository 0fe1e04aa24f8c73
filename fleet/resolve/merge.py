"""What inheritance means (spec.md, Inheritance), on plain maps, lists and leaves.

Maps merge; lists of things with a name or path merge by it; other lists replace, and `key+` appends without
duplicates; `key: null` removes. Neither operand is changed, and what an override does not touch keeps its identity,
so that callers can cache by identity. Leaves are opaque: `origin` merges leaves that carry where they come from.
"""

from __future__ import annotations

from typing import Any

Map = dict[str, Any]


def merge(base: Map, over: Map) -> Map:
    """`base` overridden by `over`: a new map that shares every subtree that `over` leaves alone."""
    merged = dict(base)
    appended = []
    for key, value in over.items():
        if key[-1:] == "+":
            appended.append(key)
        elif isinstance(value, dict):
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, dict) else settled(value)
        elif isinstance(value, list):
            merged[key] = _merge_lists(merged.get(key), value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    for key in appended:
        if over[key] is not None:
            merged[key[:-1]] = _append(merged.get(key[:-1]), over[key])
    return merged


def settled(value: Any) -> Any:
    """`value` with nothing below it: nulls gone, `key+` become `key`. The same object where nothing had to change."""
    if isinstance(value, dict):
        if any(item is None or key[-1:] == "+" for key, item in value.items()):
            return merge({}, value)
        changed = {key: settled(item) for key, item in value.items() if isinstance(item, dict | list)}
        if all(value[key] is item for key, item in changed.items()):
            return value
        return {**value, **changed}
    if isinstance(value, list):
        items = [settled(item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def key_of(items: list[Any]) -> str:
    """The field that the things in a list are known by: `name`, else `path`, else nothing."""
    for field in ("name", "path"):
        if items and all(isinstance(item, dict) and item.get(field) is not None for item in items):
            return field
    return ""


def _merge_lists(old: Any, new: list[Any]) -> list[Any]:
    field = key_of(new)
    if not field or not isinstance(old, list) or key_of(old) != field:
        return settled(new) if not field else _by_key([], new, field)
    return _by_key(old, new, field)


def _by_key(old: list[Any], new: list[Any], field: str) -> list[Any]:
    merged: dict[Any, Any] = {item[field]: item for item in old}
    for item in new:
        known = merged.get(item[field])
        merged[item[field]] = settled(item) if known is None else merge(known, item)
    return list(merged.values())


def _append(old: Any, new: Any) -> Any:
    if isinstance(new, dict):
        return merge(old, new) if isinstance(old, dict) else settled(new)
    if not isinstance(new, list):
        new = [new]
    if not isinstance(old, list):
        old = [] if old is None else [old]
    field = key_of(new)
    if field and (not old or key_of(old) == field):
        return _by_key(old, new, field)
    return old + [item for at, item in enumerate(new) if item not in old and item not in new[:at]]
