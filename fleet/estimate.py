"""estimate: what carrying out a plan touches and costs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from fleet.model.change import NodeChange
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock, LockedRelease
from fleet.model.plan import BlastRadius
from fleet.model.verdict import Verdict

K3S_RESTART_SECONDS = 30
"""For how long the API of a site with one server is away while K3s restarts.

An assumption, not a measurement, with room for slow hardware: K3s documents no figure. The unit is `Type=notify`, so
what systemd waited for on a real node can take its place. Pods run on meanwhile (`KillMode=process` in K3s's unit).
"""

_SERVER_UNIT = "k3s.service"


def radius(
    fleet: ResolvedFleet,
    changes: Sequence[NodeChange],
    lock: Lock,
    sizes: Mapping[str, int],
    verdicts: Iterable[Verdict] = (),
) -> BlastRadius:
    """The blast radius of the changing nodes.

    `sizes` gives an artifact's bytes by sha256; K3s's own come from `lock`, by version and architecture (the largest
    where the architecture is pending, 0 where the lock does not tell). `verdicts` say which clusters lose quorum.
    """
    restarts: Counter[str] = Counter()
    sites, clusters, upgraded, down = set[str](), set[str](), set[str](), set[str]()
    arches = {node.name: node.arch for node in fleet.nodes} if changes else {}
    seen: dict[tuple[int, str], tuple[frozenset[str], bool, int]] = {}
    servers = fetched = 0
    for change in changes:
        # Nodes that are new share one tuple of changes: what follows from it is worked out once.
        key = (id(change.changes), arches.get(change.node, ""))
        known = seen.get(key)
        if known is None:
            upgrades = any(each.kind == "k3s" and each.action == "edit" for each in change.changes)
            known = seen[key] = (change.restarts, upgrades, _fetched(change, key[1], lock, sizes))
        units, upgrades, size = known
        restarts.update(units)
        sites.add(change.site)
        clusters.add(change.cluster)
        servers += change.role == "server"
        if upgrades:
            upgraded.add(change.cluster)
        if _SERVER_UNIT in units and _is_alone(fleet, change.cluster):
            down.add(fleet.clusters[change.cluster].site)
        fetched += size
    return BlastRadius(
        nodes=len(changes),
        sites=len(sites),
        clusters=len(clusters - {""}),
        servers=servers,
        restarts=dict(sorted(restarts.items())),
        clusters_upgraded=len(upgraded - {""}),
        quorum_lost=_quorum_lost(verdicts),
        downtime_sites=len(down),
        downtime_seconds=K3S_RESTART_SECONDS if down else 0,
        mirror_bytes=fetched,
    )


def _quorum_lost(verdicts: Iterable[Verdict]) -> int:
    return len({each.subject for each in verdicts if each.rule == "quorum" and each.outcome == "refused"})


def _is_alone(fleet: ResolvedFleet, cluster: str) -> bool:
    known = fleet.clusters.get(cluster)
    return known is not None and len(known.servers) == 1


def _fetched(change: NodeChange, arch: str, lock: Lock, sizes: Mapping[str, int]) -> int:
    """Bytes that one node gets from mirrors."""
    total = 0
    for each in change.changes:
        if each.kind == "artifact":
            total += sizes.get(each.after, 0)
        elif each.kind in {"k3s", "first"}:
            total += _binary_size(lock.releases.get(each.after), arch)
    return total


def _binary_size(release: LockedRelease | None, arch: str) -> int:
    if release is None:
        return 0
    if arch in release.binaries:
        return release.binaries[arch].size
    return max((file.size for file in release.binaries.values()), default=0)
