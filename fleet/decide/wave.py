"""Whether the wave that runs has passed or failed: as soon as the nodes without an outcome cannot change that any more.

The share that succeeded is of the nodes that succeeded or failed (spec.md). What could not be reached, or was not touched
because of another node, is in neither: one node that is away holds up no wave. But a wave of which less than minFinished
did either proves nothing, and fails.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fleet.model.rollout import RolloutState


class WaveVerdict(msgspec.Struct, frozen=True):
    """`reason` says why it failed."""

    outcome: Literal["open", "passed", "failed"]
    reason: str = ""


_OPEN = WaveVerdict("open")
_PASSED = WaveVerdict("passed")


def judged(state: RolloutState) -> WaveVerdict:
    wave = state.order.waves[state.wave]
    those = state.layout.waves[state.wave] & ~state.forgiven
    left = (those & ~state.finals).bit_count()
    threshold, least = wave.success_threshold, wave.min_finished
    if threshold is None or least is None:
        return _OPEN if left else _PASSED
    total, succeeded = those.bit_count(), (state.applied & those).bit_count()
    finished = succeeded + (state.failed & those).bit_count()
    if 100 * (succeeded + left) < threshold * (finished + left):
        return WaveVerdict("failed", _missed(finished - succeeded, succeeded, threshold))
    if 100 * (finished + left) < least * total:
        return WaveVerdict("failed", _too_few(total - finished - left, total, least))
    # At worst all that are left fail, or all are away.
    is_sure = 100 * succeeded >= threshold * (finished + left) and 100 * finished >= least * total
    return _PASSED if is_sure else _OPEN


def _missed(failed: int, succeeded: int, threshold: Decimal) -> str:
    return f"{failed:,} failed and {succeeded:,} succeeded, so successThreshold {threshold:f}% cannot be met"


def _too_few(untried: int, total: int, least: Decimal) -> str:
    return f"{untried:,} of {total:,} could not be reached or were blocked, so minFinished {least:f}% cannot be met"
