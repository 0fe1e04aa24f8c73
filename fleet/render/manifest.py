"""The canonical manifest of a bundle, and its digest.

Canonical: JSON with sorted keys, without white space, UTF-8 unescaped; that is what Python's
`json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes, so that the node can check
it with its standard library. Defaults of the structs are left out. `urls` of artifacts and seeds are no part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from fleet.model.bundle import Bundle, BundleArtifact

_ENCODER = msgspec.json.Encoder(order="sorted")


def encoded(value: object) -> bytes:
    """One entry of the manifest."""
    return _ENCODER.encode(value)


def artifact_entry(artifact: BundleArtifact) -> bytes:
    return encoded(msgspec.structs.replace(artifact, urls=()))


def assembled(  # noqa: PLR0913 - one argument per part of the manifest, all of them bytes already
    *,
    artifacts: Iterable[bytes],
    facts: bytes,
    files: Iterable[bytes],
    folders: Iterable[bytes],
    packages: bytes,
    sysctl: bytes,
    units: bytes,
    updates: bytes,
    users: bytes,
) -> bytes:
    """The manifest of entries that are encoded already, each kind in the order of path or name. No `updates`: empty."""
    parts = (
        b'{"artifacts":[', b",".join(artifacts),
        b'],"facts":', facts,
        b',"files":[', b",".join(files),
        b'],"folders":[', b",".join(folders),
        b'],"packages":', packages,
        b',"sysctl":', sysctl,
        b',"units":', units,
        b',"updates":' + updates if updates else b"",
        b',"users":', users,
        b"}",
    )  # fmt: skip
    return b"".join(parts)


def manifest_of(bundle: Bundle) -> bytes:
    """The manifest of a whole bundle, made the slow and plain way."""
    return assembled(
        artifacts=map(artifact_entry, bundle.artifacts),
        facts=encoded(bundle.facts),
        files=(encoded(file) for file in bundle.files if not file.seed),
        folders=map(encoded, bundle.folders),
        packages=encoded(bundle.packages),
        sysctl=encoded(bundle.sysctl),
        units=encoded(bundle.units),
        updates=b"" if bundle.updates is None else encoded(bundle.updates),
        users=encoded(bundle.users),
    )


def digest_of(manifest: bytes) -> str:
    return "b1:" + hashlib.sha256(manifest).hexdigest()
