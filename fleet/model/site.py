"""A resolved Site: what templates see as `site`, and what waves and windows read."""

from __future__ import annotations

import msgspec


class ResolvedSite(msgspec.Struct, frozen=True, eq=False):
    """`time_zone` is an IANA name, UTC when the spec gives none; coordinates are degrees, NaN-free, or None."""

    name: str
    labels: dict[str, str]
    time_zone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None
    jurisdiction: str = ""
    operator: str = ""
    cidr: str = ""
    gateway: str = ""
    nodes: int = 0
