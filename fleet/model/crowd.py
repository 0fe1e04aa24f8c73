"""How many nodes may do at once what weighs on something that they share: a mirror, a site's line, a server."""

from __future__ import annotations

import msgspec


class Downloads(msgspec.Struct, frozen=True):
    """How many nodes may be downloading at once: from one mirror, and at one site. 0: any number."""

    per_mirror: int = 0
    per_site: int = 0


class Crowd(msgspec.Struct, frozen=True):
    """Nodes of a rollout of which at most `most` are in flight at once. `pieces` as in `BudgetGroup`."""

    most: int
    pieces: tuple[tuple[int, int], ...]
