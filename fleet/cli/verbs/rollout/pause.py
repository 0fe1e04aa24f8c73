"""`fleet rollout pause`."""

from __future__ import annotations

import click

from fleet.cli.asking import tell
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, reason_option, sandbox_option


@verb("pause", examples=["fleet rollout pause 7f3c21aa", 'fleet rollout pause 7f3c21aa --reason "lunch rush"'])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@reason_option
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, reason: str, sandbox: str, as_json: bool) -> int:
    """Ask a rollout to start nothing new.

    What runs is finished first. `fleet rollout resume` goes on.
    """
    answer = face.workspace(sandbox).rollouts().pause(rollout_id, reason)
    return tell(face, "pause", answer, as_json=as_json)
