"""Nodes become clusters: order of servers, datastore, where to join, which tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import UnsetType

from fleet.model.cluster import Cluster, ExternalDatastore
from fleet.model.learned import Learned, LearnedCluster
from fleet.model.node import Node
from fleet.model.problem import Mistake, Place
from fleet.model.spec.document import Document, Spec
from fleet.model.spec.site import ClusterSpec, ExternalDatastoreSpec, SiteSpec

DEFAULT_PORT = 6443

Datastore = Literal["sqlite", "etcd", "external"]


class Founded(msgspec.Struct, frozen=True, eq=False):
    """What the spec says of one cluster, and where."""

    site: str
    spec: ClusterSpec
    place: Place


def clusters(spec: Spec, nodes: Iterable[Node], learned: Learned, mistakes: list[Mistake]) -> dict[str, Cluster]:
    """Every cluster that has a node, by full name in order; what is wrong with them goes to `mistakes`."""
    founded = {each_name: each for document in spec.sites.values() for each_name, each in _founded(document)}
    servers: dict[str, list[Node]] = {}
    agents: dict[str, list[Node]] = {}
    for node in nodes:
        if node.cluster:
            (servers if node.role == "server" else agents).setdefault(node.cluster, []).append(node)
    made = {}
    for name in sorted(servers.keys() | agents.keys()):
        if name not in founded:
            node = (servers.get(name) or agents[name])[0]
            mistakes.append(Mistake(node.place, f"cluster {name} is declared nowhere", _known(founded, node.site)))
            continue
        if not servers.get(name):
            mistakes.append(_no_server(name, agents[name][0]))
            continue
        cluster = _cluster(name, founded[name], servers[name], agents.get(name, []), learned)
        mistakes.extend(_even(cluster))
        made[name] = cluster
    return made


def _founded(document: Document[SiteSpec]) -> Iterator[tuple[str, Founded]]:
    own, named = document.spec.cluster, document.spec.clusters
    if isinstance(own, UnsetType):
        yield document.name, Founded(document.name, ClusterSpec(), document.place())
    elif isinstance(own.join, UnsetType):
        yield document.name, Founded(document.name, own, document.place("spec", "cluster"))
    for key, cluster in {} if isinstance(named, UnsetType) else named.items():
        if isinstance(cluster.join, UnsetType):
            yield f"{document.name}-{key}", Founded(document.name, cluster, document.place("spec", "clusters", key))


def _cluster(name: str, founded: Founded, servers: list[Node], agents: list[Node], learned: Learned) -> Cluster:
    endpoint = "" if isinstance(founded.spec.endpoint, UnsetType) else founded.spec.endpoint
    datastore = founded.spec.datastore
    external = None
    if isinstance(datastore, ExternalDatastoreSpec):
        external = _external(datastore)
    known, kind = learned.clusters.get(name, LearnedCluster()), _datastore(founded.spec, len(servers))
    converts = known.existed and known.datastore == "sqlite" and kind == "etcd"
    return Cluster(
        name=name,
        site=founded.site,
        servers=tuple(node.name for node in servers),
        agents=tuple(node.name for node in agents),
        server_urls=tuple(_url(server, "") for server in servers),
        datastore=kind,
        url=_url(servers[0], endpoint),
        rejoin=_rejoin(servers, endpoint, learned),
        tls_san=(endpoint,) if endpoint else (),
        token=f"{name}.k3s-token",
        agent_token=f"{name}.k3s-agent-token",
        place=founded.place,
        growing=founded.spec.growing is True,
        existed=known.existed and not converts,
        converts=converts,
        is_lost=known.existed and not any(_is_applied(server, learned) for server in servers),
        external=external,
        snapshot_command=() if isinstance(founded.spec.snapshot, UnsetType) else tuple(founded.spec.snapshot.command),
    )


def _url(server: Node, endpoint: str) -> str:
    """Where a cluster's API answers: at its endpoint, or else at one of its servers."""
    host = endpoint or (server.addresses[0] if server.addresses else server.connection.address)
    port = server.settings.k3s.config.get("https-listen-port", DEFAULT_PORT)
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"


def _rejoin(servers: list[Node], endpoint: str, learned: Learned) -> str:
    """Another server than the first: one that was applied, if there is one."""
    others = servers[1:]
    if not others:
        return ""
    return _url(next((server for server in others if _is_applied(server, learned)), others[0]), endpoint)


def _is_applied(server: Node, learned: Learned) -> bool:
    return server.name in learned.nodes and learned.nodes[server.name].is_applied


def _datastore(spec: ClusterSpec, servers: int) -> Datastore:
    match spec.datastore:
        case ExternalDatastoreSpec():
            return "external"
        case UnsetType():
            return "sqlite" if servers == 1 else "etcd"
        case named:
            return named


def _external(spec: ExternalDatastoreSpec) -> ExternalDatastore:
    said = spec.external
    return ExternalDatastore(
        endpoint_secret=said.endpoint_secret,
        ca="" if isinstance(said.ca, UnsetType) else said.ca,
        cert="" if isinstance(said.cert, UnsetType) else said.cert,
        key="" if isinstance(said.key, UnsetType) else said.key,
    )


def _even(cluster: Cluster) -> Iterator[Mistake]:
    count = len(cluster.servers)
    if cluster.datastore == "etcd" and count % 2 == 0 and not cluster.growing:
        yield Mistake(
            cluster.place,
            f"cluster {cluster.name} has {count} etcd servers: an even number survives no more losses than {count - 1}",
            "Add or remove one server, or say `cluster: {growing: true}` while it is on its way to an odd number. "
            "See docs/rules/even-etcd.md",
        )
    if cluster.datastore == "sqlite" and count > 1:
        yield Mistake(
            cluster.place,
            f"cluster {cluster.name} has {count} servers on sqlite, which serves one only",
            "Say `cluster: {datastore: etcd}`, or keep one server.",
        )


def _no_server(name: str, agent: Node) -> Mistake:
    return Mistake(
        agent.place,
        f"{agent.name} is an agent of cluster {name}, which has no server",
        "Give one node of the site `role: server`, or let the site join another: `cluster: {join: SITE}`.",
    )


def _known(founded: dict[str, Founded], site: str) -> str:
    own = sorted(name for name, each in founded.items() if each.site == site)
    if own:
        return f"The site has {', '.join(own)}."
    return "`join` names a site that founds a cluster of its own."
