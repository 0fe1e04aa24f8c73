"""Layers, labels and settings put together as the documents of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from fleet.model.spec.scalars import Role
from fleet.model.translation import NewFile
from fleet.translate.clusters import K3s
from fleet.translate.facts import HOST
from fleet.translate.hoisting import layer_of
from fleet.translate.labels import GroupLabels
from fleet.translate.layering import Field, Fields, Layered, Layers, Slot
from fleet.translate.layouts import Roles
from fleet.translate.names import Taken, dns_label
from fleet.translate.reaching import Reach
from fleet.translate.sites import Sites
from fleet.translate.writing import Heading, document

Map = dict[str, Any]
_WITHOUT = (
    "Layers merge where Ansible replaces: this removes what weaker ones said, before a stronger one says it anew."
)
_CONNECTION = ("address", "port", "user", "become", "becomePassword", "jumpHost", "proxyCommand", "privateKey")
_RANKS: dict[Role, int] = {"server": 0, "agent": 1, "none": 2}


class Parts(msgspec.Struct, frozen=True):
    """All that the documents are made of."""

    fleet: str
    nodes: Mapping[str, str]
    roles: Roles
    sites: Sites
    labels: GroupLabels
    layers: Layers
    k3s: K3s
    reaches: Mapping[str, Reach]


class Documents:
    """Writes the Fleet, its profiles and its sites."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._names = Taken()
        self._without: dict[Field, str] = {}
        self._profiles: list[NewFile] = []

    def files(self) -> list[NewFile]:
        uses = [*self._role_profiles(), *self._group_profiles()]
        sites = list(self._site_documents())
        return [self._fleet(uses), *sorted([*self._profiles, *self._removing()], key=lambda file: file.path), *sites]

    def _fleet(self, uses: list[Any]) -> NewFile:
        parts, levels = self._parts, self._parts.k3s.hoisted
        spec = _layer(parts.layers.fleet.fields, layer_of(levels.fleet))
        ordered: Map = {key: spec[key] for key in ("k3s", "connection") if key in spec}
        if parts.k3s.proxy:
            ordered["proxy"] = dict(parts.k3s.proxy)
        if uses:
            ordered["profiles"] = uses
        return document(Heading("fleet.yaml", "Fleet", parts.fleet), {**ordered, **spec})

    def _role_profiles(self) -> Iterator[Any]:
        for role, values in self._parts.k3s.hoisted.roles.items():
            name = self._names.give(f"k3s-{role}")
            self._add(name, {"k3s": layer_of(values)})
            yield {"name": name, "selector": {"matchLabels": {"role": role}}}

    def _group_profiles(self) -> Iterator[Any]:
        for slot, layer in self._parts.layers.profiles:
            selector = self._parts.labels.selector(slot.group)
            for name in self._removals(layer.anew):
                yield {"name": name, "selector": selector}
            name = self._names.give(self._profile_name(slot), 63)
            self._add(name, _layer(layer.fields, {}))
            yield {"name": name, "selector": selector}

    def _profile_name(self, slot: Slot) -> str:
        name = dns_label(slot.group, "group")
        return f"{name[:50].rstrip('-')}-inventory" if slot.rank == 1 else name

    def _add(self, name: str, spec: Map) -> None:
        self._profiles.append(document(Heading(f"profiles/{name}.yaml", "Profile", name), spec))

    def _removals(self, fields: Iterable[Field]) -> list[str]:
        """The profiles that remove fields, each made when it is first needed."""
        for field in sorted(fields):
            if field not in self._without:
                self._without[field] = self._names.give(f"without-{dns_label(field[1], 'value')[:50].rstrip('-')}", 63)
        return [self._without[field] for field in sorted(fields)]

    def _removing(self) -> Iterator[NewFile]:
        for (part, key), name in self._without.items():
            heading = Heading(f"profiles/{name}.yaml", "Profile", name, comment=_WITHOUT)
            yield document(heading, {part: {key: None}})

    def _site_documents(self) -> Iterator[NewFile]:
        parts = self._parts
        labels = parts.labels.of_sites()
        at_site: dict[str, list[str]] = {site: [] for site in sorted(set(parts.sites.of.values()))}
        for host, site in parts.sites.of.items():
            at_site[site].append(host)
        order = {host: at for at, host in enumerate(parts.roles.servers)}
        for site, hosts in at_site.items():
            hosts.sort(key=lambda host: (_RANKS[parts.roles.of[host]], order.get(host, 0)))
            spec = {**self._site(site), "nodes": [self._node(host, labels[site]) for host in hosts]}
            yield document(Heading(f"sites/{site}.yaml", "Site", site, labels[site]), spec)

    def _site(self, site: str) -> Map:
        parts = self._parts
        layer = parts.layers.sites.get(parts.sites.groups.get(site, ""), Layered({}, set()))
        spec: Map = {}
        cluster = parts.k3s.clusters.get(site)
        said = {} if cluster is None else {"join": cluster.join, "endpoint": cluster.endpoint}
        if any(said.values()):
            spec["cluster"] = {key: value for key, value in said.items() if value}
        if removals := self._removals(layer.anew):
            spec["profiles"] = removals
        return {**spec, **_layer(layer.fields, layer_of(parts.k3s.hoisted.sites.get(site, {})))}

    def _node(self, host: str, site_labels: Mapping[str, str]) -> Map:
        parts = self._parts
        name, reach = parts.nodes[host], parts.reaches[host]
        node: Map = {"name": name, "role": parts.roles.of[host]}
        if len(reach.addresses) == 1:
            node["address"] = reach.addresses[0]
        elif reach.addresses:
            node["addresses"] = list(reach.addresses)
        if labels := parts.labels.of_node(host, dict(site_labels)):
            node["labels"] = labels
        layer = parts.layers.nodes.get(host)
        fields = {} if layer is None else layer.fields
        if layer is not None and layer.anew:
            node["profiles"] = self._removals(layer.anew)
        if reach.dial:
            fields = {("connection", "address"): reach.dial, **fields}
        if name != host:
            fields = {**fields, ("vars", HOST): host}
        return {**node, **_layer(fields, layer_of(parts.k3s.hoisted.nodes.get(host, {})))}


def _layer(fields: Fields, k3s: Map) -> Map:
    """Fields as a layer: how to reach, K3s, variables."""
    by_part: dict[str, Map] = {}
    for (part, key), value in fields.items():
        by_part.setdefault(part, {})[key] = value
    layer: Map = {}
    if connection := by_part.get("connection"):
        layer["connection"] = {key: connection[key] for key in _CONNECTION if key in connection}
    if k3s:
        layer["k3s"] = k3s
    if variables := by_part.get("vars"):
        layer["vars"] = variables
    return layer
