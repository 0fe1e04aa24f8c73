"""Why nodes did not come through, and nodes that did not for the same reason."""

from __future__ import annotations

from typing import Literal

import msgspec

TroubleKind = Literal["failed", "unhealthy", "unreachable", "blocked"]


class Trouble(msgspec.Struct, frozen=True):
    """`by` is the node because of which this one was blocked, empty where that is not known."""

    kind: TroubleKind
    node: str
    reason: str
    by: str = ""


class ReasonGroup(msgspec.Struct, frozen=True):
    """Nodes with equal reasons, in the order in which they had them. What only names one of them is NODE, ADDRESS or ID in
    `reason`, unless the group is of one reason, word by word.
    """

    kind: TroubleKind
    reason: str
    nodes: tuple[str, ...]
