"""Host keys: what a host showed, and what git says of it."""

from __future__ import annotations

from typing import Literal

import msgspec


class ShownKey(msgspec.Struct, frozen=True):
    """`algorithm` and `key` (base64) as in known_hosts; `unreachable` says why there is none."""

    node: str
    algorithm: str = ""
    key: str = ""
    unreachable: str = ""


class TrustRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node's key beside known_hosts: `pinned` already, `new`, `changed` (another one is pinned), `revoked` (a line
    with @revoked takes it back), or `unreachable`.

    `fingerprint` is `SHA256:…`; `was` the fingerprint of the pinned one where that differs.
    """

    node: str
    host: str
    port: int
    state: Literal["pinned", "new", "changed", "revoked", "unreachable"]
    algorithm: str = ""
    key: str = ""
    fingerprint: str = ""
    was: str = ""
    reason: str = ""
