"""`fleet secret rotate`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.keeping import carry_out
from fleet.cli.names import complete_secrets
from fleet.cli.options import json_option, vault_option


@verb(
    "rotate",
    examples=[
        "fleet secret rotate lyon-1.k3s-agent-token",
        "fleet secret rotate lyon-1.k3s-token lyon-1.k3s-agent-token --vault-password-file ~/.vault",
        "fleet secret rotate lyon-1.k3s-token --forget-previous",
    ],
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_secrets)
@click.option("--forget-previous", is_flag=True, help="Let go of the NAME.previous that an earlier rotation kept.")
@vault_option
@json_option
@click.pass_obj
def command(
    face: Face, *, names: tuple[str, ...], forget_previous: bool, vault_password_file: str, as_json: bool
) -> int:
    """Give K3s tokens new values.

    For the tokens that `fleet secret generate` makes; give any other secret its new value with `fleet secret set`.
    Nothing reaches a node by this: the plan shows which nodes change.

    K3s keeps a cluster's bootstrap data under its server token: `fleet apply` tells a running cluster the new one, server
    by server, and a snapshot from before opens with the old one alone. So the old value stays in the vault, as
    NAME.previous, and is never overwritten unasked. An agent token needs none of this.
    """
    secrets = face.workspace(vault_password_file=vault_password_file).secrets()
    return carry_out(face, secrets.rotate(names, forget_previous=forget_previous), as_json=as_json)
