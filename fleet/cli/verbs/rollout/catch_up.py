"""`fleet rollout catch-up`."""

from __future__ import annotations

import click

from fleet.cli.again import bring_again
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import (
    become_option,
    forks_option,
    json_option,
    no_cluster_option,
    sandbox_option,
    vault_option,
    yes_option,
)


@verb("catch-up", examples=["fleet rollout catch-up", "fleet rollout catch-up --yes --json"])
@sandbox_option
@yes_option
@forks_option
@no_cluster_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, sandbox: str, yes: bool, forks: int, no_cluster: bool, vault_password_file: str, asks_become: bool,
    become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Bring forward the nodes that were offline.

    Those that earlier rollouts deferred, if git still wants them to become what was brought. They go in one wave, for theirs
    has passed; budgets, windows and rates of the policy hold. Who does not answer yet stays deferred. Exit codes are those of
    `fleet apply`.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    with face.diagnostics.stage("plan"):
        names = workspace.rollouts().deferred(workspace.plan())
    return bring_again(
        face, workspace, names, "catch-up", "no node is deferred", asks=not yes, forks=forks, cluster=not no_cluster,
        as_json=as_json,
    )  # fmt: skip
