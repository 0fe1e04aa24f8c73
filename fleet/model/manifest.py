"""A Manifest: what a node's record says that it holds, read back for comparison with a Bundle."""

from __future__ import annotations

import msgspec

from fleet.model.bundle import (
    BundleArtifact,
    BundleFacts,
    BundleFile,
    BundleFolder,
    BundlePackage,
    BundleUnit,
    BundleUpdates,
    BundleUser,
)


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same parts as a Bundle, without its name, digest and blobs. Fields of a newer fleet are passed over."""

    facts: BundleFacts = BundleFacts()
    files: tuple[BundleFile, ...] = ()
    folders: tuple[BundleFolder, ...] = ()
    artifacts: tuple[BundleArtifact, ...] = ()
    units: tuple[BundleUnit, ...] = ()
    packages: tuple[BundlePackage, ...] = ()
    users: tuple[BundleUser, ...] = ()
    sysctl: dict[str, str] = {}
    updates: BundleUpdates | None = None


_DECODER = msgspec.json.Decoder(Manifest)


def read_manifest(text: str | bytes) -> Manifest:
    """`Record.manifest` as a value. Raises ValueError where it is not a manifest: nodes are not trusted to hold one."""
    return _DECODER.decode(text)
