"""What is applied where, since when, by which commit: read from records and the journal alone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fleet.model.record import Record
from fleet.model.rollout import RolloutCounts, RolloutSummary
from fleet.model.tree import Revision


class CommitRow(msgspec.Struct, frozen=True):
    """Nodes that hold what one commit wanted. Times are seconds since 1970, by the nodes' own clocks."""

    commit: str
    nodes: int
    first_at: float
    last_at: float
    sample: tuple[str, ...] = ()


class CertificateRow(msgspec.Struct, frozen=True):
    """When the first of K3s's leaf certificates on a node ends, and the first of its CAs: `2027-11-29T02:07:05Z`."""

    node: str
    leaf_end: str = ""
    ca_end: str = ""
    is_leaf_due: bool = False
    is_ca_due: bool = False


class Certificates(msgspec.Struct, frozen=True):
    """`rows` are those that run out, the first one first, or that have: a leaf within 120 days, a CA within a year.

    `told` counts nodes that told of certificates, `silent` those with a record that did not.
    """

    told: int
    silent: int
    rows: tuple[CertificateRow, ...] = ()
    first_leaf: str = ""
    first_ca: str = ""


class OfflineNode(msgspec.Struct, frozen=True):
    """A node that did not answer when it was last asked, `at`. `since` is the first time that it did not, `answered` the last
    time that it did, 0 for never. Times are by this machine's clock, in seconds since 1970. `rollout` is the one that asked
    last, empty where that was a look (`--refresh`).
    """

    node: str
    site: str
    since: float
    at: float
    answered: float = 0.0
    reason: str = ""
    rollout: str = ""


class Offline(msgspec.Struct, frozen=True):
    """Those that went away last come first."""

    nodes: tuple[OfflineNode, ...]


class RolloutRow(RolloutSummary, frozen=True):
    """`under_way` nodes are in batches that have not ended, in `wave` or an earlier one. `driver` is the controller that
    drives it, empty for none; `waits_for` is empty where it has ended, or goes on by itself.
    """

    counts: RolloutCounts = RolloutCounts()
    under_way: int = 0
    wave: str = ""
    driver: str = ""
    waits_for: str = ""


class Status(msgspec.Struct, frozen=True):
    """`reported` counts nodes that ever told what they hold; `rollouts` are the latest ones, newest first."""

    revision: Revision
    reported: int
    commits: tuple[CommitRow, ...]
    rollouts: tuple[RolloutRow, ...]
    sandbox: str = ""
    adopting: tuple[str, ...] = ()
    """Nodes on which something waits to be taken."""
    reboots: tuple[str, ...] = ()
    """Nodes on which OS updates made a reboot due."""
    certificates: Certificates = Certificates(0, 0)


NodeState = Literal["current", "behind", "never"]


class NodeRow(msgspec.Struct, frozen=True):
    """One line of `fleet node list`: `state` compares the node's record with what git wants."""

    name: str
    site: str
    role: str
    cluster: str
    address: str
    arch: str
    k3s: str
    state: NodeState
    commit: str = ""
    at: float = 0.0


class OriginRow(msgspec.Struct, frozen=True):
    """One value of a node, and `file:line` where it is written."""

    path: str
    value: Any
    where: str


class NodeDetail(msgspec.Struct, frozen=True):
    row: NodeRow
    labels: dict[str, str]
    settings: dict[str, Any]
    files: tuple[str, ...]
    record: Record | None = None
    origins: tuple[OriginRow, ...] = ()
    log: tuple[str, ...] = ()
