"""What stands for a file's content: an id to compare and to look up by, and a text that may be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from fleet.model.bundle import BundleFile, SecretRef


def content_id(file: BundleFile) -> str:
    """The content's sha256; where it holds secrets, a sha256 over its segments with their fingerprints."""
    if not file.segments:
        return file.sha256
    return hashlib.sha256(msgspec.json.encode(file.segments)).hexdigest()


def shown(file: BundleFile) -> bytes | None:
    """The content of a file with secrets as it may be shown: `{secret NAME}` for each. None for any other file."""
    if not file.segments:
        return None
    return "".join(f"{{secret {s.name}}}" if isinstance(s, SecretRef) else s for s in file.segments).encode()


def secret_texts(files: Iterable[BundleFile]) -> dict[str, bytes]:
    """content_id -> shown text of those files that hold secrets: what `groups` looks up besides blobs."""
    return {content_id(file): text for file in files if (text := shown(file)) is not None}
