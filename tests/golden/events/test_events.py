"""What was once written to a journal is read for ever: these files are never changed, only added to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from fleet.decide import decode_snapshot, initial, restore
from fleet.errors import UsageError
from fleet.model import event as ev
from fleet.model.batch import BatchOrder
from fleet.model.effect import Effect, RunBatch
from fleet.model.event import Event, decode_event
from fleet.model.gate import GateAnswer
from fleet.model.rollout import (
    STATE_VERSION,
    AwayNode,
    GroupBudget,
    RolloutCounts,
    RolloutNode,
    RolloutOrder,
    RunningBatch,
    WaveOrder,
)
from fleet.model.signal import Cancel, Pause, Request, Resume

HERE = Path(__file__).parent
MIDWAY = RolloutCounts(applied=98, failed=1, unreachable=3, waiting=209)
HALTED = RolloutCounts(applied=3116, failed=1, unreachable=1, blocked=2)

WRITTEN = [
    ev.RolloutStarted("7f3c", "acme-retail", "4be1f02c0ffee", "ops@desk", epoch=4, nodes=3120, waves=1),
    ev.PolicyFollowed("7f3c", "standard", groups=1048, stop_at=32),
    ev.GlassBroken("7f3c", "the tills are down", "ops@desk"),
    ev.RolloutTakenOver("7f3c", "ops@spare", epoch=5, batches=("7f3c-0002", "7f3c-0003")),
    ev.WaveStarted("everyone", index=0, nodes=3120),
    ev.BatchStarted("7f3c-0001", ("lyon-1", "paris-3-till-007")),
    ev.BatchEnded("7f3c-0001"),
    ev.BatchRequeued("7f3c-0001", ("lyon-1",), "the runner died"),
    ev.NodeApplied("lyon-1", "lyon", "7f3c-0001", "b1:9f86d0", 3, ("k3s.service",), ("sd card",)),
    ev.NodeFailed("paris-3-till-007", "paris-3", "7f3c-0001", "chrony.service did not start: exit 1", 1, ("sd card",)),
    ev.NodeUnreachable("nice-1", "nice", "7f3c-0001", "ssh: connect to host 10.0.0.9 port 22: No route to host"),
    ev.NodeBlocked("nice-2", "nice", "nice-1", "server nice-1 could not be reached: no route to host"),
    ev.NodesLongOffline(("nice-1", "nice-9")),
    ev.ApprovalAwaited("7f3c", "everyone", index=2),
    ev.WaveApproved("everyone", 2, "ops@desk", at=1764000000.0),
    ev.WaveSoaking("pilot", 0, until=1764000600.0),
    ev.WaitStarted("window", "12 nodes wait for their window", until=1764032400.0),
    ev.GatesAsked("7f3c-gates-0003", "before", "ramp", 1),
    ev.GatesPassed(
        "7f3c-gates-0003",
        "before",
        "ramp",
        1,
        (GateAnswer("cluster", "passed", "12 of 13 Nodes Ready", unready=("lyon/x",)),),
    ),
    ev.GatesFailed(
        "7f3c-gates-0004",
        "after",
        "ramp",
        1,
        "http https://shop.example/healthz: it answered 503",
        (GateAnswer("http https://shop.example/healthz", "failed", "503 in 0.2 s", "it answered 503"),),
        is_borne=True,
    ),
    ev.NodeUnhealthy("nice-2", "nice", "7f3c-gates-0004", "node: chrony.service is failed"),
    ev.NodesRollingBack("7f3c-0005", ("nice-2",), at=1795900000.0),
    ev.NodeRolledBack("nice-2", "nice", "7f3c-0005", "b1:9f86d0", 3, ("chrony.service",), ("no chrony.keys",)),
    ev.NodeNotRolledBack("nice-3", "nice", "7f3c-0005", "no answer on 10.0.0.5:22"),
    ev.RollbackRequested("wave ramp failed", in_flight=3),
    ev.RollbackBegun("8a4d", "7f3c", ("lyon-new",)),
    ev.RolloutWithdrawn("7f3c", "wave ramp failed", MIDWAY),
    ev.WaveFinished("everyone", 0, HALTED),
    ev.WaveFailed("pilot", 0, "1 failed and 3 succeeded, so successThreshold 100% cannot be met", HALTED),
    ev.PauseRequested("stopped by the operator", in_flight=50),
    ev.CancelRequested("wrong version", in_flight=12),
    ev.SupersedeRequested("8a4d", in_flight=12),
    ev.RolloutPaused("7f3c", "stopped by the operator", MIDWAY),
    ev.RolloutResumed("7f3c", MIDWAY),
    ev.RolloutFinished("7f3c", RolloutCounts(applied=3120)),
    ev.RolloutHalted("7f3c", HALTED),
    ev.RolloutCancelled("7f3c", "wrong version", MIDWAY),
    ev.RolloutSuperseded("7f3c", "8a4d", MIDWAY),
]


@pytest.mark.parametrize("event", WRITTEN, ids=lambda event: type(event).__name__)
def test_an_event_that_was_written_is_read(event: Event) -> None:
    text = (HERE / f"{type(event).__name__}.json").read_bytes().strip()
    assert decode_event(text) == event
    # What is written today may hold more than this file, never less and nothing else under the same name.
    today = msgspec.json.decode(msgspec.json.encode(event))
    assert msgspec.json.decode(text).items() <= today.items()


def test_every_event_has_its_file() -> None:
    names = {kind.__name__ for kind in get_args(Event)}
    assert names == {type(event).__name__ for event in WRITTEN}
    assert names == {path.stem for path in HERE.glob("*.json")}


def test_an_event_without_later_fields_is_read() -> None:
    text = b'{"event":"NodeApplied","node":"a","site":"s","batch_id":"b","digest":"d","unheard":["of"]}'
    assert decode_event(text) == ev.NodeApplied("a", "s", "b", "d", changed=0, restarted=(), warnings=())


@pytest.mark.parametrize(
    "text",
    [
        b'{"event":"NodeApplied","v":2,"node":"a","site":"s","batch_id":"b","digest":"d"}',
        b'{"event":"NodeTeleported","v":1,"node":"a"}',
        b'{"v":1}',
        b'{"event":"BatchEnded","v":1,"batch_',
    ],
    ids=["version", "tag", "no tag", "torn"],
)
def test_an_event_that_is_not_known_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="an event in the journal cannot be read") as caught:
        decode_event(text)
    assert "newer fleet" in caught.value.hint


def test_a_snapshot_that_was_kept_is_read() -> None:
    kept = decode_snapshot((HERE / "kept" / "snapshot.json").read_bytes())
    assert (kept.version, kept.is_held, kept.has_failed, kept.forgiven) == (1, False, False, "0")
    assert (kept.status, kept.epoch, kept.controller, kept.reason) == ("pausing", 4, "ops@desk", "lunch")
    assert (kept.wave, kept.batches, kept.running) == (0, 3, (RunningBatch("7f3c-0003", ("lyon-2",)),))
    names = ("lyon-1", "lyon-2", "lyon-till", "nice-1", "nice-till", "gate", "shed")
    nodes = tuple(RolloutNode(name, "s", "", "none", 0, "", "b1:x") for name in names)
    order = RolloutOrder("7f3c", "acme", "4be1f02", "ops@desk", (WaveOrder("all", nodes),), forks=20)
    state = restore(order, kept)
    sets = (state.applied, state.failed, state.blocked, state.unreachable, state.in_flight, state.ready)
    assert [[name for i, name in enumerate(names) if bits >> i & 1] for bits in sets] == [
        ["lyon-1", "shed"], ["nice-1"], ["nice-till"], ["gate"], ["lyon-2"], ["lyon-till"],
    ]  # fmt: skip


def test_a_pause_by_policy_that_was_kept_is_read() -> None:
    (text,) = (HERE / "kept" / "pause-by-policy.json").read_bytes().splitlines()
    assert decode_event(text) == ev.PauseRequested("wave pilot failed: 1 of 4", in_flight=2, by_policy=True)


def test_a_snapshot_of_a_wave_that_failed_is_read() -> None:
    kept = decode_snapshot((HERE / "kept" / "snapshot-2.json").read_bytes())
    assert (kept.version, kept.status, kept.is_held, kept.has_failed, kept.forgiven) == (2, "paused", True, True, "4")
    nodes = tuple(RolloutNode(name, "s", "", "none", 0, "", "b1:x") for name in ("a", "b", "c"))
    order = RolloutOrder("7f3c", "acme", "4be1f02", "ops@desk", (WaveOrder("all", nodes),), forks=20)
    state = restore(order, kept)
    assert (state.version, state.failed, state.forgiven, state.is_held, state.has_failed) == (
        STATE_VERSION,
        0b100,
        0b100,
        True,
        True,
    )


def test_an_order_with_a_policy_that_was_kept_is_read() -> None:
    order = msgspec.json.decode((HERE / "kept" / "order-policy.json").read_bytes(), type=RolloutOrder)
    node = RolloutNode("lyon-1", "lyon", "lyon", "server", 0, "", "b1:9f86d0", groups=("site=lyon",), is_away=True)
    assert order.waves == (WaveOrder("pilot", (node,), Decimal(100), Decimal("50.5")),)
    assert order.budgets == (GroupBudget("site=lyon", 1, (AwayNode("lyon-2", 1764000000.0),)),)
    assert (order.policy, order.stop_at, order.on_failure) == ("standard", 5, "continue")


def test_an_order_that_was_kept_is_read() -> None:
    order = msgspec.json.decode((HERE / "kept" / "order.json").read_bytes(), type=RolloutOrder)
    nodes = (
        RolloutNode("lyon-1", "lyon", "lyon", "server", 0, "", "b1:9f86d0"),
        RolloutNode("lyon-1-till", "lyon", "lyon", "agent", 0, "b1:aaaa00", "b1:bbbb00"),
        RolloutNode("gate", "lyon", "", "none", 0, "", "b1:cccc00"),
    )
    wave = WaveOrder("everyone", nodes)
    assert order == RolloutOrder("7f3c", "acme-retail", "4be1f02c0ffee", "ops@desk", (wave,), forks=20, batch_size=50)
    assert initial(order).ready == 0b101


def test_an_effect_that_was_kept_is_read() -> None:
    effect = msgspec.json.decode((HERE / "kept" / "effect.json").read_bytes(), type=Effect)
    order = BatchOrder("7f3c-0001", "7f3c", 4, ("lyon-1",), {"lyon-1": "b1:9f86d0"}, "the other desk is gone")
    assert effect == RunBatch(order)


def test_requests_that_were_posted_are_read() -> None:
    text = (HERE / "kept" / "requests.json").read_bytes()
    assert msgspec.json.decode(text, type=list[Request]) == [Pause("lunch"), Resume(), Cancel("wrong version")]
