"""A state as it is kept: without its order, which the journal holds once."""

from __future__ import annotations

from typing import Any

import msgspec

from fleet.decide.evolution import check_version
from fleet.decide.layout import bits, initial, ready_among
from fleet.errors import UsageError
from fleet.model.rollout import RolloutOrder, RolloutState
from fleet.model.snapshot import RolloutSnapshot


class _Versioned(msgspec.Struct):
    version: int


_SAME = (
    "version", "status", "epoch", "controller", "reason", "wave", "batches", "running", "is_held", "has_failed",
    "soaks_until", "is_over", "asked", "approved", "wait", "paced_until", "is_barred",
    "checking", "checks", "gated", "doubted", "unready",
)  # fmt: skip
"""Fields that are kept as they are."""
_SETS = (
    "applied", "failed", "unreachable", "blocked", "forgiven", "lapsed", "unhealthy", "asking", "proven",
    "undone", "stuck",
)  # fmt: skip


def snapshot(state: RolloutState) -> RolloutSnapshot:
    same: dict[str, Any] = {name: getattr(state, name) for name in _SAME}
    sets: dict[str, Any] = {name: f"{getattr(state, name):x}" for name in _SETS}
    return RolloutSnapshot(
        **same,
        **sets,
        lost=tuple((moment, f"{those:x}") for moment, those in state.lost),
    )


def restore(order: RolloutOrder, kept: RolloutSnapshot) -> RolloutState:
    """The state that `kept` was taken of. Raises `UsageError` for an unknown version."""
    check_version(kept.version)
    fresh = initial(order)
    sets = {name: int(getattr(kept, name), 16) for name in _SETS}
    in_flight = bits(fresh.layout.index[name] for batch in kept.running if not batch.is_back for name in batch.nodes)
    touched = sets["applied"] | sets["failed"] | sets["unreachable"] | sets["blocked"] | in_flight
    # What came after a node that turned ill was let begin when it was well.
    ready = ready_among(fresh.layout, sets["applied"] | sets["unhealthy"], touched)
    same = {name: getattr(kept, name) for name in _SAME if name != "version"}
    lost = tuple((moment, int(those, 16)) for moment, those in kept.lost)
    return msgspec.structs.replace(fresh, **same, **sets, ready=ready, in_flight=in_flight, lost=lost)


def encode_snapshot(kept: RolloutSnapshot) -> bytes:
    return msgspec.json.encode(kept)


def decode_snapshot(text: bytes) -> RolloutSnapshot:
    """Raises `UsageError` for a version that this fleet does not know, and for what is no snapshot at all."""
    try:
        check_version(msgspec.json.decode(text, type=_Versioned).version)
        return msgspec.json.decode(text, type=RolloutSnapshot)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"a rollout's snapshot cannot be read: {error}",
            hint="Losing .fleet loses history, never truth: move it away and run fleet plan --refresh.",
        ) from error
