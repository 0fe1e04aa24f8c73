"""`fleet lock`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option
from fleet.errors import EXIT_DONE


@verb("lock", examples=["fleet lock", "fleet lock --upgrade stable", "fleet lock --json"])
@click.option(
    "--upgrade", multiple=True, metavar="NAME", help="Move this channel to its newest release; again for more."
)
@json_option
@click.pass_obj
def command(face: Face, *, upgrade: tuple[str, ...], as_json: bool) -> int:
    """Pin K3s versions and their checksums in fleet.lock.

    What is pinned already stays as it is, until --upgrade names its channel. Commit fleet.lock: plans read nothing else.
    """
    from fleet.cli.lines.pins import lock_lines

    with face.diagnostics.stage("lock"):
        for event in face.workspace().lock(upgrade):
            if as_json:
                face.print_json_line("lock-event", event)
            else:
                face.out.lines(lock_lines(event))
    return EXIT_DONE
