"""secrets.lock: a keyed fingerprint and a version of each secret, so that a plan needs no password. Who uses which."""

from __future__ import annotations

from typing import Literal

import msgspec

PREVIOUS = ".previous"
"""NAME.previous is what NAME was before `fleet secret rotate`: old snapshots of a datastore open with it alone."""


class LockedSecret(msgspec.Struct, frozen=True):
    """`file` is the vault file that holds the value; `fingerprint` is HMAC-SHA256 (hex) under the fleet's own key."""

    file: str
    version: int
    fingerprint: str


class SecretsLock(msgspec.Struct, frozen=True):
    format: str = "fleet.secrets/v1"
    secrets: dict[str, LockedSecret] = {}


class SecretRow(msgspec.Struct, frozen=True):
    """One secret and who uses it. `file` is empty and `version` 0 for one that the spec names and no vault file holds.

    `kind`: a K3s token, what a token was before it was rotated, or a secret of people's own.
    """

    name: str
    file: str
    version: int
    kind: Literal["token", "previous", "own"]
    sites: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class VaultRekeyed(msgspec.Struct, frozen=True, tag=True):
    """A vault file has the new password, `done` of `total` files. `had_it`: from an earlier rekey that was cut short."""

    file: str
    done: int
    total: int
    had_it: bool = False
