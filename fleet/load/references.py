"""Names that one document uses and another defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import UnsetType

from fleet.k3s.version import minor_of
from fleet.load.flaw import Flaw
from fleet.load.words import near
from fleet.model.lock import Lock
from fleet.model.problem import type_path
from fleet.model.spec.document import Document
from fleet.model.spec.fleet import FleetSpec
from fleet.model.spec.settings import K3sLayer, Layer
from fleet.model.spec.site import ClusterSpec, SiteSpec


def fleet_flaws(spec: FleetSpec, policies: Iterable[str]) -> Iterator[Flaw]:
    """What of a Fleet names other documents, or says two things at once."""
    if isinstance(spec.rollout_policy, str) and spec.rollout_policy not in set(policies):
        hint = near(spec.rollout_policy, policies)
        yield Flaw(("spec", "rolloutPolicy"), f"no RolloutPolicy `{spec.rollout_policy}`", hint)
    secrets = spec.secrets
    if not isinstance(secrets, UnsetType):
        has_command = not isinstance(secrets.command, UnsetType) and bool(secrets.command)
        if secrets.type == "command" and not has_command:
            yield Flaw(("spec", "secrets"), "type command needs a command")
        if secrets.type != "command" and has_command:
            yield Flaw(("spec", "secrets", "command"), "only type command takes a command", "Write `type: command`.")
    git = spec.git
    if not isinstance(git, UnsetType) and git.require_signature is True and isinstance(git.allowed_signers, UnsetType):
        yield Flaw(("spec", "git"), "requireSignature needs allowedSigners")


def join_flaws(name: str, site: SiteSpec, sites: Mapping[str, Document[SiteSpec]]) -> Iterator[Flaw]:
    """What is wrong with joining other sites' clusters."""
    clusters: list[tuple[type_path, Any]] = [(("spec", "cluster"), site.cluster)]
    if not isinstance(site.clusters, UnsetType):
        clusters += [(("spec", "clusters", key), cluster) for key, cluster in site.clusters.items()]
    for path, cluster in clusters:
        if not isinstance(cluster, ClusterSpec) or isinstance(cluster.join, UnsetType) or cluster.join == name:
            continue
        other = sites.get(cluster.join)
        if other is None:
            yield Flaw((*path, "join"), f"no site `{cluster.join}`", near(cluster.join, sites))
        elif isinstance(other.spec.cluster, ClusterSpec) and isinstance(other.spec.cluster.join, str):
            message = f"`{cluster.join}` has no cluster of its own: it joins `{other.spec.cluster.join}`"
            yield Flaw((*path, "join"), message, f"Write `join: {other.spec.cluster.join}`.")


def only_minor(layers: Iterable[Layer], lock: Lock) -> str | None:
    """K3s's minor where every layer that names a version or channel means the same one; None where they differ."""
    minors = set()
    for layer in layers:
        if not isinstance(layer.k3s, K3sLayer):
            continue
        version = layer.k3s.version
        if isinstance(layer.k3s.channel, str):
            version = lock.channels.get(layer.k3s.channel)
        if isinstance(version, str):
            try:
                minors.add(minor_of(version))
            except ValueError:
                return None
    return minors.pop() if len(minors) == 1 else None
