"""`fleet node show` as lines: what the node is, then its settings, their origins, or what rollouts did to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fleet.formats.words import count
from fleet.model.status import NodeDetail, NodeState
from fleet.report import Column, Line, clean, table_lines
from fleet.report.status import moment

_STATES: dict[NodeState, str] = {
    "current": "as wanted",
    "behind": "behind what the spec wants",
    "never": "never applied",
}


def head_lines(detail: NodeDetail) -> Iterator[Line]:
    row = detail.row
    place = f" of cluster {row.cluster}" if row.cluster else ""
    yield Line(clean(f"{row.name}: {row.role}{place} at {row.site}, {_STATES[row.state]}"), "answer")
    facts = {
        "address": row.address,
        "arch": row.arch or "not told yet",
        "k3s": row.k3s,
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(detail.labels.items())),
        "record": _record(detail),
    }
    for key, value in facts.items():
        if value:
            yield Line(clean(f"  {key:<9}{value}"))


def _record(detail: NodeDetail) -> str:
    record = detail.record
    if record is None or not record.digest:
        return ""
    commit = record.commit[:7] or "a folder outside git"
    return f"{record.digest[:19]} of {commit} since {moment(record.at)}, by {record.controller}"


def body_lines(detail: NodeDetail, width: int, *, origin: bool, log: bool) -> Iterator[Line]:
    """One answer: the log, the origins, or the settings and files."""
    if log:
        yield from (Line(clean(text)) for text in detail.log or ["no rollout ever touched it"])
    elif origin:
        rows = [(each.path, each.where, _text(each.value)) for each in detail.origins]
        yield from table_lines([Column("VALUE", is_name=True), Column("FROM", is_name=True), Column("IS")], rows, width)
    else:
        yield Line("settings", "label")
        yield from (Line(clean(f"  {path}: {_text(value)}")) for path, value in _flat(detail.settings))
        yield Line(count(len(detail.files), "file"), "label")
        yield from (Line(clean(f"  {path}")) for path in detail.files)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves that hold something, each with its path."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for at, each in enumerate(value):
            yield from _flat(each, f"{path}[{each.get('path') or each.get('name') or at}]")
    elif value not in (None, "", (), []):
        yield path, value


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    first, *more = text.splitlines() or [""]
    return f"{first} …" if more else first
