"""secrets.lock: a keyed fingerprint and a version of each secret, so that a plan needs no password."""

from __future__ import annotations

import msgspec


class LockedSecret(msgspec.Struct, frozen=True):
    """`file` is the vault file that holds the value; `fingerprint` is HMAC-SHA256 (hex) under the fleet's own key."""

    file: str
    version: int
    fingerprint: str


class SecretsLock(msgspec.Struct, frozen=True):
    format: str = "fleet.secrets/v1"
    secrets: dict[str, LockedSecret] = {}
