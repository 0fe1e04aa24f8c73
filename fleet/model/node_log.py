"""What was done to one node, by which rollout, and what Ansible printed of it."""

from __future__ import annotations

from typing import Literal

import msgspec

RunOutcome = Literal[
    "applied", "failed", "unhealthy", "unreachable", "blocked", "rolled-back", "not-rolled-back", "unknown", "running",
]  # fmt: skip


class NodeRun(msgspec.Struct, frozen=True):
    """One run of a node, or what a gate found after it (`unhealthy`), or why there was none (`blocked`). `unknown`: what came
    of it was never told, and the node was run again.

    `at` is when it was over, `began` when its batch began, in seconds since 1970; 0 where there is no such time. `undoes` is
    the rollout that this one rolled back, `undone_by` the one that rolled this one back, empty for none. `output` are lines
    of ansible-playbook about this node, None where they were not asked for, or are not kept.
    """

    at: float
    rollout: str
    outcome: RunOutcome
    commit: str = ""
    batch: str = ""
    began: float = 0.0
    reason: str = ""
    changed: int = 0
    restarted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    updated: int = 0
    rebooted: bool = False
    undoes: str = ""
    undone_by: str = ""
    output: tuple[str, ...] | None = None


class NodeLog(msgspec.Struct, frozen=True):
    """`runs`, the newest last. `has_more`: there may be older ones. Output is kept of the newest `kept_rollouts` rollouts."""

    node: str
    runs: tuple[NodeRun, ...]
    has_more: bool = False
    kept_rollouts: int = 0
