"""What came of each node of a rollout."""

from __future__ import annotations

from typing import Literal

import msgspec

Result = Literal["succeeded", "failed", "rolled-back", "deferred", "skipped", "superseded", "running", "waiting"]
RESULTS: tuple[Result, ...] = (
    "succeeded", "failed", "rolled-back", "deferred", "skipped", "superseded", "running", "waiting",
)  # fmt: skip
"""The last two are of nodes that have none yet."""


class NodeResult(msgspec.Struct, frozen=True):
    """`deferred`: it did not answer, and its policy leaves it for later. `skipped`: it was not touched. `superseded`: it is
    left to the rollout `by`. `rolled-back`: rollout `by` brought back what it held before; `reason` says why this one failed
    on it, if it did.

    `at` is when that was known, in seconds since 1970, 0 where it is not yet; `batch` is empty where it was in none.
    """

    node: str
    wave: str
    result: Result
    reason: str = ""
    by: str = ""
    batch: str = ""
    at: float = 0.0


class NodeResults(msgspec.Struct, frozen=True):
    """In the order's order. `counts` are of all nodes, whichever are listed; results that no node has are left out."""

    rollout: str
    counts: dict[Result, int]
    nodes: tuple[NodeResult, ...]
