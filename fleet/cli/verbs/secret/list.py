"""`fleet secret list`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option
from fleet.errors import EXIT_DONE


@verb(
    "list",
    examples=[
        "fleet secret list",
        "fleet secret list --json | jq -r '.secrets[] | select(.nodes == []) | .name'    # used by nobody",
    ],
)
@json_option
@click.pass_obj
def command(face: Face, *, as_json: bool) -> int:
    """List secrets and who uses them; needs no password.

    Names, vault files and versions come from secrets/secrets.lock, their users from the spec. `absent` is a secret that
    the spec names and no vault file holds.
    """
    with face.diagnostics.stage("list secrets"):
        rows = tuple(face.workspace(may_ask=False).secrets().rows())
    if as_json:
        face.print_json("secrets", {"secrets": rows})
        return EXIT_DONE
    from fleet.cli.lines.secrets import rows_lines
    from fleet.formats.words import count

    if rows:
        face.out.lines(rows_lines(rows, face.out.width))
    absent = sum(not each.file for each in rows)
    face.err.line(
        f"{count(len(rows), 'secret')}{f', {absent:,} absent' if absent else ''}" if rows else "no secret yet"
    )
    return EXIT_DONE
