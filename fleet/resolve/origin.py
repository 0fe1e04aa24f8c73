"""Which line of the spec each value of one node comes from.

Worked out for one node when somebody asks, by the very merge that made the node, over leaves that know their place:
nothing is kept per value (at 100,000 nodes that would cost more than the fleet itself).
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec

from fleet.model.learned import Learned
from fleet.model.node import Node
from fleet.model.problem import Place
from fleet.model.spec.document import Spec
from fleet.resolve.layers import Written
from fleet.resolve.members import Members
from fleet.resolve.merge import key_of, merge
from fleet.resolve.settings import SettingsMaker


class Origin(msgspec.Struct, frozen=True):
    """One value that won: its path in the merged settings, the value, and where it is written."""

    path: str
    value: Any
    place: Place


class _Leaf:
    """A leaf that knows its place; equal to another by value, so that lists merge as they do without places."""

    __slots__ = ("place", "value")

    def __init__(self, value: Any, place: Place) -> None:
        self.value = value
        self.place = place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Leaf) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def origins(spec: Spec, learned: Learned, node: Node) -> list[Origin]:
    """Every value of `node`'s settings and labels in the order of its path."""
    document = spec.sites[node.site]
    layers = Members(spec, learned, SettingsMaker(spec.lock)).layers_of(document, node)
    merged: dict[str, Any] = reduce(merge, (_marked(layer.value, layer, ()) for layer in layers), {})
    found: list[Origin] = []
    _collect(merged, "", found)
    member = node.place.at("labels")
    for key, value in node.labels.items():
        place = document.place("metadata", "labels", key) if document.labels.get(key) == value else member.at(key)
        found.append(Origin(f"labels.{key}", value, place))
    return sorted(found, key=lambda origin: origin.path)


def place_of(layers: list[Written], path: tuple[str, ...]) -> Place:
    """Where the strongest layer that says something at `path` says it; the strongest layer itself when none does."""
    for layer in reversed(layers):
        value: Any = layer.value
        walked: list[str] = []
        for step in path:
            key = step if isinstance(value, dict) and step in value else f"{step}+"
            if not isinstance(value, dict) or key not in value:
                break
            value = value[key]
            walked.append(key)
        else:
            return layer.place(*walked)
    return layers[-1].place()


def _marked(value: Any, layer: Written, path: tuple[str | int, ...]) -> Any:
    """`value` with every leaf but null turned into one that knows its place."""
    if isinstance(value, dict):
        return {key: _marked(item, layer, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, layer, (*path, at)) for at, item in enumerate(value)]
    return value if value is None else _Leaf(value, layer.place(*path))


def _collect(value: Any, path: str, found: list[Origin]) -> None:
    if isinstance(value, _Leaf):
        found.append(Origin(path, value.value, value.place))
    elif isinstance(value, dict):
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        field = key_of(value)
        for at, item in enumerate(value):
            _collect(item, f"{path}[{item[field].value if field else at}]", found)
