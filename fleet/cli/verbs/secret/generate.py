"""`fleet secret generate`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.options import json_option, vault_option
from fleet.errors import EXIT_DONE


@verb(
    "generate",
    examples=["fleet secret generate --vault-password-file ~/.vault", "fleet secret generate --json"],
)
@vault_option
@json_option
@click.pass_obj
def command(face: Face, *, vault_password_file: str, as_json: bool) -> int:
    """Make the K3s tokens that clusters lack.

    Each cluster gets a server token and an agent token of its own, in an Ansible Vault below secrets/. What is there
    is never changed. Commit what it writes; apply refuses when a token is absent.
    """
    from fleet.cli.lines.pins import secret_lines

    with face.diagnostics.stage("generate secrets"):
        for event in face.workspace(vault_password_file=vault_password_file).generate_secrets():
            if as_json:
                face.print_json_line("secret-event", event)
            else:
                face.out.lines(secret_lines(event))
    return EXIT_DONE
