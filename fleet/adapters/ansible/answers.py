"""What ansible-runner's events say about each node. Pure: events in, results out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from fleet.adapters.ansible import reasons
from fleet.formats.words import duration
from fleet.model.batch import BatchOrder, BatchResult, NodeAnswer, NodeResult, Observation
from fleet.model.diagnosis import CLOCK_WRONG_SECONDS
from fleet.model.record import Record

_BUNDLE = "fleet_bundle"
_UPDATES = "fleet_updates"
_OURS = frozenset({_BUNDLE, _UPDATES, "fleet_probe"})
_LOOKED_AT = frozenset({"file", "artifact", "folder", "unit"})
_REFUSALS = frozenset({"expect", "fleet", "node", "machine-id"})
"""Steps in which a node refuses what it is asked. What it holds then is kept by no one: asked again, it refuses again."""


class EventData(msgspec.Struct, frozen=True):
    """The part of an event that we read. `failures`, `dark` and `rescued` come with the statistics at the end."""

    host: str | None = None
    task: str | None = None
    task_action: str | None = None
    ignore_errors: bool | None = None
    res: dict[str, Any] | None = None
    start: str | None = None
    end: str | None = None
    failures: dict[str, int] | None = None
    dark: dict[str, int] | None = None


class Event(msgspec.Struct, frozen=True):
    """One event of ansible-runner (its documentation, "Runner Artifact Job Events")."""

    event: str
    event_data: EventData | None = None

    @property
    def host(self) -> str:
        return (self.event_data.host if self.event_data else None) or ""

    @property
    def task(self) -> str:
        return (self.event_data.task if self.event_data else None) or ""

    @property
    def action(self) -> str:
        """The module or action without its collection."""
        return ((self.event_data.task_action if self.event_data else None) or "").rpartition(".")[2]

    @property
    def is_bundle(self) -> bool:
        return self.action == _BUNDLE

    @property
    def result(self) -> dict[str, Any]:
        return (self.event_data.res if self.event_data else None) or {}

    def moment(self, which: str) -> float:
        """`start` or `end` of the task, in seconds since 1970; 0 where it is not told."""
        text = getattr(self.event_data, which) if self.event_data else None
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else 0.0
        except ValueError:
            return 0.0

    @property
    def is_ignored(self) -> bool:
        return bool(self.event_data and self.event_data.ignore_errors)


def event_of(raw: Mapping[str, Any]) -> Event:
    """Raises msgspec.ValidationError for what is not an event."""
    return msgspec.convert(raw, Event, strict=False)


class BatchAnswers:
    """Gathers a node's fate from its events: the last word counts, and a failure that was rescued is none.

    A host that failed gets no further task, so what it says after a failure comes out of a rescue. Only the task
    `fail` never has the last word: it repeats what was said before.
    """

    def __init__(self, nodes: Iterable[str]) -> None:
        self._nodes = frozenset(nodes)
        self._applied: dict[str, NodeResult] = {}
        self._failed: set[str] = set()
        self._updated: dict[str, int] = {}
        self.is_complete = False
        """Ansible came to its end by itself: a node without an answer was in no play."""

    def take(self, event: Event) -> list[NodeResult]:
        """What became known with this event; a later result of a node replaces its earlier one."""
        if event.event == "playbook_on_stats":
            self.is_complete = True
            data = event.event_data or EventData()
            bad = {*(data.failures or {}), *(data.dark or {})}
            return [result for node, result in self._applied.items() if node in self._failed and node not in bad]
        found = self._of(event, event.host) if event.host in self._nodes else None
        if found is None or (event.action == "fail" and found.node in self._failed):
            return []
        if found.outcome == "applied":
            self._applied[found.node] = found
            self._failed.discard(found.node)
        else:
            self._failed.add(found.node)
        return [found]

    def _of(self, event: Event, node: str) -> NodeResult | None:
        match event.event:
            case "runner_on_ok" if event.is_bundle and "digest" in event.result:
                return replace(_applied(node, event), updated=self._updated.get(node, 0))
            case "runner_on_ok" if event.action == _UPDATES:
                return self._kept_up(node, event.result)
            case "runner_on_skipped" if event.is_bundle and event.result.get("msg"):
                return NodeResult(node, "failed", reason=str(event.result["msg"]))
            case "runner_on_failed" if not event.is_ignored:
                return _failed(node, event)
            case "runner_on_unreachable":
                return NodeResult(node, "unreachable", reason=reasons.of_unreachable(event.result))
            case _:
                return None

    def _kept_up(self, node: str, result: Mapping[str, Any]) -> NodeResult | None:
        """Updates come before the bundle, and are told with it; a reboot that is confirmed comes behind it."""
        self._updated[node] = self._updated.get(node, 0) + int(result.get("packages") or 0)
        applied, record = self._applied.get(node), record_of(node, result.get("record"))
        return None if applied is None or record is None else replace(applied, record=record, rebooted=True)


def _applied(node: str, event: Event) -> NodeResult:
    result = event.result
    return NodeResult(
        node,
        "applied",
        changed=_count(result),
        digest=str(result["digest"]),
        record=record_of(node, result.get("record")),
        restarted=_texts(result.get("restarted")),
        warnings=(*_texts(result.get("warnings")), *_off(event)),
    )


def _off(event: Event) -> Iterator[str]:
    """That a node's clock is neither what ours was when it was asked, nor what it was when it had answered."""
    clock, began, ended = event.result.get("clock"), event.moment("start"), event.moment("end")
    if not isinstance(clock, int | float) or not began or not ended:
        return
    behind, ahead = began - clock, clock - ended
    if max(behind, ahead) >= CLOCK_WRONG_SECONDS:
        yield f"its clock is {duration(int(max(behind, ahead)))} {'behind' if behind > ahead else 'ahead'}"


def _failed(node: str, event: Event) -> NodeResult:
    result = event.result
    return NodeResult(
        node,
        "failed",
        changed=_count(result) if event.is_bundle and result.get("changed") else 0,
        reason=reasons.of_failure(result, event.task, is_bundle=event.is_bundle),
        record=_record_left(node, result) if event.is_bundle else None,
        warnings=_texts(result.get("warnings")),
    )


def _record_left(node: str, result: Mapping[str, Any]) -> Record | None:
    """What a node holds after a failure, None where it refused. One that was to get what it holds already keeps what differed from it."""
    record = None if result.get("step") in _REFUSALS else record_of(node, result.get("record"))
    if record is None or record.digest != result.get("digest"):
        return record
    return replace(record, differs=_differing(result))


def _differing(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths whose content, mode or owner was not what the record says, and units that are not in their state."""
    changes = result.get("changes")
    found = changes if isinstance(changes, list) else []
    return tuple(dict.fromkeys(str(each.get("path", "")) for each in found if each.get("kind") in _LOOKED_AT))


def _count(result: Mapping[str, Any]) -> int:
    changes = result.get("changes")
    return len(changes) if isinstance(changes, list) else int(bool(result.get("changed")))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def record_of(node: str, value: object) -> Record | None:
    """None where the node never had one. A record of another shape, or of another node, is none that we may believe."""
    if not isinstance(value, dict) or value.get("node") != node:
        return None
    try:
        return msgspec.convert(value, Record, strict=False)
    except msgspec.ValidationError:
        return None


def observation_of(event: Event) -> Observation | None:
    """A node's answer to a look at it, or why there is none; None for an event that says neither."""
    node, result = event.host, event.result
    match event.event:
        case "runner_on_ok" if event.is_bundle:
            return _seen(node, result)
        case "runner_on_failed" if not event.is_ignored:
            return Observation(node, unreachable=reasons.of_failure(result, event.task, is_bundle=event.is_bundle))
        case "runner_on_unreachable":
            return Observation(node, unreachable=reasons.of_unreachable(result))
        case _:
            return None


def _seen(node: str, result: Mapping[str, Any]) -> Observation:
    told = {"node": node, "machine_id": result.get("machine_id") or "", "arch": result.get("arch") or ""}
    try:
        seen = msgspec.convert(told, Observation)
    except msgspec.ValidationError as error:
        return Observation(node, unreachable=f"what it tells of itself cannot be read: {error}")
    return replace(seen, record=record_of(node, result.get("record")), differs=_differing(result))


def answer_of(event: Event) -> NodeAnswer | None:
    """What one of our own modules told of a node, or why there is nothing; None for an event that says neither."""
    node, result = event.host, event.result
    match event.event:
        case "runner_on_ok" if event.action in _OURS:
            return NodeAnswer(node, "done", result=result, began=event.moment("start"), ended=event.moment("end"))
        case "runner_on_failed" if not event.is_ignored:
            reason = reasons.of_failure(result, event.task, is_bundle=event.action in _OURS)
            return NodeAnswer(
                node,
                "failed",
                reason,
                step=str(result.get("step") or ""),
                at=str(result.get("at") or ""),
                result=result,
            )
        case "runner_on_unreachable":
            return NodeAnswer(node, "unreachable", reasons.of_unreachable(result))
        case _:
            return None


def gathered(order: BatchOrder, lines: Iterable[NodeResult], missing: str) -> BatchResult:
    """One result per node of the order, in its order. `missing` is why some never answered."""
    last = {result.node: result for result in lines}
    return BatchResult(
        order.batch_id,
        tuple(last.get(node) or NodeResult(node, "failed", reason=missing) for node in order.nodes),
    )


def unanswered(tail: str) -> str:
    """The reason of a node that a broken run left without an answer: the run's last words."""
    return f"the run ended before it answered: {tail}" if tail else "the run ended before it answered"
