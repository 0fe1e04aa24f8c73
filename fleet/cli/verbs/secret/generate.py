"""`fleet secret generate`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.keeping import carry_out
from fleet.cli.options import json_option, vault_option


@verb(
    "generate",
    examples=[
        "fleet secret generate --vault-password-file ~/.vault",
        "fleet secret generate --edited       # after ansible-vault edit secrets/lyon-1.yaml",
        "fleet secret generate --json",
    ],
)
@click.option("--edited", is_flag=True, help="Open every vault file, and list what people changed by hand.")
@vault_option
@json_option
@click.pass_obj
def command(face: Face, *, edited: bool, vault_password_file: str, as_json: bool) -> int:
    """Make the K3s tokens that clusters lack.

    Each cluster gets a server token and an agent token of its own, in an Ansible Vault below secrets/. What is there
    is never changed. Commit what it writes; apply refuses when a token is absent.
    """
    secrets = face.workspace(vault_password_file=vault_password_file).secrets()
    return carry_out(face, secrets.generate(edited=edited), as_json=as_json)
