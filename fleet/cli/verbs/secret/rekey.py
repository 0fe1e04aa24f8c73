"""`fleet secret rekey`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.keeping import carry_out
from fleet.cli.options import json_option, vault_option


@verb(
    "rekey",
    examples=[
        "fleet secret rekey                          # asks for the old password once, for the new one twice",
        "fleet secret rekey --vault-password-file ~/.vault --new-vault-password-file ~/.vault-new",
    ],
)
@click.option(
    "--new-vault-password-file",
    default="",
    metavar="FILE",
    type=click.Path(),
    help="Where the new password is: a file, or a program that prints it. Else it is asked for, twice.",
)
@vault_option
@json_option
@click.pass_obj
def command(face: Face, *, new_vault_password_file: str, vault_password_file: str, as_json: bool) -> int:
    """Change the password of all vault files.

    All of secrets/ is opened first, and one file after the other exchanged, each of them whole. Killed at any moment, it
    leaves each file under the old or the new password: run it again with both. No value changes, so secrets.lock stays
    as it is, and no node changes.

    What git history holds still opens with the old password. Where that has leaked, give secrets new values as well.
    """
    from fleet.cli.passwords import new_password_source

    secrets = face.workspace(vault_password_file=vault_password_file).secrets()
    new = new_password_source(new_vault_password_file)
    face.err.line("opening every vault file: nothing is written before all are open")
    return carry_out(face, secrets.rekey(new), as_json=as_json)
