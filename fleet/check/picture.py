"""What rules look at, with the questions that several of them ask answered once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import msgspec

from fleet.k3s.version import Version, newest_by_minor
from fleet.model.bundle import BundleFacts
from fleet.model.check import CheckInput
from fleet.model.cluster import Cluster
from fleet.model.node import Node


class VersionStep(msgspec.Struct, frozen=True):
    """Nodes of one cluster that go from one K3s version to another. `before` is what nodes say: it may be no version."""

    cluster: str
    before: str
    after: str
    nodes: tuple[str, ...]


class Picture:
    """A CheckInput and what follows from it. Only clusters with a change in the plan are judged: `touched`."""

    def __init__(self, given: CheckInput) -> None:
        self.given = given
        self.fleet = given.fleet
        self.changes = given.changes
        self.now = given.now
        self.wanted = given.wanted

    @cached_property
    def nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.fleet.nodes}

    @cached_property
    def touched(self) -> tuple[Cluster, ...]:
        """Clusters of the spec in which at least one node changes, by name."""
        names = {change.cluster for change in self.changes}
        return tuple(self.fleet.clusters[name] for name in sorted(names) if name in self.fleet.clusters)

    @cached_property
    def steps(self) -> tuple[VersionStep, ...]:
        """Every change of K3s's version on a node that runs K3s already, by cluster."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for change in self.changes:
            before, after = self.now.get(change.node), self.wanted.get(change.node)
            if before is None or after is None or not before.k3s_version or not after.k3s_version:
                continue
            if before.k3s_version != after.k3s_version:
                found.setdefault((change.cluster, before.k3s_version, after.k3s_version), []).append(change.node)
        return tuple(VersionStep(*key, nodes=tuple(names)) for key, names in sorted(found.items()))

    @cached_property
    def changing(self) -> frozenset[str]:
        return frozenset(change.node for change in self.changes)

    @cached_property
    def joined(self) -> frozenset[str]:
        """Clusters that get a node in this plan: those for which it is time to speak of size and of hardware."""
        return frozenset(change.cluster for change in self.changes if change.is_first)

    @cached_property
    def locked(self) -> dict[str, Version]:
        """The newest release in fleet.lock of each minor (`v1.35`)."""
        return newest_by_minor(self.given.lock.releases)

    def current(self, name: str) -> BundleFacts | None:
        """What a node holds now. Of a node that does not change it may be known only as what is wanted."""
        facts = self.now.get(name)
        if facts is None and name in self.given.records and name not in self.changing:
            return self.wanted.get(name)
        return facts

    def after(self, name: str) -> BundleFacts | None:
        """What a node holds once the plan is carried out: nodes outside its scope stay as they are."""
        return self.wanted.get(name) or self.current(name)

    def living(self, cluster: Cluster) -> Iterator[BundleFacts]:
        """What the servers of a cluster hold now, in their order; nothing for a cluster that is yet to be founded."""
        return (facts for name in cluster.servers if (facts := self.current(name)) is not None)

    def transition(self, cluster: Cluster) -> tuple[BundleFacts, BundleFacts] | None:
        """What a living cluster's servers hold, and what the plan wants of them; None where there are not both."""
        before = next(self.living(cluster), None)
        after = next((facts for name in cluster.servers if (facts := self.wanted.get(name)) is not None), None)
        return None if before is None or after is None else (before, after)

    def members(self, cluster: Cluster) -> Iterator[Node]:
        """The cluster's nodes in the spec, servers first."""
        return (self.nodes[name] for name in (*cluster.servers, *cluster.agents))
