"""Events: what happened in a rollout, in the past tense. The CLI prints them, the journal keeps them for ever.

Each carries its tag (`event`) and its version (`v`). Changes only add fields with defaults; what would be read wrongly
gets a new version, and code that does not know a tag or a version refuses it. tests/golden/events holds one of each.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from fleet.errors import UsageError
from fleet.model.gate import GateAnswer, Phase
from fleet.model.rollout import RolloutCounts, RolloutStatus


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    v: Literal[1] = 1


class RolloutStarted(_Event, frozen=True, tag=True):
    rollout_id: str
    fleet: str
    commit: str
    controller: str
    epoch: int
    nodes: int
    waves: int


class PolicyFollowed(_Event, frozen=True, tag=True):
    """Comes after `RolloutStarted`: the RolloutPolicy `policy` says when waves fail. `groups` have a budget of nodes that may
    be away; at `stop_at` failures the rollout pauses, 0 for never.
    """

    rollout_id: str
    policy: str
    groups: int
    stop_at: int


class RollbackBegun(_Event, frozen=True, tag=True):
    """Comes after `RolloutStarted`: nodes go back to what they held before the rollout `undoes`. `stays` are those that held
    nothing.
    """

    rollout_id: str
    undoes: str
    stays: tuple[str, ...] = ()


class GlassBroken(_Event, frozen=True, tag=True):
    """Comes after `RolloutStarted`: freezes are overruled."""

    rollout_id: str
    reason: str
    by: str


class RolloutTakenOver(_Event, frozen=True, tag=True):
    """A controller with a newer lease goes on; `batches` were in flight and are asked for again."""

    rollout_id: str
    controller: str
    epoch: int
    batches: tuple[str, ...] = ()


class WaveStarted(_Event, frozen=True, tag=True):
    wave: str
    index: int
    nodes: int


class WaveSoaking(_Event, frozen=True, tag=True):
    """The wave has passed; nothing of the next one begins before `until` (seconds since 1970)."""

    wave: str
    index: int
    until: float


class ApprovalAwaited(_Event, frozen=True, tag=True):
    """The wave begins when somebody approves of it."""

    rollout_id: str
    wave: str
    index: int


class WaveApproved(_Event, frozen=True, tag=True):
    wave: str
    index: int
    by: str
    at: float


class GatesAsked(_Event, frozen=True, tag=True):
    """Before the wave begins, or after it has soaked. Nothing answers to a check that a pause ended: it is made anew."""

    check_id: str
    phase: Phase
    wave: str
    index: int


class GatesPassed(_Event, frozen=True, tag=True):
    """What was measured. Nodes that did not pass have an event of their own, and the wave's threshold judges them."""

    check_id: str
    phase: Phase
    wave: str
    index: int
    answers: tuple[GateAnswer, ...] = ()


class GatesFailed(_Event, frozen=True, tag=True):
    """A gate did not pass, or could not be asked. `is_borne`: the policy goes on all the same."""

    check_id: str
    phase: Phase
    wave: str
    index: int
    reason: str
    answers: tuple[GateAnswer, ...] = ()
    is_borne: bool = False


class WaitStarted(_Event, frozen=True, tag=True):
    """Nothing runs, and nothing begins before `until` (seconds since 1970): a window is shut, or the rate is used up."""

    kind: Literal["window", "rate"]
    reason: str
    until: float


class BatchStarted(_Event, frozen=True, tag=True):
    """`at` in seconds since 1970; 0 where no policy looks at it."""

    batch_id: str
    nodes: tuple[str, ...]
    at: float = 0.0


class BatchEnded(_Event, frozen=True, tag=True):
    """Comes after the events of the batch's nodes."""

    batch_id: str


class BatchRequeued(_Event, frozen=True, tag=True):
    """The batch ended without a result, or was not begun: `nodes` are run again, in another batch, where the rollout goes on."""

    batch_id: str
    nodes: tuple[str, ...]
    reason: str


class NodeApplied(_Event, frozen=True, tag=True):
    """The node's own record holds the wanted `digest`. `changed` counts paths and units, 0 where all was there; `updated`
    packages that OS updates changed.
    """

    node: str
    site: str
    batch_id: str
    digest: str
    changed: int = 0
    restarted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    updated: int = 0
    rebooted: bool = False


class NodeFailed(_Event, frozen=True, tag=True):
    node: str
    site: str
    batch_id: str
    reason: str
    changed: int = 0
    warnings: tuple[str, ...] = ()


class NodeUnhealthy(_Event, frozen=True, tag=True):
    """The node was applied, and did not pass a gate after its wave: it counts as failed from here on."""

    node: str
    site: str
    check_id: str
    reason: str


class NodeUnreachable(_Event, frozen=True, tag=True):
    """Under a policy the node is deferred: the next rollout catches it up. `at` as in `BatchStarted`."""

    node: str
    site: str
    batch_id: str
    reason: str
    at: float = 0.0


class NodesRollingBack(_Event, frozen=True, tag=True):
    """A batch: nodes that a gate was against go back to what they held before, while the rollout goes on. `at` as in
    `BatchStarted`.
    """

    batch_id: str
    nodes: tuple[str, ...]
    at: float = 0.0


class NodeRolledBack(_Event, frozen=True, tag=True):
    """The node's own record holds `digest` again, as before the rollout. It has failed all the same."""

    node: str
    site: str
    batch_id: str
    digest: str
    changed: int = 0
    restarted: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class NodeNotRolledBack(_Event, frozen=True, tag=True):
    """The node was to go back and did not: it is not tried again in this rollout."""

    node: str
    site: str
    batch_id: str
    reason: str


class NodesLongOffline(_Event, frozen=True, tag=True):
    """Away for longer than `offlineAfter`: they use up no budget any more, save that of a quorum. Others of their groups
    may be among them.
    """

    nodes: tuple[str, ...]


class NodeBlocked(_Event, frozen=True, tag=True):
    """Not touched, because the server `by` of its cluster failed or could not be reached, or because the budget of its
    group was used up, by `by` among others (empty: it lets no node change).
    """

    node: str
    site: str
    by: str
    reason: str


class WaveFinished(_Event, frozen=True, tag=True):
    """Every node of the wave has an outcome, or those that have none cannot make it fail any more: they go on beside the
    next wave.
    """

    wave: str
    index: int
    counts: RolloutCounts


class WaveFailed(_Event, frozen=True, tag=True):
    """The wave misses its threshold, whatever comes of the nodes that have no outcome yet."""

    wave: str
    index: int
    reason: str
    counts: RolloutCounts


class PauseRequested(_Event, frozen=True, tag=True):
    """No batch is started from here on; `in_flight` nodes are waited for. `by_policy`: nobody asked, the RolloutPolicy
    says so.
    """

    reason: str
    in_flight: int
    by_policy: bool = False


class CancelRequested(_Event, frozen=True, tag=True):
    reason: str
    in_flight: int


class SupersedeRequested(_Event, frozen=True, tag=True):
    """What runs ends; what has not begun is left to the rollout `by`."""

    by: str
    in_flight: int


class RollbackRequested(_Event, frozen=True, tag=True):
    """The RolloutPolicy takes the change back: what runs ends, and another rollout brings back what this one brought."""

    reason: str
    in_flight: int


class RolloutPaused(_Event, frozen=True, tag=True):
    rollout_id: str
    reason: str
    counts: RolloutCounts


class RolloutResumed(_Event, frozen=True, tag=True):
    rollout_id: str
    counts: RolloutCounts


class RolloutFinished(_Event, frozen=True, tag=True):
    """Every node was applied, or deferred by its policy."""

    rollout_id: str
    counts: RolloutCounts


class RolloutHalted(_Event, frozen=True, tag=True):
    """Ended with nodes that failed, could not be reached or were blocked (exit code 4)."""

    rollout_id: str
    counts: RolloutCounts


class RolloutCancelled(_Event, frozen=True, tag=True):
    rollout_id: str
    reason: str
    counts: RolloutCounts


class RolloutSuperseded(_Event, frozen=True, tag=True):
    rollout_id: str
    by: str
    counts: RolloutCounts


class RolloutWithdrawn(_Event, frozen=True, tag=True):
    """Ended, to be rolled back by another rollout."""

    rollout_id: str
    reason: str
    counts: RolloutCounts


RolloutEvent = (
    RolloutStarted | PolicyFollowed | RollbackBegun | GlassBroken | RolloutTakenOver | PauseRequested | CancelRequested | SupersedeRequested
    | RolloutPaused | RolloutResumed | RolloutFinished | RolloutHalted | RolloutCancelled | RolloutSuperseded
    | RollbackRequested | RolloutWithdrawn
)  # fmt: skip
WaveEvent = (
    ApprovalAwaited | WaveApproved | WaveStarted | WaveSoaking | GatesAsked | GatesPassed | GatesFailed
    | WaveFinished | WaveFailed | WaitStarted
)  # fmt: skip
NodeEvent = (
    NodeApplied | NodeFailed | NodeUnhealthy | NodeUnreachable | NodeBlocked | NodeRolledBack | NodeNotRolledBack
)
BatchEvent = BatchStarted | BatchEnded | BatchRequeued | NodesRollingBack
Event = RolloutEvent | WaveEvent | BatchEvent | NodeEvent | NodesLongOffline

STATUS_AFTER: dict[type[Event], RolloutStatus] = {
    RolloutStarted: "running",
    PauseRequested: "pausing",
    CancelRequested: "cancelling",
    SupersedeRequested: "superseding",
    RolloutPaused: "paused",
    RolloutResumed: "running",
    RolloutFinished: "finished",
    RolloutHalted: "halted",
    RolloutCancelled: "cancelled",
    RolloutSuperseded: "superseded",
    RollbackRequested: "withdrawing",
    RolloutWithdrawn: "withdrawn",
}
"""What a rollout's status is after an event; events that are not here leave it as it was."""


@cache
def _decoder() -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(Event)


def decode_event(text: bytes) -> Event:
    """Raises `UsageError` for an event, or a version of one, that this fleet does not know."""
    try:
        return _decoder().decode(text)
    except msgspec.DecodeError as error:  # ValidationError is one
        raise UsageError(
            f"an event in the journal cannot be read: {error}: {text[:200]!r}",
            hint="It was written by a newer fleet, or is damaged. Use the version of fleet that wrote it.",
        ) from error
