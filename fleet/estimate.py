"""estimate: what carrying out a plan touches and costs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fleet.model.change import Change, NodeChange
from fleet.model.confirmation import Confirmation
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock, LockedFile
from fleet.model.node import Node
from fleet.model.plan import BlastRadius
from fleet.model.verdict import Verdict

K3S_RESTART_SECONDS = 30
"""For how long the API of a site with one server is away while K3s restarts.

An assumption, not a measurement, with room for slow hardware: K3s documents no figure. The unit is `Type=notify`, so
what systemd waited for on a real node can take its place. Pods run on meanwhile (`KillMode=process` in K3s's unit).
"""

_SERVER_UNIT = "k3s.service"
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
    tally = _Tally()
    kinds = {node.name: (node.arch, node.settings.k3s.air_gap) for node in fleet.nodes} if changes else {}
    seen: dict[tuple[int, str, bool], _Cost] = {}
    for change in changes:
        # Nodes that are new share one tuple of changes: what follows from it is worked out once.
        key = (id(change.changes), *kinds.get(change.node, ("", False)))
        cost = seen.get(key)
        if cost is None:
            size = _fetched(change, key[1], lock, sizes, with_images=key[2])
            cost = seen[key] = _cost(change, size)
        tally.add(change, cost)
        if _SERVER_UNIT in cost.units and _is_alone(fleet, change.cluster):
            tally.down.add(fleet.clusters[change.cluster].site)
    lost = len({verdict.subject for verdict in verdicts if verdict.rule == "quorum" and verdict.outcome == "refused"})
    return tally.radius(len(changes), lost)


def confirmed(fleet: ResolvedFleet, changes: Iterable[NodeChange]) -> tuple[str, ...]:
    """Nodes whose way in changes: they are confirmed over a new connection, or undo it."""
    nodes = {node.name: node for node in fleet.nodes}
    seen: dict[tuple[int, int, int], bool] = {}
    found = []
    for each in changes:
        if (node := nodes.get(each.node)) is None:
            continue
        # Nodes that are new share one tuple of changes, and many of them their settings.
        key = (id(each.changes), id(node.settings), node.connection.confirm_seconds)
        if (known := seen.get(key)) is None:
            known = seen[key] = _is_confirmed(node, each.changes)
        if known:
            found.append(each.node)
    return tuple(found)


def _is_confirmed(node: Node, changes: Iterable[Change]) -> bool:
    asked = node.confirmation
    if asked is None:
        return False
    return any(_comes(node, asked) if each.kind == "first" else _touches(node, each, asked) for each in changes)


def _comes(node: Node, asked: Confirmation) -> bool:
    """Of a node that holds nothing yet everything is new."""
    own = node.settings.os
    files = any(asked.has_path(file.path) or asked.has_unit(*file.restart, *file.reload) for file in own.files)
    others = any(asked.has_unit(unit.name) for unit in own.units) or any(map(asked.has_sysctl, own.sysctl))
    return files or others or bool(own.users)


def _touches(node: Node, change: Change, asked: Confirmation) -> bool:
    """Of kernel parameters a plan knows no more than that their file changes."""
    if change.subject.startswith("/etc/sysctl.d/") and any(map(asked.has_sysctl, node.settings.os.sysctl)):
        return True
    match change.kind:
        case "user":
            return True
        case "unit":
            return asked.has_unit(change.subject)
        case "sysctl":
            return asked.has_sysctl(change.subject)
        case "file" | "folder" | "artifact" | "config":
            return asked.has_path(change.subject) or asked.has_unit(*change.restarts, *change.reloads)
        case _:
            return False


def downloads(change: NodeChange) -> bool:
    """Whether a node needs an artifact that it did not hold when it last told. Folders and modes are no downloads."""
    return any(
        bool(each.after)
        if each.kind in {"k3s", "first"}
        else each.kind == "artifact" and bool(_SHA256.fullmatch(each.after))
        for each in change.changes
    )


class _Cost(msgspec.Struct, frozen=True):
    """What one tuple of changes costs a node of one architecture."""

    units: frozenset[str]
    upgrades: bool
    size: int


class _Tally:
    """Sums over changing nodes."""

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self.sites: set[str] = set()
        self.clusters: set[str] = set()
        self.upgraded: set[str] = set()
        self.down: set[str] = set()
        self.servers = self.fetched = 0

    def add(self, change: NodeChange, cost: _Cost) -> None:
        self.restarts.update(cost.units)
        self.sites.add(change.site)
        self.clusters.add(change.cluster)
        self.servers += change.role == "server"
        self.fetched += cost.size
        if cost.upgrades:
            self.upgraded.add(change.cluster)

    def radius(self, nodes: int, quorum_lost: int) -> BlastRadius:
        return BlastRadius(
            nodes=nodes,
            sites=len(self.sites),
            clusters=len(self.clusters - {""}),
            servers=self.servers,
            restarts=dict(sorted(self.restarts.items())),
            clusters_upgraded=len(self.upgraded - {""}),
            quorum_lost=quorum_lost,
            downtime_sites=len(self.down),
            downtime_seconds=K3S_RESTART_SECONDS if self.down else 0,
            mirror_bytes=self.fetched,
        )


def _cost(change: NodeChange, size: int) -> _Cost:
    upgrades = any(each.kind == "k3s" and each.action == "edit" for each in change.changes)
    return _Cost(change.restarts, upgrades, size)


def _is_alone(fleet: ResolvedFleet, cluster: str) -> bool:
    known = fleet.clusters.get(cluster)
    return known is not None and len(known.servers) == 1


def _fetched(change: NodeChange, arch: str, lock: Lock, sizes: Mapping[str, int], *, with_images: bool) -> int:
    """Bytes that one node gets from mirrors."""
    total = 0
    for each in change.changes:
        if each.kind == "artifact":
            total += sizes.get(each.after, 0)
        elif each.kind in {"k3s", "first"}:
            release = lock.releases.get(each.after)
            total += 0 if release is None else _size(release.binaries, arch)
            total += _size(release.images, arch) if release is not None and with_images else 0
    return total


def _size(files: Mapping[str, LockedFile], arch: str) -> int:
    if arch in files:
        return files[arch].size
    return max((file.size for file in files.values()), default=0)
