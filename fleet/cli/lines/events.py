"""Events as lines of text: what `fleet apply` prints on a pipe, and `fleet rollout show` from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import singledispatch

from fleet.formats.words import count, moment, some
from fleet.model import event as happened
from fleet.model.event import Event, NodeApplied, NodeBlocked, NodeFailed, NodeUnhealthy, NodeUnreachable
from fleet.model.rollout import RolloutCounts
from fleet.model.trouble import Trouble
from fleet.report import Line, LineKind, clean

Troubled = NodeFailed | NodeUnhealthy | NodeUnreachable | NodeBlocked


def told(trouble: Trouble, again: Callable[[str], str]) -> str:
    """The reason, and the command that says more; nothing more is known of a node that was not touched."""
    if trouble.kind == "blocked":
        return trouble.reason
    return f"{trouble.reason} ({again(f'node log {trouble.node}')})"


def trouble_of(event: Troubled) -> Trouble:
    match event:
        case NodeFailed():
            return Trouble("failed", event.node, event.reason)
        case NodeUnhealthy():
            return Trouble("unhealthy", event.node, event.reason)
        case NodeUnreachable():
            return Trouble("unreachable", event.node, event.reason)
        case NodeBlocked():
            return Trouble("blocked", event.node, event.reason, event.by)


class EventLines:
    """Turns events into lines, in their order. Applied nodes wait for the end of their batch, to be told at once."""

    def __init__(self, again: Callable[[str], str]) -> None:
        """`again` makes the next command to type of its words (`Face.again`)."""
        self._again = again
        self._applied: dict[str, list[NodeApplied]] = {}

    def of(self, event: Event) -> list[Line]:
        match event:
            case NodeApplied():
                self._applied.setdefault(event.batch_id, []).append(event)
                return []
            case happened.BatchEnded():
                return _applied(self._applied.pop(event.batch_id, []))
            case NodeFailed() | NodeUnhealthy() | NodeUnreachable() | NodeBlocked():
                return self._troubled(event)
            case _:
                return [*_lines(event), *self._next(event)]

    def _next(self, event: Event) -> list[Line]:
        """What to type after it."""
        match event:
            case happened.ApprovalAwaited():
                return _line(f"{self._again(f'rollout approve {event.rollout_id}')} lets it begin", "next")
            case happened.RolloutPaused():
                return _line(f"{self._again(f'rollout resume {event.rollout_id}')} goes on", "next")
            case happened.RolloutWithdrawn():
                return _line(f"{self._again(f'rollout retry {event.rollout_id}')} brings it all the same", "next")
            case happened.RolloutHalted(counts=counts) if counts == RolloutCounts(applied=counts.applied):
                back = self._again(f"rollout rollback {event.rollout_id}")
                return _line(f"every node has it, and a gate is against it: {back} brings back what they held", "next")
            case happened.RolloutHalted():
                return _line(f"{self._again('apply')} tries the rest again", "next")
            case _:
                return []

    def _troubled(self, event: Troubled) -> list[Line]:
        trouble = trouble_of(event)
        return _line(f"{trouble.kind} {trouble.node}: {told(trouble, self._again)}", "refused")


def counted(counts: RolloutCounts) -> str:
    """Counts in words; those that are zero are left out, but for the applied ones."""
    rest = {"failed": counts.failed, "unreachable": counts.unreachable, "blocked": counts.blocked,
            "waiting": counts.waiting}  # fmt: skip
    told = [f"{number:,} {name}" for name, number in rest.items() if number]
    return ", ".join([f"{counts.applied:,} applied", *told])


def _line(text: str, kind: LineKind = "plain") -> list[Line]:
    return [Line(clean(text), kind)]


def _applied(events: Sequence[NodeApplied]) -> list[Line]:
    if not events:
        return []
    restarted = Counter(unit for event in events for unit in event.restarted)
    told = "".join(f", {unit} restarted on {number:,}" for unit, number in sorted(restarted.items()))
    if updated := [event.updated for event in events if event.updated]:
        told += f", {count(sum(updated), 'package')} updated on {len(updated):,}"
    if rebooted := sum(event.rebooted for event in events):
        told += f", {rebooted:,} rebooted"
    names = [event.node for event in events]
    lines = _line(f"applied {count(len(names), 'node')} ({some(names)}){told}", "added")
    warned: dict[str, list[str]] = {}
    for event in events:
        for text in event.warnings:
            warned.setdefault(text, []).append(event.node)
    for text, nodes in warned.items():
        lines += _line(f"warning: {text} ({some(nodes)})", "warning")
    return lines


@singledispatch
def _lines(event: object) -> list[Line]:
    raise TypeError(f"no words for the event {type(event).__name__}")


@_lines.register
def _(event: happened.RolloutStarted) -> list[Line]:
    commit = event.commit[:7] or "a folder outside git"
    return _line(
        f"rollout {event.rollout_id} of {commit}, {count(event.waves, 'wave')}, {count(event.nodes, 'node')}", "answer"
    )


@_lines.register
def _(event: happened.PolicyFollowed) -> list[Line]:
    budgets = f", budgets of {count(event.groups, 'group')}" if event.groups else ""
    stops = f", pauses at {count(event.stop_at, 'failure')}" if event.stop_at else ""
    return _line(f"follows RolloutPolicy {event.policy}{budgets}{stops}")


@_lines.register
def _(event: happened.RollbackBegun) -> list[Line]:
    lines = _line(f"rolls back rollout {event.undoes}: nodes go back to what they held before it", "warning")
    if event.stays:
        lines += _line(f"held nothing before, and stay as they are: {some(event.stays)}", "warning")
    return lines


@_lines.register
def _(event: happened.GlassBroken) -> list[Line]:
    return _line(f"{event.by} broke the glass, freezes do not hold: {event.reason}", "warning")


@_lines.register
def _(event: happened.RolloutTakenOver) -> list[Line]:
    again = f"; {count(len(event.batches), 'batch', 'batches')} run again" if event.batches else ""
    return _line(f"rollout {event.rollout_id} is now driven by {event.controller}{again}")


@_lines.register
def _(event: happened.WaveStarted) -> list[Line]:
    return _line(f"wave {event.wave}: {count(event.nodes, 'node')}")


@_lines.register
def _(event: happened.WaveSoaking) -> list[Line]:
    return _line(f"wave {event.wave} soaks until {moment(event.until)}")


@_lines.register
def _(event: happened.ApprovalAwaited) -> list[Line]:
    return _line(f"wave {event.wave} waits for an approval", "warning")


@_lines.register
def _(event: happened.WaveApproved) -> list[Line]:
    return _line(f"wave {event.wave} approved by {event.by}")


@_lines.register
def _(event: happened.GatesAsked) -> list[Line]:
    return _line(f"asking the gates {event.phase} wave {event.wave}")


@_lines.register
def _(event: happened.GatesPassed) -> list[Line]:
    passed = sum(answer.outcome == "passed" for answer in event.answers)
    lines = _line(f"gates {event.phase} wave {event.wave}: {passed:,} of {len(event.answers):,} passed")
    for answer in event.answers:
        lines += _line(f"  {answer.gate}: {answer.measured or answer.outcome}")
    return lines


@_lines.register
def _(event: happened.GatesFailed) -> list[Line]:
    borne = "; the policy goes on all the same" if event.is_borne else ""
    return _line(f"gates {event.phase} wave {event.wave} did not pass: {event.reason}{borne}", "refused")


@_lines.register
def _(event: happened.WaitStarted) -> list[Line]:
    return _line(f"{event.reason}: {moment(event.until)}")


@_lines.register
def _(event: happened.NodesLongOffline) -> list[Line]:
    return _line(f"offline for long, and no longer in budgets: {some(event.nodes)}", "warning")


@_lines.register
def _(event: happened.WaveFinished) -> list[Line]:
    return _line(f"wave {event.wave} over: {counted(event.counts)}")


@_lines.register
def _(event: happened.WaveFailed) -> list[Line]:
    return _line(f"wave {event.wave} failed: {event.reason}; {counted(event.counts)}", "refused")


@_lines.register
def _(event: happened.BatchStarted) -> list[Line]:
    return _line(f"started {count(len(event.nodes), 'node')} ({some(event.nodes)})")


@_lines.register
def _(event: happened.NodesRollingBack) -> list[Line]:
    nodes = f"{count(len(event.nodes), 'node')} ({some(event.nodes)})"
    return _line(f"going back {nodes}: a gate is against what they hold", "warning")


@_lines.register
def _(event: happened.NodeRolledBack) -> list[Line]:
    return _line(f"back {event.node}: it holds what it held before", "warning")


@_lines.register
def _(event: happened.NodeNotRolledBack) -> list[Line]:
    return _line(f"not back {event.node}: {event.reason}", "refused")


@_lines.register
def _(event: happened.BatchRequeued) -> list[Line]:
    nodes = f"{count(len(event.nodes), 'node')} ({some(event.nodes)})"
    return _line(f"batch of {nodes} ended without a result: {event.reason}", "warning")


@_lines.register
def _(event: happened.PauseRequested | happened.CancelRequested) -> list[Line]:
    word = "pausing" if isinstance(event, happened.PauseRequested) else "cancelling"
    return _line(f"{word}{_because(event.reason)}; {count(event.in_flight, 'node')} still running", "warning")


@_lines.register
def _(event: happened.SupersedeRequested) -> list[Line]:
    return _line(
        f"rollout {event.by} takes over what has not begun; {count(event.in_flight, 'node')} still running", "warning"
    )


@_lines.register
def _(event: happened.RollbackRequested) -> list[Line]:
    running = f"{count(event.in_flight, 'node')} still running"
    return _line(f"the change is to be rolled back{_because(event.reason)}; {running}", "warning")


@_lines.register
def _(event: happened.RolloutWithdrawn) -> list[Line]:
    return _line(f"rollout {event.rollout_id} withdrawn{_because(event.reason)}; {counted(event.counts)}", "refused")


@_lines.register
def _(event: happened.RolloutPaused) -> list[Line]:
    return _line(f"rollout {event.rollout_id} paused{_because(event.reason)}; {counted(event.counts)}", "warning")


@_lines.register
def _(event: happened.RolloutResumed) -> list[Line]:
    return _line(f"rollout {event.rollout_id} goes on: {counted(event.counts)}", "answer")


@_lines.register
def _(event: happened.RolloutFinished) -> list[Line]:
    return _line(f"rollout {event.rollout_id} done: {counted(event.counts)}", "answer")


@_lines.register
def _(event: happened.RolloutHalted) -> list[Line]:
    return _line(f"rollout {event.rollout_id} ended: {counted(event.counts)}", "refused")


@_lines.register
def _(event: happened.RolloutCancelled) -> list[Line]:
    return _line(f"rollout {event.rollout_id} cancelled{_because(event.reason)}; {counted(event.counts)}", "warning")


@_lines.register
def _(event: happened.RolloutSuperseded) -> list[Line]:
    return _line(f"rollout {event.rollout_id} superseded by {event.by}; {counted(event.counts)}", "warning")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
