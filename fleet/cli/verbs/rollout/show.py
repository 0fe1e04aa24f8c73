"""`fleet rollout show`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE, UsageError


@verb("show", examples=["fleet rollout show 7f3c21aa", "fleet rollout show 7f3c21aa --json"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, sandbox: str, as_json: bool) -> int:
    """Show what happened in one rollout.

    The same lines, and with --json the same events, as `fleet apply` printed on a pipe.
    """
    from fleet.cli.lines.events import EventLines

    lines = EventLines(face.again)
    count = 0
    for event in face.workspace(sandbox).rollout_events(rollout_id):
        count += 1
        if as_json:
            face.print_json_line("event", event)
        else:
            face.out.lines(lines.of(event))
    if not count:
        raise UsageError(f"no rollout is called {rollout_id}", "fleet rollout list")
    return EXIT_DONE
