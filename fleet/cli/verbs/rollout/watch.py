"""`fleet rollout watch`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.following import follow
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, sandbox_option


@verb("watch", examples=["fleet rollout watch 7f3c21aa", "fleet rollout watch 7f3c21aa --json"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, sandbox: str, as_json: bool) -> int:
    """Watch a rollout that another process drives.

    From its beginning until it ends, is paused, or nobody drives it. The same display and the same exit codes as
    `fleet apply`; ^C ends the watching alone.
    """
    events = face.workspace(sandbox).rollouts().watch(rollout_id)
    return follow(face, rollout_id, events, as_json=as_json)
