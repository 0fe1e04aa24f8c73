"""Checks of a Site: its network, clusters, nodes and node sets."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping

from msgspec import UNSET, UnsetType

from fleet.load.checks.layer import LayerChecks
from fleet.load.checks.texts import (
    address_fault,
    countries,
    is_within,
    label_fault,
    network_fault,
    packed,
    time_zones,
    usable,
)
from fleet.load.flaw import Flaw, twice
from fleet.load.words import near
from fleet.model.problem import type_path
from fleet.model.spec.fleet import Profiles
from fleet.model.spec.selector import Selector
from fleet.model.spec.settings import ConnectionLayer
from fleet.model.spec.site import ClusterSpec, ExternalDatastoreSpec, NetworkSpec, NodeSetSpec, NodeSpec, SiteSpec

BUILT_IN = frozenset({"site", "role", "set", "cluster", "arch"})
_SPEC: type_path = ("spec",)


class SiteChecks:
    """Checks sites of one spec; `profiles` are the names that there are."""

    def __init__(self, layers: LayerChecks, profiles: Collection[str]) -> None:
        self._layers = layers
        self._profiles = profiles

    def of(self, name: str, labels: Mapping[str, str], site: SiteSpec) -> Iterator[Flaw]:
        yield from label_flaws(("metadata", "labels"), labels)
        yield from self._layers.of(_SPEC, site)
        yield from self.profiles((*_SPEC, "profiles"), site.profiles)
        yield from _place(site)
        if isinstance(site.network, NetworkSpec):
            yield from _network((*_SPEC, "network"), site.network)
        if isinstance(site.cluster, ClusterSpec):
            yield from self._cluster((*_SPEC, "cluster"), site.cluster, name)
        clusters = {} if isinstance(site.clusters, UnsetType) else site.clusters
        for key, cluster in clusters.items():
            yield from self._cluster((*_SPEC, "clusters", key), cluster, "")
        nodes = [] if isinstance(site.nodes, UnsetType) else site.nodes
        yield from twice((*_SPEC, "nodes"), [node.name for node in nodes], "the node")
        for at, node in enumerate(nodes):
            if not _is_plain(node):
                yield from self._node((*_SPEC, "nodes", at), node, clusters)
        sets = [] if isinstance(site.node_sets, UnsetType) else site.node_sets
        yield from twice((*_SPEC, "nodeSets"), [each.name for each in sets], "the set")
        for at, each in enumerate(sets):
            yield from self._set((*_SPEC, "nodeSets", at), each, clusters)

    def profiles(self, path: type_path, uses: Profiles | UnsetType) -> Iterator[Flaw]:
        """Flaws of a list of profiles."""
        if isinstance(uses, UnsetType):
            return
        names = [use if isinstance(use, str) else use.name for use in uses]
        for at, (use, name) in enumerate(zip(uses, names, strict=True)):
            if name not in self._profiles:
                steps: type_path = (at,) if isinstance(use, str) else (at, "name")
                yield Flaw((*path, *steps), f"no Profile `{name}`", near(name, self._profiles))
            if not isinstance(use, str) and isinstance(use.selector, Selector):
                yield from selector_flaws((*path, at, "selector"), use.selector)

    def _cluster(self, path: type_path, cluster: ClusterSpec, site: str) -> Iterator[Flaw]:
        if isinstance(cluster.join, str):
            if cluster.join == site:
                yield Flaw((*path, "join"), "a site cannot join itself")
            own = (cluster.endpoint, cluster.datastore, cluster.growing, cluster.snapshot)
            if any(value is not UNSET for value in own):
                yield Flaw(path, "nodes that join another cluster say nothing of its own", "Set it at that site.")
        endpoint = cluster.endpoint
        if isinstance(endpoint, str) and endpoint.replace(".", "").isdigit() and (fault := address_fault(endpoint)):
            yield Flaw((*path, "endpoint"), fault)
        if isinstance(cluster.datastore, ExternalDatastoreSpec):
            external = cluster.datastore.external
            inner = (*path, "datastore", "external")
            for field in ("ca", "cert"):
                if isinstance(name := getattr(external, field), str):
                    yield from self._layers.repository_file((*inner, field), name)
            if (external.cert is UNSET) != (external.key is UNSET):
                yield Flaw(inner, "expected cert and key together, found one of them")

    def _member(self, path: type_path, member: NodeSpec | NodeSetSpec, clusters: Collection[str]) -> Iterator[Flaw]:
        yield from self._layers.of(path, member, member.role)
        yield from self.profiles((*path, "profiles"), member.profiles)
        if not isinstance(member.labels, UnsetType):
            yield from label_flaws((*path, "labels"), member.labels)
        if isinstance(member.cluster, str) and member.cluster not in clusters:
            hint = near(member.cluster, clusters) or "Name it under the site's `clusters`."
            yield Flaw((*path, "cluster"), f"no cluster `{member.cluster}` at this site", hint)

    def _node(self, path: type_path, node: NodeSpec, clusters: Collection[str]) -> Iterator[Flaw]:
        yield from self._member(path, node, clusters)
        if node.address is not UNSET and node.addresses is not UNSET:
            yield Flaw(path, "expected one of address and addresses, found both")
        elif node.address is UNSET and node.addresses is UNSET and not _is_dialled_elsewhere(node):
            hint = "Or say in `connection: {address: …}` by which name it is reached."
            yield Flaw(path, "expected one of address and addresses, found none", hint)
        if isinstance(node.address, str) and (fault := address_fault(node.address)):
            yield Flaw((*path, "address"), fault)
        addresses = [] if isinstance(node.addresses, UnsetType) else node.addresses
        for at, address in enumerate(addresses):
            if fault := address_fault(address):
                yield Flaw((*path, "addresses", at), fault)
        yield from twice((*path, "addresses"), addresses, "the address", "")

    def _set(self, path: type_path, each: NodeSetSpec, clusters: Collection[str]) -> Iterator[Flaw]:
        yield from self._member(path, each, clusters)
        if (each.addresses is UNSET) == (each.start is UNSET):
            found = "none" if each.start is UNSET else "both"
            yield Flaw(path, f"expected one of addresses and start, found {found}")
        if isinstance(each.addresses, str):
            room, fault = usable(each.addresses)
            if fault:
                yield Flaw((*path, "addresses"), fault)
            elif each.count > room:
                unit = "address" if room == 1 else "addresses"
                message = f"{each.count} nodes do not fit in {each.addresses} ({room} usable {unit})"
                yield Flaw((*path, "count"), message)
        if isinstance(each.start, str):
            number = packed(each.start)
            if number is None:
                yield Flaw((*path, "start"), address_fault(each.start))
            elif int.from_bytes(number, "big") + each.count > 1 << len(number) * 8:
                yield Flaw((*path, "count"), f"{each.count} addresses from {each.start} on do not exist")


def _is_dialled_elsewhere(node: NodeSpec) -> bool:
    """Whether the node itself says where it is reached: then K3s finds its address by itself."""
    return isinstance(node.connection, ConnectionLayer) and isinstance(node.connection.address, str)


def _is_plain(node: NodeSpec) -> bool:
    """The fast way for the most common node: an address, labels, and nothing that wants a look of its own."""
    return (
        node.k3s is UNSET
        and node.os is UNSET
        and node.connection is UNSET
        and node.profiles is UNSET
        and node.cluster is UNSET
        and node.addresses is UNSET
        and isinstance(node.address, str)
        and packed(node.address) is not None
        and (isinstance(node.labels, UnsetType) or all(map(_is_good_label, node.labels.items())))
    )


@functools.lru_cache(maxsize=4096)  # labels are few, and each is on many nodes
def _is_good_label(label: tuple[str, str]) -> bool:
    return label[0] not in BUILT_IN and not label_fault(*label)


def label_flaws(path: type_path, labels: Mapping[str, str]) -> Iterator[Flaw]:
    for key, value in labels.items():
        if fault := label_fault(key, value):
            yield Flaw((*path, key), fault)
        elif key in BUILT_IN:
            yield Flaw((*path, key), f"every node has the label `{key}` by itself", "Choose another name.", on_key=True)


def selector_flaws(path: type_path, selector: Selector) -> Iterator[Flaw]:
    """Flaws of a selector: labels that cannot be, and values where there must be some or none."""
    for key, value in ({} if isinstance(selector.match_labels, UnsetType) else selector.match_labels).items():
        if fault := label_fault(key, value):
            yield Flaw((*path, "matchLabels", key), fault)
    expressions = [] if isinstance(selector.match_expressions, UnsetType) else selector.match_expressions
    for at, expression in enumerate(expressions):
        here = (*path, "matchExpressions", at)
        if fault := label_fault(expression.key, None):
            yield Flaw((*here, "key"), fault)
        has_values = not isinstance(expression.values, UnsetType) and bool(expression.values)
        if expression.operator in {"In", "NotIn"} and not has_values:
            yield Flaw(here, f"{expression.operator} needs values")
        if expression.operator in {"Exists", "DoesNotExist"} and has_values:
            yield Flaw((*here, "values"), f"{expression.operator} takes no values")


def _place(site: SiteSpec) -> Iterator[Flaw]:
    if isinstance(site.time_zone, str) and site.time_zone not in time_zones():
        hint = near(site.time_zone, time_zones())
        yield Flaw((*_SPEC, "timeZone"), f"no time zone `{site.time_zone}` in the IANA database", hint)
    known = countries() if isinstance(site.jurisdiction, str) else frozenset()
    if isinstance(site.jurisdiction, str) and site.jurisdiction not in known | {"EU", "EEA"}:
        hint = "The United Kingdom is GB." if site.jurisdiction == "UK" else ""
        yield Flaw((*_SPEC, "jurisdiction"), f"no country `{site.jurisdiction}` in ISO 3166-1", hint)


def _network(path: type_path, network: NetworkSpec) -> Iterator[Flaw]:
    is_good = True
    if isinstance(network.cidr, str):
        fault, hint = network_fault(network.cidr)
        if fault:
            is_good = False
            yield Flaw((*path, "cidr"), fault, hint)
    if isinstance(network.gateway, str):
        if fault := address_fault(network.gateway):
            yield Flaw((*path, "gateway"), fault)
        elif is_good and isinstance(network.cidr, str) and not is_within(network.gateway, network.cidr):
            yield Flaw((*path, "gateway"), f"{network.gateway} is not in {network.cidr}", others=((*path, "cidr"),))
