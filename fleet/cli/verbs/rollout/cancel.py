"""`fleet rollout cancel`."""

from __future__ import annotations

import click

from fleet.cli.asking import tell
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, reason_option, sandbox_option


@verb("cancel", examples=["fleet rollout cancel 7f3c21aa", 'fleet rollout cancel 7f3c21aa --reason "wrong version"'])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@reason_option
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, reason: str, sandbox: str, as_json: bool) -> int:
    """End a rollout before its end.

    What runs is finished first, and what is done stays done. One that is paused ends at once, within seconds where another
    rollout is driven meanwhile.
    """
    answer = face.workspace(sandbox).rollouts().cancel(rollout_id, reason)
    return tell(face, "cancel", answer, as_json=as_json)
