"""What `fleet secret` tells of what it did. Never a value."""

from __future__ import annotations

import msgspec

from fleet.model.secret import VaultRekeyed


class SecretsMade(msgspec.Struct, frozen=True, tag=True):
    """`names` are in `file` and listed now; `done` of `total` files. `found` of the names were there, only unlisted."""

    file: str
    names: tuple[str, ...]
    done: int
    total: int
    found: tuple[str, ...] = ()


class SecretsListed(msgspec.Struct, frozen=True, tag=True):
    """`names` of a vault file that somebody wrote by hand are in secrets.lock now; `changed` were, with other values."""

    file: str
    names: tuple[str, ...]
    changed: tuple[str, ...] = ()


class SecretsComplete(msgspec.Struct, frozen=True, tag=True):
    """The end: every cluster has its tokens. `made` counts new values."""

    clusters: int
    made: int


class SecretStored(msgspec.Struct, frozen=True, tag=True):
    """`name` is in `file` with the value that was given; `before` is its version until now, 0 for a new name."""

    name: str
    file: str
    version: int
    before: int = 0


class TokenRotated(msgspec.Struct, frozen=True, tag=True):
    """`name` has a new value. `previous` is the name under which the old one is kept, empty where none has to be."""

    name: str
    file: str
    version: int
    cluster: str
    previous: str = ""


class TokensRotated(msgspec.Struct, frozen=True, tag=True):
    """The end of a rotation: `tokens` have new values, `servers` of them are server tokens."""

    tokens: int
    servers: int


class RekeyComplete(msgspec.Struct, frozen=True, tag=True):
    """The end: all `files` have the new password, `before` of them from an earlier call that was cut short."""

    files: int
    before: int = 0


SecretEvent = (
    SecretsMade
    | SecretsListed
    | SecretsComplete
    | SecretStored
    | TokenRotated
    | TokensRotated
    | VaultRekeyed
    | RekeyComplete
)
