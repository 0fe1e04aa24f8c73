"""`fleet rollout show`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb("show", examples=["fleet rollout show 7f3c21aa", "fleet rollout show 7f3c21aa --json"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, sandbox: str, as_json: bool) -> int:
    """Show what happened in one rollout.

    The same lines, and with --json the same events, as `fleet apply` printed on a pipe. Of one that has not ended, the
    last line says how far it is.
    """
    from fleet.cli.lines.events import EventLines
    from fleet.cli.lines.status import progress_lines

    story = face.workspace(sandbox).rollouts().story(rollout_id)
    lines = EventLines(face.again)
    for event in story.events:
        if as_json:
            face.print_json_line("event", event)
        else:
            face.out.lines(lines.of(event))
    if not as_json:
        face.out.lines(progress_lines(story.row, face.again))
    return EXIT_DONE
