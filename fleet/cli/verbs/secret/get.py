"""`fleet secret get`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_secrets
from fleet.cli.options import vault_option
from fleet.errors import EXIT_DONE


@verb(
    "get",
    examples=[
        "fleet secret get registry-password --vault-password-file ~/.vault | docker login --password-stdin -u acme",
        "fleet secret get lyon-1.tls-key > key.pem",
    ],
)
@click.argument("name", shell_complete=complete_secrets)
@vault_option
@click.pass_obj
def command(face: Face, *, name: str, vault_password_file: str) -> int:
    """Print one value.

    Byte for byte, and nothing else, on standard output. On a terminal it is shown there, with an end of line: mind who
    looks on. Only the file that holds the name is opened.
    """
    with face.diagnostics.stage("get secret", of=name):
        value = face.workspace(vault_password_file=vault_password_file).secrets().value(name)
    face.out.text(value if value.endswith("\n") or not face.out.is_terminal else f"{value}\n")
    return EXIT_DONE
