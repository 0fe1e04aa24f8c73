"""A state that was put away and taken out again is the same state."""

from __future__ import annotations

import pytest

from fleet.decide import decode_snapshot, encode_snapshot, evolve_all, initial, restore, snapshot
from fleet.errors import UsageError
from fleet.model.event import (
    BatchEnded,
    BatchStarted,
    NodeApplied,
    NodeBlocked,
    NodeFailed,
    NodeUnreachable,
    PauseRequested,
    RolloutResumed,
    RolloutStarted,
    WaveFailed,
    WaveStarted,
)
from fleet.model.rollout import RolloutCounts
from fleet.testing.orders import cluster, plain, rollout

ORDER = rollout([*cluster("lyon", 2, 1), *cluster("nice", 1, 1), *plain("gate", "shed")])
EVENTS = (
    RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 4, 7, 1),
    WaveStarted("w0", 0, 7),
    BatchStarted("7f3c-0001", ("lyon-s0", "nice-s0")),
    BatchStarted("7f3c-0002", ("gate", "shed")),
    NodeApplied("lyon-s0", "lyon", "7f3c-0001", "b1:lyon-s0"),
    NodeFailed("nice-s0", "nice", "7f3c-0001", "full"),
    NodeBlocked("nice-a0", "nice", "nice-s0", "full"),
    BatchEnded("7f3c-0001"),
    NodeUnreachable("gate", "yard", "7f3c-0002", "away"),
    NodeApplied("shed", "yard", "7f3c-0002", "b1:shed"),
    BatchEnded("7f3c-0002"),
    BatchStarted("7f3c-0003", ("lyon-s1",)),
    WaveFailed("w0", 0, "3 of 4 failed", RolloutCounts(applied=2)),
    PauseRequested("lunch", 1, by_policy=True),
    RolloutResumed("7f3c", RolloutCounts(applied=2)),
    PauseRequested("tea", 1),
)


# A step never ends between two results of one batch.
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 8, 11, 12, 13, 14, 15, 16])
def test_a_state_comes_back_as_it_was(count: int) -> None:
    state = evolve_all(initial(ORDER), EVENTS[:count])
    assert restore(ORDER, decode_snapshot(encode_snapshot(snapshot(state)))) == state


def test_the_text_of_a_snapshot() -> None:
    state = evolve_all(initial(ORDER), EVENTS[:14])
    assert encode_snapshot(snapshot(state)) == (
        b'{"version":2,"status":"pausing","epoch":4,"controller":"ops@desk","reason":"lunch","wave":0,"batches":3,'
        b'"running":[{"batch_id":"7f3c-0003","nodes":["lyon-s1"]}],'
        b'"applied":"41","failed":"8","unreachable":"20","blocked":"10",'
        b'"is_held":true,"has_failed":true,"forgiven":"0"}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"version":3,"whatever":[]}', "version 3, this fleet knows version 2 and older ones"),
        (b'{"version":0,"whatever":[]}', "version 0, this fleet knows version 2"),
        (b'{"version":1}', "snapshot cannot be read"),
        (b'{"status":"paused"}', "snapshot cannot be read"),
        (b"\x00\x01", "snapshot cannot be read"),
    ],
)
def test_a_snapshot_that_is_not_known_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode_snapshot(text)
