"""`fleet rollout list`."""

from __future__ import annotations

import time

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE

_TITLES = ("STATUS", "APPLIED", "COMMIT", "STARTED (UTC)", "BY", "WAITS FOR")


@verb("list", examples=["fleet rollout list", "fleet rollout list --json | jq -r '.rollouts[0].id'"])
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, sandbox: str, as_json: bool) -> int:
    """List rollouts, newest first."""
    rollouts = tuple(face.workspace(sandbox).rollouts().list())
    if as_json:
        face.print_json("rollouts", {"rollouts": rollouts})
        return EXIT_DONE
    from fleet.report import Column, table_lines

    cells = [
        (
            each.id,
            each.status,
            f"{each.counts.applied:,}/{each.nodes:,}",
            each.commit[:7] or "-",
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(each.started_at)),
            each.controller,
            each.waits_for or "-",
        )
        for each in rollouts
    ]
    if cells:
        columns = [Column("ROLLOUT", is_name=True), *map(Column, _TITLES)]
        face.out.lines(table_lines(columns, cells, face.out.width))
    else:
        face.err.line("no rollout yet: fleet apply starts one")
    return EXIT_DONE
