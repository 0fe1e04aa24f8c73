"""How many nodes may download at once, with every default."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from fleet.model.crowd import Downloads
from fleet.model.spec.fleet import ArtifactsSpec

DEFAULT_PER_MIRROR = 50
DEFAULT_PER_SITE = 4


def downloads(said: ArtifactsSpec | UnsetType) -> Downloads:
    """Any number where every mirror is a folder: nothing is sent then."""
    mirrors = [] if isinstance(said, UnsetType) else said.mirrors or []
    limits = UNSET if isinstance(said, UnsetType) else said.max_concurrent
    if mirrors and all(mirror.startswith("file:") for mirror in mirrors):
        return Downloads()
    per_mirror = UNSET if isinstance(limits, UnsetType) else limits.per_mirror
    per_site = UNSET if isinstance(limits, UnsetType) else limits.per_site
    return Downloads(
        DEFAULT_PER_MIRROR if isinstance(per_mirror, UnsetType) else per_mirror,
        DEFAULT_PER_SITE if isinstance(per_site, UnsetType) else per_site,
    )
