"""`fleet status`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb(
    "status",
    examples=[
        "fleet status",
        "fleet status --sandbox /tmp/nodes",
        "fleet status --certificates",
        "fleet status --json | jq .commits",
    ],
)
@click.option("--certificates", is_flag=True, help="What K3s signed on each node, and when it runs out.")
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, certificates: bool, sandbox: str, as_json: bool) -> int:
    """Say what is applied where, since when, by which commit.

    From what nodes last told, which `fleet plan --refresh` renews. The spec is not read, so it answers at once.
    """
    with face.diagnostics.stage("status"):
        status = face.workspace(sandbox).status()
    if as_json:
        face.print_json(*(("certificates", status.certificates) if certificates else ("status", status)))
    elif certificates:
        from fleet.cli.lines.certificates import certificate_lines

        face.out.lines(certificate_lines(status.certificates, face.out.width))
    else:
        from fleet.cli.lines.status import status_lines

        face.out.lines(status_lines(status, face.out.width))
    return EXIT_DONE
