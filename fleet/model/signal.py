"""Signals: what a rollout is told. They come in to `decide`; nothing else does."""

from __future__ import annotations

import msgspec

from fleet.model.batch import NodeResult
from fleet.model.gate import GateAnswer


class _Signal(msgspec.Struct, frozen=True, kw_only=True, tag_field="signal"):
    """`at` is when it is heard, in seconds since 1970: a decision has no other clock. Who drives a rollout sets it."""

    at: float = 0.0


class Begin(_Signal, frozen=True, tag=True):
    """`epoch` is that of the controller's lease."""

    epoch: int


class TakeOver(_Signal, frozen=True, tag=True):
    """Another lease than the one that the rollout knows: after a crash, or to go on after a pause."""

    epoch: int
    controller: str


class Tick(_Signal, frozen=True, tag=True):
    """Nothing but that time has passed: a decision said `wake_at`, or somebody took over."""


class BatchFinished(_Signal, frozen=True, tag=True):
    batch_id: str
    results: tuple[NodeResult, ...]


class BatchLost(_Signal, frozen=True, tag=True):
    """Nobody knows what came of the batch: its nodes are to be run again."""

    batch_id: str
    reason: str


class GatesAnswered(_Signal, frozen=True, tag=True):
    check_id: str
    answers: tuple[GateAnswer, ...]


class Pause(_Signal, frozen=True, tag=True):
    reason: str


class Resume(_Signal, frozen=True, tag=True):
    pass


class Cancel(_Signal, frozen=True, tag=True):
    reason: str = ""


class Approve(_Signal, frozen=True, tag=True):
    """`by` lets the wave begin that waits for it; with `wave`, that one alone."""

    by: str
    wave: str = ""


class Supersede(_Signal, frozen=True, tag=True):
    """The rollout `by`, of a newer commit, takes what has not begun."""

    by: str


Signal = (
    Begin | TakeOver | Tick | BatchFinished | BatchLost | GatesAnswered | Pause | Resume | Cancel | Approve | Supersede
)  # fmt: skip
Request = Pause | Resume | Cancel | Approve | Supersede
"""What another process may put into a rollout's inbox."""
