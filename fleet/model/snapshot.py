"""A rollout's state as the journal keeps it."""

from __future__ import annotations

import msgspec

from fleet.model.rollout import RolloutStatus, RunningBatch, RunningCheck
from fleet.model.window import Wait


class RolloutSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `RolloutState` without what the order already says. Bit sets are lower-case hex."""

    version: int
    status: RolloutStatus
    epoch: int
    controller: str
    reason: str
    wave: int
    batches: int
    running: tuple[RunningBatch, ...]
    applied: str
    failed: str
    unreachable: str
    blocked: str
    is_held: bool = False
    has_failed: bool = False
    forgiven: str = "0"
    soaks_until: float = 0.0
    is_over: bool = False
    asked: int = -1
    approved: int = -1
    wait: Wait | None = None
    paced_until: float = 0.0
    lost: tuple[tuple[float, str], ...] = ()
    lapsed: str = "0"
    is_barred: bool = False
    checking: RunningCheck | None = None
    checks: int = 0
    gated: int = -1
    doubted: int = -1
    unready: tuple[str, ...] = ()
    unhealthy: str = "0"
    asking: str = "0"
    proven: str = "0"
    undone: str = "0"
    stuck: str = "0"
