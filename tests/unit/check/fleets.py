"""Small fleets for rules to look at: what a test does not say is a healthy cluster of the newest minor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.model.bundle import BundleFacts
from fleet.model.change import Change, NodeChange
from fleet.model.check import CheckInput
from fleet.model.cluster import Cluster
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock, LockedRelease
from fleet.model.node import Connection, K3sSettings, Node, OsSettings, Settings, Updates
from fleet.model.problem import Place
from fleet.model.record import Record

PLACE = Place("sites/lyon.yaml", path=("spec", "cluster"))
NODE_PLACE = Place("sites/lyon.yaml", path=("spec", "nodes", 0))


def settings(
    config: Mapping[str, object] | None = None,
    *,
    hardening: str = "none",
    sysctl: Mapping[str, str] | None = None,
    registries: Mapping[str, object] | None = None,
) -> Settings:
    return Settings(
        k3s=K3sSettings("v1.35.4+k3s1", dict(config or {}), dict(registries or {}), {}, (), ()),
        hardening=hardening,
        os=OsSettings((), dict(sysctl or {}), (), (), (), Updates()),
        vars={},
    )


PLAIN = settings()


def node(
    name: str,
    role: str = "server",
    *,
    site: str = "lyon-1",
    cluster: str = "lyon-1",
    given: Settings = PLAIN,
    labels: Mapping[str, str] | None = None,
    address: str = "10.20.1.11",
) -> Node:
    return Node(
        name=name,
        site=site,
        cluster=cluster if role != "none" else "",
        role=role,
        set="",
        addresses=(address,),
        arch="amd64",
        labels=dict(labels or {}),
        settings=given,
        connection=Connection("ssh", address, 22, "fleet", become=True),
        place=NODE_PLACE,
    )


def cluster(
    servers: Iterable[str] = ("a",),
    agents: Iterable[str] = (),
    *,
    name: str = "lyon-1",
    datastore: str = "",
    url: str = "https://10.20.1.11:6443",
    existed: bool = True,
    is_lost: bool = False,
    growing: bool = False,
) -> Cluster:
    servers = tuple(servers)
    return Cluster(
        name=name,
        site=name,
        servers=servers,
        agents=tuple(agents),
        datastore=datastore or ("sqlite" if len(servers) == 1 else "etcd"),
        url=url,
        tls_san=(),
        token=f"{name}.k3s-token",
        agent_token=f"{name}.k3s-agent-token",
        place=PLACE,
        growing=growing,
        existed=existed,
        is_lost=is_lost,
    )


def facts(version: str = "v1.35.4+k3s1", role: str = "server", datastore: str = "sqlite", **more) -> BundleFacts:
    return BundleFacts(
        **{"site": "lyon-1", "cluster": "lyon-1", **more}, role=role, k3s_version=version, datastore=datastore
    )


def record(name: str) -> Record:
    return Record(node=name, fleet="acme", machine_id=f"id-{name}", digest="b1:old")


def changed(each: Node, *changes: Change, first: bool = False) -> NodeChange:
    return NodeChange(each.name, each.site, each.cluster, each.role, "" if first else "b1:old", "b1:new", changes)


def given(
    *nodes: Node,
    clusters: Iterable[Cluster] = (),
    now: Mapping[str, BundleFacts] | None = None,
    wanted: Mapping[str, BundleFacts] | None = None,
    changes: Iterable[NodeChange] | None = None,
    records: Iterable[str] | None = None,
    removed: Iterable[str] = (),
    tokens: Mapping[str, Mapping[str, str]] | None = None,
    fingerprints: Mapping[str, str] | None = None,
    locked: Iterable[str] = ("v1.34.6+k3s1", "v1.35.4+k3s1"),
    max_removed: str = "1%",
) -> CheckInput:
    """All nodes change unless `changes` says which; every node with something in `now` has a record."""
    now = dict(now or {})
    if changes is None:
        changes = [changed(each, first=each.name not in now) for each in nodes]
    return CheckInput(
        fleet=ResolvedFleet(
            name="acme",
            nodes=nodes,
            clusters={each.name: each for each in clusters},
            sites={},
            max_removed=max_removed,
        ),
        changes=tuple(changes),
        now=now,
        wanted=dict(wanted or {}),
        records={name: record(name) for name in (now if records is None else records)},
        lock=Lock(releases={version: LockedRelease(version, {}) for version in locked}),
        tokens=dict(tokens or {}),
        fingerprints=dict(fingerprints or {}),
        removed=tuple(removed),
    )
