"""node adopt: hosts that are in use already come under management, and what differs on them waits for somebody's word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from fleet.errors import RefusedError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.host import HostEvent, NodeAdopted, NodeUntouched, Waiting
from fleet.model.node import Node
from fleet.model.record import Record
from fleet.operations.intent import Intent, check_locked, each_rendered
from fleet.operations.preparing import keep_contents, refuse_dirty, refuse_missing_secrets
from fleet.ports.applier import Hand
from fleet.ports.records import Records

EVERY_PATH = "*"


class AdoptOptions(msgspec.Struct, frozen=True):
    """`take` are paths that are brought to what the bundle says, `*` for all; `is_check` only looks."""

    take: tuple[str, ...] = ()
    is_check: bool = False
    allow_dirty: bool = False


class _Change(msgspec.Struct, frozen=True):
    path: str
    kind: str
    action: str
    what: tuple[str, ...] = ()


class _Diff(msgspec.Struct, frozen=True):
    before_header: str = ""
    before: str = ""
    after: str = ""


class _Result(msgspec.Struct, frozen=True):
    """What fleet_bundle tells of an adoption."""

    waiting: tuple[str, ...] = ()
    changes: tuple[_Change, ...] = ()
    diff: tuple[_Diff, ...] = ()
    record: dict[str, Any] = {}

    def record_of(self, node: str) -> Record | None:
        """Raises msgspec.ValidationError for one that cannot be the node's."""
        if not self.record.get("node"):
            return None
        record = msgspec.convert(self.record, Record, strict=False)
        if record.node != node:
            raise msgspec.ValidationError(f"its record is of {record.node}")
        return record


def adopt(
    intent: Intent, nodes: Sequence[Node], hand: Hand, records: Records, options: AdoptOptions
) -> Iterator[HostEvent]:
    """Looks at each host, manages what is as the bundle says, and writes what `take` names. Nothing is restarted.

    Raises RefusedError, or SpecError for a template's fault, before anything is touched.
    """
    check_locked(intent)
    _refuse_managed(intent, nodes)
    refuse_dirty(intent, nodes, allow_dirty=options.allow_dirty)
    each_rendered(intent, nodes, intent.renderer.sketch)
    refuse_missing_secrets(intent, nodes)
    if not options.is_check:
        keep_contents(intent, nodes, records)
    task = NodeTask("adopt", {"fleet_take": list(options.take), "fleet_check": options.is_check})
    for answer in hand.run(task, [node.name for node in nodes]):
        if answer.outcome != "done":
            yield NodeUntouched(answer.node, answer.outcome, answer.reason)
            continue
        try:
            adopted, record = _adopted(answer, options)
        except msgspec.ValidationError as error:
            yield NodeUntouched(answer.node, "failed", f"what it tells of itself cannot be read: {error}")
            continue
        if record is not None and not options.is_check:
            records.save([record])
        yield adopted


def _refuse_managed(intent: Intent, nodes: Sequence[Node]) -> None:
    managed = [node.name for node in nodes if intent.held(node.name)]
    if managed:
        more = f" and {len(managed) - 1} more" if len(managed) > 1 else ""
        raise RefusedError(f"{managed[0]}{more} is managed already", "fleet plan shows what would change there.")
    pending = [node.name for node in nodes if node.is_k3s and not node.arch]
    if pending:
        hint = f"fleet plan --refresh --node {pending[0]} asks it, or write `arch:` into the spec."
        raise RefusedError(f"the architecture of {pending[0]} is not known yet", hint)


def _adopted(answer: NodeAnswer, options: AdoptOptions) -> tuple[NodeAdopted, Record | None]:
    result = msgspec.convert(answer.result, _Result, strict=False)
    texts = {diff.before_header: diff for diff in result.diff}
    waiting = tuple(
        Waiting(
            change.path, change.kind, change.action, change.what, texts[change.path].before, texts[change.path].after
        )
        if change.path in texts
        else Waiting(change.path, change.kind, change.action, change.what)
        for change in result.changes
        if change.path in result.waiting
    )
    paths = [change.path for change in result.changes if change.kind in {"file", "artifact", "folder", "seed"}]
    record = result.record_of(answer.node)
    adopted = NodeAdopted(
        answer.node,
        waiting,
        taken=tuple(path for path in paths if path not in result.waiting),
        is_whole=record is not None and bool(record.digest),
        is_check=options.is_check,
    )
    return adopted, record
