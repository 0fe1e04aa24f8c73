"""A Record: what a node says it holds. The node's own file is the truth; `.fleet/` keeps a copy (decision 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec

# A node writes its own record, and a node may be in other hands: what is sent on (into a project that Ansible reads, to
# git, to another node) can be nothing but what it should be. It holds where a record is decoded.
MachineId = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z-]{0,64}$")]
ArchName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z_]{0,32}$")]
LearnedValue = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z+/=:._-]{0,128}$")]
_LearnedName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,32}$")]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^(b1:[0-9a-z-]{1,64})?$")]
_CommitId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,64}$")]


class PackageChange(msgspec.Struct, frozen=True):
    """One package that a run of updates changed: versions before and after, "" where there was none."""

    name: str
    before: str
    after: str


class Updates(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the last run of OS updates on a node did. `at` is by the node's clock.

    `done` is `mode snapshot` of the run (`security 2026-11-01`): a node is done if and only if that is what is wanted.
    `reboot`: why one is pending, "" for none. `boot_id`: the boot in which it ran; `rebooted`: the one that a reboot of
    ours brought.
    """

    done: str
    at: float = 0.0
    changed: tuple[PackageChange, ...] = ()
    reboot: str = ""
    boot_id: str = ""
    rebooted: str = ""


class HeldBack(msgspec.Struct, frozen=True):
    """A bundle that `rollout` brought, or was to bring, and that was rolled back: it is not brought again, unless somebody
    says so.
    """

    digest: str
    rollout: str


class Silence(msgspec.Struct, frozen=True):
    """A node that was asked and did not answer, and has not answered since. `since` is the first time that it did not,
    `at` the last one, by this machine's clock in seconds since 1970: both are stamped where they are kept.
    """

    node: str
    site: str
    reason: str
    since: float = 0.0
    at: float = 0.0


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """As written by fleet_bundle to /var/lib/fleet/record.json and as kept in `.fleet/`.

    `digest` is the last bundle fully brought in; `manifest` its canonical manifest (JSON text, never a secret),
    or "" where only the digest is known. `at` is seconds since 1970 by the node's own clock: evidence, no truth.
    `base`: where a bundle came in half, the digest held before it, and `wanted` its own. `differs` are paths and units
    that a look at the node found otherwise than `manifest` says; the node itself does not write it. `waiting` are paths
    that differ on a host which is being adopted, and that nobody has taken yet. `learned` is what others may need of it,
    by name: `k3s_ca` is the hash of the CA of its K3s cluster.
    """

    node: str
    fleet: str
    machine_id: MachineId
    digest: _Digest
    commit: _CommitId = ""
    controller: str = ""
    epoch: int = 0
    arch: ArchName = ""
    at: float = 0.0
    manifest: str = ""
    base: _Digest = ""
    differs: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    updates: Updates | None = None
    learned: dict[_LearnedName, LearnedValue] = {}
    wanted: _Digest = ""

    @property
    def last_digest(self) -> str:
        """The last bundle that was on the node as a whole: what it expects to be asked for before the next one."""
        return self.digest or self.base

    def holds(self, digest: str) -> bool:
        """Whether the node is done with that bundle, and nobody changed it since."""
        return self.digest == digest and not self.differs
