"""`fleet render`."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import json_option
from fleet.errors import EXIT_DONE


@verb(
    "render",
    examples=[
        "fleet render rendered",
        "ansible-playbook -i rendered/inventory rendered/site.yml     # no fleet needed from here on",
    ],
)
@click.argument("folder", type=click.Path(path_type=Path))
@narrowing
@json_option
@click.pass_obj
def command(
    face: Face, *, folder: Path, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Write everything as a complete Ansible project.

    The same spec gives the same bytes. Files that are equal already are not touched; those that an earlier render
    wrote and this one does not are removed.
    """
    with face.diagnostics.stage("render", folder=str(folder)):
        report = face.workspace().render(folder, scope_of(sites, selector, nodes, limit))
    if as_json:
        face.print_json("render", report)
    else:
        face.out.line(
            f"{folder}: {report.written:,} files written, {report.unchanged:,} unchanged, {report.removed:,} removed"
        )
    return EXIT_DONE
