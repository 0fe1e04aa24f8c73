"""A state that was put away and taken out again is the same state."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.decide import decode_snapshot, encode_snapshot, evolve_all, initial, restore, snapshot
from fleet.errors import UsageError
from fleet.model.event import (
    ApprovalAwaited,
    BatchEnded,
    BatchStarted,
    NodeApplied,
    NodeBlocked,
    NodeFailed,
    NodesLongOffline,
    NodeUnreachable,
    PauseRequested,
    RolloutResumed,
    RolloutStarted,
    SupersedeRequested,
    WaitStarted,
    WaveApproved,
    WaveFailed,
    WaveFinished,
    WaveSoaking,
    WaveStarted,
)
from fleet.model.rollout import AwayNode, GroupBudget, RolloutCounts
from fleet.model.window import Timing
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


TIMED = replace(
    rollout(cluster("lyon", 2, 1), plain("gate", "shed")),
    timing=Timing(soak=60, rate=2, offline_after=1600),
    budgets=(GroupBudget("yard", 1, (AwayNode("z", since=200.0),)),),
)
TIMES = (
    RolloutStarted("7f3c", "acme", "4be1f02", "ops@desk", 4, 5, 2),
    WaveStarted("w0", 0, 3),
    BatchStarted("7f3c-0001", ("lyon-s0",), at=100.0),
    NodeUnreachable("lyon-s0", "lyon", "7f3c-0001", "away", at=130.0),
    BatchEnded("7f3c-0001"),
    NodeBlocked("lyon-s1", "lyon", "", "no window"),
    NodesLongOffline(("z", "lyon-s0")),
    WaitStarted("window", "later", until=900.0),
    WaveSoaking("w0", 0, until=190.0),
    WaveFinished("w0", 0, RolloutCounts()),
    ApprovalAwaited("7f3c", "w1", 1),
    WaveApproved("w1", 1, "ops@desk", at=300.0),
    SupersedeRequested("8a4d", 0),
)


@pytest.mark.parametrize("count", range(5, len(TIMES) + 1))
def test_what_a_state_knows_of_time_comes_back(count: int) -> None:
    state = evolve_all(initial(TIMED), TIMES[:count])
    assert restore(TIMED, decode_snapshot(encode_snapshot(snapshot(state)))) == state
    assert state != evolve_all(initial(TIMED), TIMES[: count - 1])


def test_the_text_of_a_snapshot() -> None:
    state = evolve_all(initial(ORDER), EVENTS[:14])
    assert encode_snapshot(snapshot(state)) == (
        b'{"version":4,"status":"pausing","epoch":4,"controller":"ops@desk","reason":"lunch","wave":0,"batches":3,'
        b'"running":[{"batch_id":"7f3c-0003","nodes":["lyon-s1"],"at":0.0}],'
        b'"applied":"41","failed":"8","unreachable":"20","blocked":"10",'
        b'"is_held":true,"has_failed":true,"soaks_until":0.0,"paced_until":0.0}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"version":5,"whatever":[]}', "version 5, this fleet knows version 4 and older ones"),
        (b'{"version":0,"whatever":[]}', "version 0, this fleet knows version 4"),
        (b'{"version":1}', "snapshot cannot be read"),
        (b'{"status":"paused"}', "snapshot cannot be read"),
        (b"\x00\x01", "snapshot cannot be read"),
    ],
)
def test_a_snapshot_that_is_not_known_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode_snapshot(text)
