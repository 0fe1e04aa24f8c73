"""The files, folders, artifact and unit that K3s takes on a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import msgspec

from fleet.k3s import certificates, cis, paths
from fleet.k3s.artifacts import RELEASES, release_path, release_url
from fleet.k3s.ports import own_address
from fleet.k3s.proxy import environment_file, proxy_environment
from fleet.k3s.token import CA_HASH, CA_PATTERN
from fleet.model.bundle import (
    BundleArtifact,
    BundleFile,
    BundleFolder,
    BundleLearn,
    BundleSnapshot,
    BundleToken,
    BundleUnit,
    Encoding,
    SecretRef,
    Segment,
)
from fleet.model.cluster import Cluster
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock, LockedFile
from fleet.model.node import ContentSource, K3sSettings, Node
from fleet.model.secret import LockedSecret
from fleet.render.content import Contents
from fleet.render.k3s_config import (
    chunks,
    cluster_config,
    config_text,
    data_dir,
    fact_config,
    join_text,
    node_text,
    registries_text,
    shared_config,
)
from fleet.render.slots import FixedSlot, NodeSlot, Slot

JOIN_FILE = f"{paths.CONFIG_DROPIN_DIR}/10-fleet-join.yaml"
UNIT_TEMPLATE = "k3s/k3s.service.j2"
ROUTE_TEMPLATE = "k3s/default-route.service.j2"


class K3sInputs(msgspec.Struct, frozen=True, eq=False):
    """What is the same for all nodes: the fleet, fleet.lock, secrets.lock, and fleet's own texts by name."""

    fleet: ResolvedFleet
    lock: Lock
    secrets: Mapping[str, LockedSecret]
    texts: Mapping[str, str]
    contents: Contents


class K3sKind(msgspec.Struct, frozen=True, eq=False):
    """What nodes of one role, architecture and K3sSettings share in whatever cluster they are."""

    config: tuple[tuple[str, str], ...]
    facts: dict[str, object]
    slots: tuple[Slot, ...]
    folders: tuple[BundleFolder, ...]
    artifacts: tuple[BundleArtifact, ...]
    units: tuple[BundleUnit, ...]
    sysctl: dict[str, str]
    learn: tuple[BundleLearn, ...]


class K3sShape(msgspec.Struct, frozen=True, eq=False):
    """What nodes of one kind share in one cluster."""

    kind: K3sKind
    slots: tuple[Slot, ...]
    seeds: tuple[Slot, ...]
    snapshot: BundleSnapshot | None
    token: BundleToken | None


def k3s_kind(inputs: K3sInputs, node: Node) -> K3sKind:
    """The kind of all nodes that are like `node` but for name, addresses and cluster."""
    k3s, role = node.settings.k3s, node.role
    is_hardened = node.settings.hardening == "cis"
    config = shared_config(k3s, node.settings.hardening, role)
    folders = cis.server_dirs(data_dir(k3s)) if is_hardened and role == "server" else ()
    return K3sKind(
        config=chunks(config),
        facts=fact_config(config),
        slots=tuple(_kind_slots(inputs, node)),
        folders=tuple(sorted((BundleFolder(each.path, each.mode) for each in folders), key=lambda each: each.path)),
        artifacts=tuple(_artifacts(inputs, node)),
        units=tuple(BundleUnit(name, enabled=True, state="started") for name in _units(node)),
        sysctl={key: str(value) for key, value in cis.SYSCTLS.items()} if is_hardened else {},
        learn=tuple(_learn(role, paths.Layout(data_dir(k3s)))),
    )


def k3s_shape(inputs: K3sInputs, kind: K3sKind, node: Node, cluster: Cluster) -> K3sShape:
    """The shape of all nodes of the kind in `cluster`; its first server has one of its own."""
    is_first = cluster.servers[0] == node.name
    own = chunks(cluster_config(node.role, cluster, is_first=is_first))
    config = NodeSlot(_private(paths.CONFIG, (node.k3s_unit,)), config_text((*kind.config, *own), inputs.secrets))
    return K3sShape(
        kind=kind,
        slots=(config, *_cluster_slots(inputs, node, cluster), *kind.slots),
        seeds=tuple(_seeds(cluster, (node.k3s_unit,))) if is_first else (),
        snapshot=_snapshot(node, cluster),
        token=_token(node, cluster),
    )


def _cluster_slots(inputs: K3sInputs, node: Node, cluster: Cluster) -> Iterator[Slot]:
    role, unit = node.role, (node.k3s_unit,)
    if role == "server":
        yield _secret(inputs, paths.token_path(role), cluster.token, unit, "k3s-server")
        yield _secret(inputs, paths.AGENT_TOKEN, cluster.agent_token, unit)
        yield from _datastore_files(inputs, cluster, unit)
    else:
        yield _secret(inputs, paths.token_path(role), cluster.agent_token, unit, "k3s-agent")


def _kind_slots(inputs: K3sInputs, node: Node) -> Iterator[Slot]:
    role, unit = node.role, (node.k3s_unit,)
    if role == "server":
        yield from _manifests(inputs, node.settings.k3s)
    if text := node_text(node.settings.k3s):
        yield FixedSlot(_private(paths.NODE_CONFIG, ()), (text,))
    if node.settings.k3s.registries:
        registries = registries_text(node.settings.k3s.registries, inputs.secrets)
        yield FixedSlot(_private(paths.REGISTRIES, unit), registries)
    unit_text = (
        inputs.texts[UNIT_TEMPLATE]
        .replace("{{ role }}", role)
        .replace("{{ description }}", "Lightweight Kubernetes" if role == "server" else "Lightweight Kubernetes agent")
    )
    yield FixedSlot(BundleFile(paths.unit_path(role), mode=paths.MODE_UNIT, restart=unit), (unit_text,))
    proxy = inputs.fleet.proxy
    environment = proxy_environment(proxy.http, proxy.https, proxy.no_proxy)
    if environment:
        yield FixedSlot(_private(paths.environment_path(role), unit), (environment_file(environment),))
    if node.settings.k3s.air_gap:
        route = BundleFile(f"{paths.SYSTEMD_DIR}/{paths.ROUTE_UNIT}", mode=paths.MODE_UNIT, restart=(paths.ROUTE_UNIT,))
        yield NodeSlot(route, partial(_route_text, inputs.texts[ROUTE_TEMPLATE]))
    if node.settings.hardening == "cis":
        yield from _hardening(inputs, node, unit)


def _units(node: Node) -> tuple[str, ...]:
    return (paths.ROUTE_UNIT, node.k3s_unit) if node.settings.k3s.air_gap else (node.k3s_unit,)


def _route_text(template: str, node: Node) -> tuple[Segment, ...]:
    """By the interface that has the node's address: K3s and flannel take theirs from the default route."""
    address = node.addresses[0] if node.addresses else "0.0.0.0/0"
    family = "-6" if ":" in address else "-4"
    return (template.replace("{{ address }}", address).replace("{{ family }}", family),)


def _snapshot(node: Node, cluster: Cluster) -> BundleSnapshot | None:
    if node.role != "server":
        return None
    return BundleSnapshot(cluster.datastore, data_dir(node.settings.k3s), cluster.snapshot_command)


def _token(node: Node, cluster: Cluster) -> BundleToken | None:
    if node.role != "server":
        return None
    url = f"https://{own_address(node.settings.k3s.config)}"
    return BundleToken(paths.SERVER_TOKEN, data_dir(node.settings.k3s), url, cluster.server_urls)


def _learn(role: str, layout: paths.Layout) -> Iterator[BundleLearn]:
    if role == "server":
        yield BundleLearn(CA_HASH, CA_PATTERN, layout.token)
    folders = layout.certificates(role)
    yield BundleLearn(certificates.LEAF_END, certificates.LEAF_NAMES, folders=folders)
    yield BundleLearn(certificates.CA_END, certificates.CA_NAMES, folders=folders)


def _hardening(inputs: K3sInputs, node: Node, unit: tuple[str, ...]) -> Iterator[Slot]:
    files = cis.server_files(data_dir(node.settings.k3s)) if node.role == "server" else cis.agent_files()
    manifests = paths.Layout(data_dir(node.settings.k3s)).manifests
    for file in files:
        # K3s applies a changed manifest by itself, and the kernel settings are applied live.
        restart = () if file.path.startswith(manifests) or file.path == paths.SYSCTL else unit
        yield FixedSlot(BundleFile(file.path, mode=file.mode, restart=restart), (inputs.texts[file.template],))


def _manifests(inputs: K3sInputs, k3s: K3sSettings) -> Iterator[Slot]:
    folder = paths.Layout(data_dir(k3s)).manifests
    for manifest in k3s.manifests:
        yield _user_slot(inputs, BundleFile(f"{folder}/{manifest.name}.yaml", mode=paths.MODE_SECRET), manifest.content)


def _user_slot(inputs: K3sInputs, file: BundleFile, source: ContentSource) -> Slot:
    return NodeSlot(file, partial(inputs.contents.of, source))


def _datastore_files(inputs: K3sInputs, cluster: Cluster, unit: tuple[str, ...]) -> Iterator[Slot]:
    said = cluster.external
    if said is None:
        return
    for source, path in ((said.ca, paths.DATASTORE_CA), (said.cert, paths.DATASTORE_CERT)):
        if source:
            yield _user_slot(inputs, _private(path, unit), ContentSource("source", source))
    if said.key:
        yield _secret(inputs, paths.DATASTORE_KEY, said.key, unit)


def _seeds(cluster: Cluster, unit: tuple[str, ...]) -> Iterator[Slot]:
    """Written when absent. Only where SQLite becomes etcd does a K3s that runs have to read it."""
    if cluster.datastore == "etcd" and (text := join_text(cluster)):
        restart = unit if cluster.converts else ()
        yield FixedSlot(BundleFile(JOIN_FILE, mode=paths.MODE_SECRET, seed=True, restart=restart), (text,))


def _secret(inputs: K3sInputs, path: str, name: str, unit: tuple[str, ...], encoding: Encoding = "plain") -> Slot:
    locked = inputs.secrets.get(name)
    secret = SecretRef(name, encoding, "" if locked is None else locked.fingerprint)
    return FixedSlot(_private(path, unit), (secret, "\n"))


def _private(path: str, restart: tuple[str, ...]) -> BundleFile:
    return BundleFile(path, mode=paths.MODE_SECRET, restart=restart)


def _artifacts(inputs: K3sInputs, node: Node) -> Iterator[BundleArtifact]:
    """K3s's binary and, where a node has no registry, its images, from the mirrors in their order. None while the
    architecture is pending.
    """
    release = inputs.lock.releases.get(node.settings.k3s.version)
    if release is None:
        return
    if file := release.binaries.get(node.arch):
        yield _artifact(inputs, node, file, paths.BINARY, paths.MODE_BINARY)
    if node.settings.k3s.air_gap and (file := release.images.get(node.arch)):
        folder = paths.Layout(data_dir(node.settings.k3s)).images
        yield _artifact(inputs, node, file, f"{folder}/{file.name}", paths.MODE_IMAGES)


def _artifact(inputs: K3sInputs, node: Node, file: LockedFile, path: str, mode: str) -> BundleArtifact:
    version = node.settings.k3s.version
    urls = tuple(_url(base, version, file.name) for base in inputs.fleet.mirrors or (RELEASES,))
    return BundleArtifact(path, sha256=file.sha256, urls=urls, mode=mode, restart=(node.k3s_unit,))


def _url(base: str, version: str, name: str) -> str:
    if base.startswith("file:"):
        return f"{base.rstrip('/')}/{release_path(version, name)}"
    return release_url(version, name, base)
