"""A Record: what a node says it holds. The node's own file is the truth; `.fleet/` keeps a copy (decision 6)."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """As written by fleet_bundle to /var/lib/fleet/record.json and as kept in `.fleet/`.

    `digest` is the last bundle fully brought in; `manifest` its canonical manifest (JSON text, never a secret),
    or "" where only the digest is known. `at` is seconds since 1970 by the node's own clock: evidence, no truth.
    `base`: where a bundle came in half, the digest held before it. `differs` are paths that a look at the node found
    otherwise than `manifest` says; the node itself does not write it.
    """

    node: str
    fleet: str
    machine_id: str
    digest: str
    commit: str = ""
    controller: str = ""
    epoch: int = 0
    arch: str = ""
    at: float = 0.0
    manifest: str = ""
    base: str = ""
    differs: tuple[str, ...] = ()

    @property
    def last_digest(self) -> str:
        """The last bundle that was on the node as a whole: what it expects to be asked for before the next one."""
        return self.digest or self.base

    def holds(self, digest: str) -> bool:
        """Whether the node is done with that bundle, and nobody changed it since."""
        return self.digest == digest and not self.differs
