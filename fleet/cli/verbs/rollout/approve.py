"""`fleet rollout approve`."""

from __future__ import annotations

import click

from fleet.cli.asking import tell
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts, complete_waves
from fleet.cli.options import json_option, sandbox_option


@verb("approve", examples=["fleet rollout approve 7f3c21aa", "fleet rollout approve 7f3c21aa --wave ramp"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@click.option(
    "--wave",
    default="",
    metavar="NAME",
    shell_complete=complete_waves,
    help="Only this wave: refused when another one waits.",
)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, wave: str, sandbox: str, as_json: bool) -> int:
    """Let the wave begin that waits for an approval.

    In your name: the journal keeps who approved, and when.
    """
    answer = face.workspace(sandbox).rollouts().approve(rollout_id, wave)
    return tell(face, "approve", answer, as_json=as_json)
