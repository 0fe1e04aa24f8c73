"""`fleet status`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb("status", examples=["fleet status", "fleet status --sandbox /tmp/nodes", "fleet status --json | jq .commits"])
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, sandbox: str, as_json: bool) -> int:
    """Say what is applied where, since when, by which commit.

    From what nodes last told, which `fleet plan --refresh` renews. The spec is not read, so it answers at once.
    """
    with face.diagnostics.stage("status"):
        status = face.workspace(sandbox).status()
    if as_json:
        face.print_json("status", status)
        return EXIT_DONE
    from fleet.cli.lines.status import status_lines

    face.out.lines(status_lines(status, face.out.width))
    return EXIT_DONE
