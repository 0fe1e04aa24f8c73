"""`fleet rollout retry`."""

from __future__ import annotations

import click

from fleet.cli.again import bring_again, bring_held_back
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import (
    become_option,
    forks_option,
    json_option,
    no_cluster_option,
    sandbox_option,
    vault_option,
    yes_option,
)


@verb("retry", examples=["fleet rollout retry 7f3c21aa", "fleet rollout retry 7f3c21aa --yes --json"])
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@yes_option
@forks_option
@no_cluster_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, rollout_id: str, sandbox: str, yes: bool, forks: int, no_cluster: bool, vault_password_file: str,
    asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Try the nodes again that failed in a rollout.

    And those that waited for them. Only those that git still wants to become what the rollout brought: once the cause is mended
    in git, `fleet apply` brings it. In one wave, under the budgets, windows and rates of the policy. Of a rollout that was
    rolled back, what it brought is no longer held back, and comes again in all waves of the policy. Exit codes are those of
    `fleet apply`.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    rollouts = workspace.rollouts()
    with face.diagnostics.stage("plan"):
        names = rollouts.failed(rollout_id, workspace.plan())
    if held := rollouts.held_back(rollout_id):
        names = tuple(dict.fromkeys((*held, *names)))
        return bring_held_back(
            face, workspace, names, rollout_id, asks=not yes, forks=forks, cluster=not no_cluster, as_json=as_json
        )
    return bring_again(
        face, workspace, names, "retry", f"no node that failed in {rollout_id} still wants what it brought",
        asks=not yes, forks=forks, cluster=not no_cluster, as_json=as_json,
    )  # fmt: skip
