"""`fleet rollout resume`."""

from __future__ import annotations

import click

from fleet.cli.asking import tell
from fleet.cli.command import verb
from fleet.cli.detaching import detach as detached
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import (
    become_option,
    detach_option,
    forks_option,
    json_option,
    no_cluster_option,
    sandbox_option,
    vault_option,
)
from fleet.cli.rolling import roll


@verb("resume", examples=["fleet rollout resume 7f3c21aa", "fleet rollout resume 7f3c21aa --detach"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@forks_option
@detach_option
@no_cluster_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, rollout_id: str, sandbox: str, forks: int, detach: bool, no_cluster: bool, vault_password_file: str, asks_become: bool,
    become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Go on with a rollout that paused, or whose controller died.

    What it finished stays finished; what failed before its policy paused it does not count any more. Refused when the
    spec wants something else by now: `fleet apply` starts anew. Of one that was cancelled or superseded it is only found out
    how far what ran has come. Where another process still drives it, that one is asked to forget the pause.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    rollouts = workspace.rollouts()
    if rollouts.driver(rollout_id):
        return tell(face, "resume", rollouts.take_back(rollout_id), as_json=as_json)
    if detach and not face.is_detached:
        rollouts.check(rollout_id, cluster=not no_cluster)
        return detached(face, workspace.state, as_json=as_json)
    events = rollouts.resume(rollout_id, forks=forks, cluster=not no_cluster)
    return roll(face, workspace, events, as_json=as_json)
