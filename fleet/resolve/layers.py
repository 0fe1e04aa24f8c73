"""Which layers a node has, weakest first, and their merge, made once per distinct chain.

Weakest first: Fleet, its profiles in listed order, the Site's profiles, Site, the set's profiles, set, the node's
profiles, node (spec.md, Inheritance).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from fleet.model.problem import Place, type_path
from fleet.model.spec.document import Document, Spec
from fleet.model.spec.fleet import ProfileUse
from fleet.model.spec.settings import Layer
from fleet.resolve.merge import Map, merge
from fleet.resolve.selector import matches

Refs = Sequence[str | ProfileUse] | UnsetType

CONTENTS = ("content", "template", "source")
FIELDS = ("k3s", "hardening", "os", "vars", "connection")


class Written(msgspec.Struct, frozen=True, eq=False):
    """One layer as plain values, and where in the spec it is written. Compared by identity."""

    value: Map
    document: Document[Any]
    path: type_path

    def place(self, *path: str | int) -> Place:
        return self.document.place(*self.path, *path)


class LayerBook:
    """Turns Layers into chains and chains into merged maps, each once."""

    def __init__(self, spec: Spec) -> None:
        self._written: dict[int, tuple[Layer, Written]] = {}
        self._merged: dict[tuple[int, ...], Map] = {(): {}}
        self._indexes: dict[int, tuple[Sequence[str | ProfileUse], _Index]] = {}
        self.profiles = {
            name: self.written(document.spec, document, "spec") for name, document in spec.profiles.items()
        }
        self.fleet = self.written(spec.fleet.spec, spec.fleet, "spec")

    def written(self, layer: Layer, document: Document[Any], *path: str | int) -> Written:
        """`layer`, found at `path` of the document, as plain values; made once per object."""
        known = self._written.get(id(layer))
        if known is None:
            known = self._written[id(layer)] = (layer, Written(plain(layer), document, path))
        return known[1]

    def selected(self, refs: Refs, labels: Mapping[str, str]) -> list[Written]:
        """The profiles that `refs` name and whose selector sees `labels`; unknown names were refused by load."""
        if isinstance(refs, UnsetType):
            return []
        index = self._index(refs)
        found = []
        for at in sorted(index.near(labels)):
            ref = refs[at]
            if isinstance(ref, str):
                found.append(self.profiles[ref])
            elif isinstance(ref.selector, UnsetType) or matches(ref.selector, labels):
                found.append(self.profiles[ref.name])
        return found

    def _index(self, refs: Sequence[str | ProfileUse]) -> _Index:
        known = self._indexes.get(id(refs))
        if known is None:
            known = self._indexes[id(refs)] = (refs, _Index(refs))
        return known[1]

    def merged(self, chain: Iterable[Written]) -> Map:
        """The chain merged. Prefixes are shared, so a node with one layer of its own costs one merge."""
        key: tuple[int, ...] = ()
        result: Map = self._merged[()]
        for written in chain:
            if not written.value:
                continue
            key = (*key, id(written))
            known = self._merged.get(key)
            if known is None:
                known = self._merged[key] = merge(result, written.value)
            result = known
        return result

    def merged_once(self, base: Map, written: Map) -> Map:
        """A node's own layer on top of a chain's merge, not remembered: every node has another."""
        return merge(base, written) if written else base


class _Index:
    """Which of many profiles a node can have at all: a thousand groups of an inventory are a thousand selectors."""

    def __init__(self, refs: Sequence[str | ProfileUse]) -> None:
        self._always: list[int] = []
        self._by_label: dict[tuple[str, str], list[int]] = {}
        for at, ref in enumerate(refs):
            wanted = UNSET if isinstance(ref, str) or isinstance(ref.selector, UnsetType) else ref.selector.match_labels
            if isinstance(wanted, UnsetType) or not wanted:
                self._always.append(at)
            else:
                self._by_label.setdefault(next(iter(wanted.items())), []).append(at)

    def near(self, labels: Mapping[str, str]) -> list[int]:
        """The places of those whose selector may match, in no order."""
        found = list(self._always)
        for label in labels.items() if self._by_label else ():
            found += self._by_label.get(label, ())
        return found


def plain(layer: Layer) -> Map:
    """The layer's own fields as plain values, without what is unset; `packages` all as maps, so that they merge."""
    value: Map = {}
    for field in FIELDS:
        part = getattr(layer, field)
        if part is UNSET:
            continue
        value[field] = msgspec.to_builtins(part) if isinstance(part, msgspec.Struct) else part
    k3s, system = value.get("k3s"), value.get("os")
    if k3s:
        _one_of(k3s, ("version", "channel"))
        _one_content(k3s, "manifests")
    if system:
        _one_content(system, "files")
        for key in ("packages", "packages+"):
            if system.get(key):
                system[key] = [{"name": p} if isinstance(p, str) else p for p in system[key]]
    return value


def _one_content(part: Map, field: str) -> None:
    for key in (field, f"{field}+"):
        for item in part.get(key) or ():
            _one_of(item, CONTENTS)


def _one_of(part: Map, fields: Sequence[str]) -> None:
    """Of fields that exclude each other, a stronger layer's one replaces a weaker layer's other."""
    if any(part.get(field) is not None for field in fields):
        for field in fields:
            part.setdefault(field, None)
