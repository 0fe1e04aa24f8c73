"""`fleet secret set`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.keeping import carry_out
from fleet.cli.names import complete_secrets
from fleet.cli.options import json_option, vault_option


@verb(
    "set",
    examples=[
        "fleet secret set registry-password                      # asks, without showing it",
        "pass show acme/registry | fleet secret set registry-password --vault-password-file ~/.vault",
        "fleet secret set lyon-1.tls-key --from-file key.pem",
        "fleet secret set wifi --file secrets/offices.yaml < wifi.txt",
    ],
)
@click.argument("name", shell_complete=complete_secrets)
@click.option(
    "--from-file", default="", metavar="FILE", type=click.Path(), help="Take the value from FILE; - is standard input."
)
@click.option(
    "--file",
    default="",
    metavar="VAULT",
    type=click.Path(),
    help="The vault file for a new name. Else secrets/SITE.yaml for names that begin with a cluster's, such as "
    "lyon-1.db, and secrets/shared.yaml.",
)
@vault_option
@json_option
@click.pass_obj
def command(face: Face, *, name: str, from_file: str, file: str, vault_password_file: str, as_json: bool) -> int:
    """Store one value, from standard input, a file or a question.

    It is never an argument: those can be read in the list of processes. A value of one line loses its end of line; of
    several lines it stays byte for byte. It is text in UTF-8: keep bytes as base64.

    Only the file that holds the name is opened and written. Commit it; the plan shows which nodes change.
    """
    from fleet.cli.passwords import given_value

    secrets = face.workspace(vault_password_file=vault_password_file).secrets()
    return carry_out(face, secrets.store(name, given_value(name, from_file), file=file), as_json=as_json)
