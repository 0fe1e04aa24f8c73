"""A Record: what a node says it holds. The node's own file is the truth; `.fleet/` keeps a copy (decision 6)."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """As written by fleet_bundle to /var/lib/fleet/record.json and as kept in `.fleet/`.

    `digest` is the last bundle fully brought in; `manifest` its canonical manifest (JSON text, never a secret),
    or "" where only the digest is known. `at` is seconds since 1970 by the node's own clock: evidence, no truth.
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
