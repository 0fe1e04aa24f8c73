"""A state as it is kept: without its order, which the journal holds once."""

from __future__ import annotations

import msgspec

from fleet.decide.evolution import check_version
from fleet.decide.layout import bits, initial, ready_among
from fleet.errors import UsageError
from fleet.model.rollout import RolloutOrder, RolloutSnapshot, RolloutState


class _Versioned(msgspec.Struct):
    version: int


def snapshot(state: RolloutState) -> RolloutSnapshot:
    return RolloutSnapshot(
        version=state.version,
        status=state.status,
        epoch=state.epoch,
        controller=state.controller,
        reason=state.reason,
        wave=state.wave,
        batches=state.batches,
        running=state.running,
        applied=f"{state.applied:x}",
        failed=f"{state.failed:x}",
        unreachable=f"{state.unreachable:x}",
        blocked=f"{state.blocked:x}",
        is_held=state.is_held,
        has_failed=state.has_failed,
        forgiven=f"{state.forgiven:x}",
        soaks_until=state.soaks_until,
        is_over=state.is_over,
        asked=state.asked,
        approved=state.approved,
        wait=state.wait,
        paced_until=state.paced_until,
        lost=tuple((moment, f"{those:x}") for moment, those in state.lost),
        lapsed=f"{state.lapsed:x}",
        is_barred=state.is_barred,
    )


def restore(order: RolloutOrder, kept: RolloutSnapshot) -> RolloutState:
    """The state that `kept` was taken of. Raises `UsageError` for an unknown version."""
    check_version(kept.version)
    fresh = initial(order)
    index = fresh.layout.index
    applied, failed, unreachable, blocked = (
        int(text, 16) for text in (kept.applied, kept.failed, kept.unreachable, kept.blocked)
    )
    in_flight = bits(index[name] for batch in kept.running for name in batch.nodes)
    touched = applied | failed | unreachable | blocked | in_flight
    return msgspec.structs.replace(
        fresh,
        status=kept.status,
        epoch=kept.epoch,
        controller=kept.controller,
        reason=kept.reason,
        wave=kept.wave,
        batches=kept.batches,
        running=kept.running,
        ready=ready_among(fresh.layout, applied, touched),
        in_flight=in_flight,
        applied=applied,
        failed=failed,
        unreachable=unreachable,
        blocked=blocked,
        is_held=kept.is_held,
        has_failed=kept.has_failed,
        forgiven=int(kept.forgiven, 16),
        soaks_until=kept.soaks_until,
        is_over=kept.is_over,
        asked=kept.asked,
        approved=kept.approved,
        wait=kept.wait,
        paced_until=kept.paced_until,
        lost=tuple((moment, int(those, 16)) for moment, those in kept.lost),
        lapsed=int(kept.lapsed, 16),
        is_barred=kept.is_barred,
    )


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
