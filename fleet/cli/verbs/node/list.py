"""`fleet node list`."""

from __future__ import annotations

from collections import Counter

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE

_TITLES = ("ROLE", "STATE", "K3S", "COMMIT", "ADDRESS", "ARCH")
_STATES = {"current": "as wanted", "behind": "behind", "never": "never applied"}


@verb(
    "list",
    examples=[
        "fleet node list",
        "fleet node list --site lyon-1",
        "fleet node list --selector role=server --json | jq -r '.nodes[].name'",
    ],
)
@narrowing
@sandbox_option
@json_option
@click.pass_obj
def command(
    face: Face, *, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None,
    sandbox: str, as_json: bool,
) -> int:  # fmt: skip
    """List nodes: what each is, and whether it is as the spec wants.

    The state is what the node last told, beside what the spec wants now: `fleet plan --refresh` asks the nodes again.
    """
    with face.diagnostics.stage("nodes"):
        rows = face.workspace(sandbox).nodes(scope_of(sites, selector, nodes, limit))
    if as_json:
        face.print_json("nodes", {"nodes": rows})
        return EXIT_DONE
    from fleet.formats.words import count
    from fleet.report import Column, table_lines

    cells = [
        (row.name, row.site, row.role, _STATES[row.state], row.k3s, row.commit[:7], row.address, row.arch or "?")
        for row in rows
    ]
    columns = [Column("NODE", is_name=True), Column("SITE", is_name=True), *map(Column, _TITLES)]
    face.out.lines(table_lines(columns, cells, face.out.width))
    states = Counter(row.state for row in rows)
    told = ", ".join(f"{number:,} {_STATES[state]}" for state, number in states.most_common())
    face.err.line(f"{count(len(rows), 'node')}: {told}" if rows else "no node matches")
    return EXIT_DONE
