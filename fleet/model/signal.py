"""Signals: what a rollout is told. They come in to `decide`; nothing else does, not even the time."""

from __future__ import annotations

import msgspec

from fleet.model.batch import NodeResult


class Begin(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    """`epoch` is that of the controller's lease."""

    epoch: int


class TakeOver(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    """Another lease than the one that the rollout knows: after a crash, or to go on after a pause."""

    epoch: int
    controller: str


class BatchFinished(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    batch_id: str
    results: tuple[NodeResult, ...]


class BatchLost(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    """Nobody knows what came of the batch: its nodes are to be run again."""

    batch_id: str
    reason: str


class Pause(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    reason: str


class Resume(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    pass


class Cancel(msgspec.Struct, frozen=True, tag=True, tag_field="signal"):
    reason: str = ""


Signal = Begin | TakeOver | BatchFinished | BatchLost | Pause | Resume | Cancel
Request = Pause | Resume | Cancel
"""What another process may put into a rollout's inbox."""
