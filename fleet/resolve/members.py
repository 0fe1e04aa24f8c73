"""Sites become nodes: those that are listed, and those of node sets."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from msgspec import UnsetType

from fleet.model.confirmation import DEFAULT_SECONDS
from fleet.model.learned import Arch, Learned
from fleet.model.node import Connection, Identity, Node, Role, Settings
from fleet.model.problem import Mistake
from fleet.model.spec.document import Document, Spec
from fleet.model.spec.site import IdentitySpec, NodeSetSpec, NodeSpec, SiteSpec
from fleet.resolve.layers import LayerBook, Written, plain
from fleet.resolve.merge import Map
from fleet.resolve.sets import PatternError, addresses, names
from fleet.resolve.settings import SettingsMaker
from fleet.resolve.windows import seconds

Labels = dict[str, str]
Member = NodeSpec | NodeSetSpec


class Members:
    """Makes the nodes of one fleet. `mistakes` fills while `of_site` runs."""

    def __init__(self, spec: Spec, learned: Learned, maker: SettingsMaker) -> None:
        self._book = LayerBook(spec)
        self._fleet = spec.fleet.spec
        self._learned = learned.nodes
        self._maker = maker
        self._settings: dict[tuple[int, bool], tuple[Map, Settings]] = {}
        self._ways: dict[int, tuple[Map, Connection]] = {}
        self._joins = _joined_clusters(spec)
        self.mistakes: list[Mistake] = []

    def of_site(self, document: Document[SiteSpec]) -> Iterator[Node]:
        """The site's nodes: listed ones in their order, then set after set."""
        spec = document.spec
        layer = self._book.written(spec, document, "spec")
        shared = self._shared(spec, layer)
        for at, node in enumerate([] if isinstance(spec.nodes, UnsetType) else spec.nodes):
            yield self._listed(document, layer, shared, node, at)
        for at, node_set in enumerate([] if isinstance(spec.node_sets, UnsetType) else spec.node_sets):
            yield from self._of_set(document, layer, node_set, at)

    def layers_of(self, document: Document[SiteSpec], node: Node) -> list[Written]:
        """Every layer of one node that `of_site` made, weakest first, its own last."""
        *_, kind, at = node.place.path
        spec: Member = (document.spec.nodes if kind == "nodes" else document.spec.node_sets)[int(at)]  # type: ignore[index]
        own = self._book.written(spec, document, "spec", kind, at)
        seen = self._labels(document, spec, node.set, node.arch)[1]
        site = self._book.written(document.spec, document, "spec")
        return [*self._chain(site, document.spec, None, spec, seen), own]

    def cluster_of(self, site: str, member: Member) -> str:
        """The full name of the cluster that a node or set belongs to; empty for plain hosts."""
        if member.role == "none":
            return ""
        if not isinstance(member.cluster, UnsetType):
            return self._joins.get(f"{site}-{member.cluster}", f"{site}-{member.cluster}")
        return self._joins.get(site, site)

    def _shared(self, spec: SiteSpec, layer: Written) -> Map | None:
        """What all nodes of a site that name no profile share; None where a selector has to see their labels."""
        book, refs = self._book, (self._fleet.profiles, spec.profiles)
        if any(not isinstance(ref, str) for each in refs if not isinstance(each, UnsetType) for ref in each):
            return None
        return book.merged([book.fleet, *book.selected(refs[0], {}), *book.selected(refs[1], {}), layer])

    def _listed(self, document: Document[SiteSpec], site: Written, shared: Map | None, spec: NodeSpec, at: int) -> Node:
        arch = _arch(spec, self._learned.get(spec.name))
        labels = document.labels if isinstance(spec.labels, UnsetType) else {**document.labels, **spec.labels}
        own = plain(spec)
        if shared is None or not isinstance(spec.profiles, UnsetType):
            seen = self._labels(document, spec, "", arch)[1]
            base = self._book.merged(self._chain(site, document.spec, None, spec, seen))
        else:
            base = shared
        merged = self._book.merged_once(base, own)
        addressed: tuple[str, ...]
        if isinstance(spec.addresses, UnsetType):
            addressed = () if isinstance(spec.address, UnsetType) else (canonical(spec.address),)
        else:
            addressed = tuple(canonical(address) for address in spec.addresses)
        return Node(
            name=spec.name,
            site=document.name,
            cluster=self.cluster_of(document.name, spec),
            role=spec.role,
            set="",
            addresses=addressed,
            arch=arch,
            labels=labels,
            settings=self._settings_of(merged, spec.role) if merged is base else self._own_settings(merged, spec.role),
            connection=self._connection(merged.get("connection", _NOTHING), addressed),
            place=document.place("spec", "nodes", at),
            identity=_identity(spec.identity),
        )

    def _of_set(self, document: Document[SiteSpec], site: Written, spec: NodeSetSpec, at: int) -> Iterator[Node]:
        place = document.place("spec", "nodeSets", at)
        try:
            named = names(spec, document.name)
        except PatternError as error:
            self.mistakes.append(
                Mistake(place.at("namePattern"), str(error), "The default is {site}-{set}-{index:03d}.")
            )
            return
        declared = "" if isinstance(spec.arch, UnsetType) else spec.arch
        by_arch: dict[str, tuple[Labels, str, Settings, Map]] = {}
        own = self._book.written(spec, document, "spec", "nodeSets", at)
        given = addresses(spec)
        for name in named:
            address = next(given, "")
            arch = declared or _arch(spec, self._learned.get(name))
            shared = by_arch.get(arch)
            if shared is None:
                labels, seen = self._labels(document, spec, spec.name, arch)
                merged = self._book.merged(self._chain(site, document.spec, own, spec, seen))
                settings = self._settings_of(merged, spec.role)
                shared = by_arch[arch] = (labels, seen["cluster"], settings, merged.get("connection", _NOTHING))
            labels, cluster, settings, connection = shared
            addressed = (address,) if address else ()
            yield Node(
                name=name,
                site=document.name,
                cluster=cluster,
                role=spec.role,
                set=spec.name,
                addresses=addressed,
                arch=arch,
                labels=labels,
                settings=settings,
                connection=self._connection(connection, addressed),
                place=place,
            )

    def _chain(
        self, site: Written, spec: SiteSpec, own_set: Written | None, member: Member, seen: Mapping[str, str]
    ) -> list[Written]:
        """The layers of a member, weakest first; of a listed node without its own layer."""
        book = self._book
        chain = [book.fleet, *book.selected(self._fleet.profiles, seen)]
        chain += [*book.selected(spec.profiles, seen), site]
        chain += book.selected(member.profiles, seen)
        if own_set is not None:
            chain.append(own_set)
        return chain

    def _labels(self, document: Document[SiteSpec], spec: Member, set_name: str, arch: str) -> tuple[Labels, Labels]:
        """The member's labels, and the same with the built-in ones that selectors see beside them."""
        labels = document.labels if isinstance(spec.labels, UnsetType) else {**document.labels, **spec.labels}
        built_in = {
            "site": document.name,
            "role": spec.role,
            "set": set_name,
            "cluster": self.cluster_of(document.name, spec),
            "arch": arch,
        }
        return labels, {**labels, **built_in}

    def _settings_of(self, merged: Map, role: Role) -> Settings:
        key = (id(merged), role == "none")
        known = self._settings.get(key)
        if known is None:
            known = self._settings[key] = (merged, self._own_settings(merged, role))
        return known[1]

    def _connection(self, merged: Map, addressed: tuple[str, ...]) -> Connection:
        known = self._ways.get(id(merged))
        if known is None:
            known = self._ways[id(merged)] = (merged, _connection(merged))
        way = known[1]
        if way.address or not addressed:
            return way
        return Connection(
            way.type, addressed[0], way.port, way.user, way.become, way.jump_host, way.proxy_command, way.private_key,
            way.become_password, way.confirm_seconds,
        )  # fmt: skip

    def _own_settings(self, merged: Map, role: Role) -> Settings:
        return self._maker.settings(merged, is_k3s=role != "none")


_NOTHING: dict[str, Any] = {}


def canonical(address: str) -> str:
    """One spelling per address: RFC 5952 for IPv6; IPv4 has one spelling only."""
    if ":" not in address:
        return address
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))


def _arch(spec: Member, learned: Any) -> Arch | Any:
    if not isinstance(spec.arch, UnsetType):
        return spec.arch
    return learned.arch if learned is not None else ""


def _connection(merged: Map) -> Connection:
    """Defaults of spec.md: ssh, port 22, user fleet, become root. No address: the node's own. Who does not become root is
    asked for no password.
    """
    become = merged.get("become", True)
    return Connection(
        type=merged.get("type", "ssh"),
        address=merged.get("address") or "",
        port=merged.get("port", 22),
        user=merged.get("user", "fleet"),
        become=become,
        jump_host=merged.get("jumpHost", ""),
        proxy_command=merged.get("proxyCommand", ""),
        private_key=merged.get("privateKey", ""),
        become_password=merged.get("becomePassword", "").removeprefix("secret:") if become else "",
        confirm_seconds=_confirm_seconds(merged),
    )


def _confirm_seconds(merged: Map) -> int:
    """A sandbox is a folder: nobody is cut off from it."""
    if merged.get("type") == "sandbox":
        return 0
    return ceil(seconds(merged["confirmTimeout"])) if "confirmTimeout" in merged else DEFAULT_SECONDS


def _identity(spec: IdentitySpec | UnsetType) -> Identity:
    if isinstance(spec, UnsetType):
        return Identity()
    return Identity(
        serial="" if isinstance(spec.serial, UnsetType) else spec.serial,
        mac="" if isinstance(spec.mac, UnsetType) else spec.mac,
    )


def _joined_clusters(spec: Spec) -> dict[str, str]:
    """`cluster: {join: SITE}` by the full name of the cluster that is not founded."""
    joins = {}
    for name, document in spec.sites.items():
        own = document.spec.cluster
        if not isinstance(own, UnsetType) and not isinstance(own.join, UnsetType):
            joins[name] = own.join
        named = document.spec.clusters
        for key, cluster in {} if isinstance(named, UnsetType) else named.items():
            if not isinstance(cluster.join, UnsetType):
                joins[f"{name}-{key}"] = cluster.join
    return joins
