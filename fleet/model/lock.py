"""fleet.lock: what `fleet lock` pinned. Nothing else writes it."""

from __future__ import annotations

import msgspec


class LockedFile(msgspec.Struct, frozen=True):
    """One release file: its name on the mirror below the version's folder, and its sha256 in lower-case hex."""

    name: str
    sha256: str
    size: int = 0


class LockedRelease(msgspec.Struct, frozen=True, omit_defaults=True):
    """One K3s release: per architecture (amd64, arm64, arm) the binary and, where a node wants them, K3s's own images."""

    version: str
    binaries: dict[str, LockedFile]
    images: dict[str, LockedFile] = {}


class Lock(msgspec.Struct, frozen=True):
    """`channels` maps a channel that the spec names to the version that it was pinned to.

    `releases` maps a version to its files, one release per minor on the way from the oldest supported one.
    `renderer` is the version of the renderer that the fleet's bundles are made with (design, decision 8).
    """

    format: str = "fleet.lock/v1"
    renderer: int = 1
    channels: dict[str, str] = {}
    releases: dict[str, LockedRelease] = {}
