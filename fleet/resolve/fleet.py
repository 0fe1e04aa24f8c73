"""The verb itself: Spec + Learned -> ResolvedFleet, or every mistake at once."""

from __future__ import annotations

from collections import Counter

from msgspec import UnsetType

from fleet.errors import MistakesError
from fleet.model.fleet import Proxy, ResolvedFleet
from fleet.model.learned import Learned
from fleet.model.node import Node
from fleet.model.site import ResolvedSite
from fleet.model.spec.document import Document, Spec
from fleet.model.spec.site import SiteSpec
from fleet.resolve.clashes import clashes
from fleet.resolve.clusters import clusters
from fleet.resolve.downloads import downloads
from fleet.resolve.judge import reboots_without_window, settings_mistakes
from fleet.resolve.members import Members
from fleet.resolve.policy import policy
from fleet.resolve.settings import SettingsMaker
from fleet.resolve.walking import walked
from fleet.resolve.windows import drain_rule, schedule

DEFAULT_MAX_REMOVED = "1%"


def resolve(spec: Spec, learned: Learned) -> ResolvedFleet:
    """The fleet as it was meant. Raises MistakesError with every mistake that takes more than one document to see."""
    maker = SettingsMaker(spec.lock)
    members = Members(spec, learned, maker)
    nodes: list[Node] = []
    sites: dict[str, ResolvedSite] = {}
    for name in sorted(spec.sites):
        document = spec.sites[name]
        own = list(members.of_site(document))
        nodes += own
        sites[name] = _site(document, len(own))
    mistakes = [*members.mistakes, *clashes(nodes)]
    made = clusters(spec, nodes, learned, mistakes)
    layers = lambda node: members.layers_of(spec.sites[node.site], node)  # noqa: E731 - a name for what is given twice
    window = schedule(spec)
    found = [*settings_mistakes(nodes, layers), *(reboots_without_window(nodes, layers) if window is None else ())]
    mistakes += [mistake for mistake in found if mistake.severity == "error"]
    if mistakes:
        raise MistakesError(mistakes)
    nodes, walking = walked(nodes, learned, spec.lock)
    said = spec.fleet.spec
    return ResolvedFleet(
        name=spec.fleet.name,
        nodes=nodes,
        clusters=made,
        sites=sites,
        mirrors=() if isinstance(said.artifacts, UnsetType) else tuple(said.artifacts.mirrors or ()),
        downloads=downloads(said.artifacts),
        proxy=_proxy(spec),
        max_removed=DEFAULT_MAX_REMOVED if isinstance(said.max_removed, UnsetType) else str(said.max_removed),
        unenforced=_unenforced(spec),
        unlocked=tuple(sorted(maker.unlocked)),
        pending=_pending(nodes),
        warnings=tuple(mistake for mistake in found if mistake.severity == "warning"),
        policy=policy(spec),
        schedule=window,
        drain=drain_rule(spec),
        walking=walking,
    )


def _site(document: Document[SiteSpec], nodes: int) -> ResolvedSite:
    spec = document.spec
    network = None if isinstance(spec.network, UnsetType) else spec.network
    coordinates = None if isinstance(spec.coordinates, UnsetType) else spec.coordinates
    return ResolvedSite(
        name=document.name,
        labels=document.labels,
        time_zone="UTC" if isinstance(spec.time_zone, UnsetType) else spec.time_zone,
        latitude=None if coordinates is None else coordinates.latitude,
        longitude=None if coordinates is None else coordinates.longitude,
        jurisdiction="" if isinstance(spec.jurisdiction, UnsetType) else spec.jurisdiction,
        operator="" if isinstance(spec.operator, UnsetType) else spec.operator,
        cidr="" if network is None or isinstance(network.cidr, UnsetType) else network.cidr,
        gateway="" if network is None or isinstance(network.gateway, UnsetType) else network.gateway,
        nodes=nodes,
    )


def _proxy(spec: Spec) -> Proxy:
    said = spec.fleet.spec.proxy
    if isinstance(said, UnsetType):
        return Proxy()
    return Proxy(
        http="" if isinstance(said.http, UnsetType) else said.http,
        https="" if isinstance(said.https, UnsetType) else said.https,
        no_proxy=() if isinstance(said.no_proxy, UnsetType) else tuple(said.no_proxy),
    )


def _unenforced(spec: Spec) -> tuple[str, ...]:
    """What is declared and checked, but not acted on by this version."""
    said = []
    fleet = spec.fleet.spec
    if spec.segmentation:
        said.append(f"Segmentation {', '.join(sorted(spec.segmentation))}: no rule reaches a node yet")
    if not isinstance(fleet.drift, UnsetType):
        said.append("drift: nodes are looked at when `fleet plan --refresh` asks, not by themselves")
    if not isinstance(fleet.git, UnsetType):
        said.append("git: commits are neither followed nor verified by themselves")
    if not isinstance(fleet.secrets, UnsetType) and fleet.secrets.type == "command":
        said.append("secrets: values come from the vault files in secrets/, not from a command")
    return tuple(said)


def _pending(nodes: list[Node]) -> dict[str, int]:
    count = Counter("arch" for node in nodes if node.is_k3s and not node.arch)
    return dict(count)
