"""`fleet node show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from fleet.cli import documents
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE
from fleet.report import Column, Line, clean, table_lines
from fleet.report.status import moment
from fleet.report.words import count

if TYPE_CHECKING:
    from fleet.model.status import NodeDetail

_STATES = {"current": "as wanted", "behind": "behind what the spec wants", "never": "never applied"}


@verb(
    "show",
    examples=[
        "fleet node show lyon-1-a",
        "fleet node show lyon-1-a --origin     # the line of the spec that each value comes from",
        "fleet node show lyon-1-a --log        # what rollouts did to it",
    ],
)
@click.argument("name", shell_complete=complete_nodes)
@click.option("--origin", is_flag=True, help="For each value, the file and line that won.")
@click.option("--log", is_flag=True, help="What rollouts did to the node, newest last.")
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, name: str, origin: bool, log: bool, sandbox: str, as_json: bool) -> int:
    """Show one node whole, and where its values come from."""
    with face.diagnostics.stage("node", node=name):
        detail = face.workspace(sandbox).node(name, origin=origin, log=log)
    if as_json:
        face.out.text(documents.NODE.document(detail))
    else:
        face.out.lines(_head(detail))
        face.out.lines(_body(detail, face.out.width, origin=origin, log=log))
    return EXIT_DONE


def _head(detail: NodeDetail) -> Iterator[Line]:
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


def _body(detail: NodeDetail, width: int, *, origin: bool, log: bool) -> Iterator[Line]:
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
