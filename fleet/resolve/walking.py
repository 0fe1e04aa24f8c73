"""Clusters that are more than one minor behind go up through each: one release of fleet.lock at a time.

Source: k3s-contract.md, rule 1; spec.md, k3s.config ("walked up through each"). A cluster takes the next step when all
of its nodes have taken this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from fleet.k3s.version import Version, is_skip, minors_on_the_way, newest_by_minor, parse_version, parsed
from fleet.model.fleet import Walk
from fleet.model.learned import Learned
from fleet.model.lock import Lock
from fleet.model.node import Node, Settings


def walked(nodes: Iterable[Node], learned: Learned, lock: Lock) -> tuple[list[Node], tuple[Walk, ...]]:
    """The nodes with the version that they are to have now, and which clusters have a way to go after that.

    What fleet.lock has no release for is left as the spec says it: the rules refuse that.
    """
    nodes = list(nodes)
    steps = dict(_steps(nodes, learned, lock))
    if not steps:
        return nodes, ()
    made: dict[tuple[int, str], Settings] = {}
    walks: dict[str, Walk] = {}
    for at, node in enumerate(nodes):
        step = steps.get(node.cluster)
        wanted = node.settings.k3s.version
        if step is None or parse_version(wanted) <= step:
            continue
        key = (id(node.settings), str(step))
        if key not in made:
            made[key] = replace(node.settings, k3s=replace(node.settings.k3s, version=str(step)))
        nodes[at] = replace(node, settings=made[key])
        walks.setdefault(node.cluster, Walk(node.cluster, str(step), wanted))
    return nodes, tuple(walks[name] for name in sorted(walks))


def _steps(nodes: Iterable[Node], learned: Learned, lock: Lock) -> Iterator[tuple[str, Version]]:
    """The release that each cluster goes to first, of those that are to go further."""
    held: dict[str, Version] = {}
    wanted: dict[str, Version] = {}
    air_gapped: set[str] = set()
    for node in nodes:
        if not node.cluster:
            continue
        told = learned.nodes.get(node.name)
        version = None if told is None else parsed(told.k3s_version)
        if version is not None:
            held[node.cluster] = min(held.get(node.cluster, version), version)
        to = parsed(node.settings.k3s.version)
        if to is not None:
            wanted[node.cluster] = max(wanted.get(node.cluster, to), to)
        if node.settings.k3s.air_gap:
            air_gapped.add(node.cluster)
    newest = newest_by_minor(lock.releases)
    with_images = newest_by_minor(version for version, release in lock.releases.items() if release.images)
    for cluster, before in held.items():
        after = wanted.get(cluster)
        if after is None or after.major != before.major or not is_skip(before, after):
            continue
        first = minors_on_the_way(before, after)[0]
        known = with_images if cluster in air_gapped else newest
        if first in known:
            yield cluster, known[first]
