"""Options that several verbs share."""

from __future__ import annotations

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: its schema is `fleet schema --output`.")
sandbox_option = click.option(
    "--sandbox",
    default="",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Every node is a folder below DIR instead of a host.",
)
vault_option = click.option(
    "--vault-password-file",
    default="",
    metavar="FILE",
    type=click.Path(),
    help="Where the vaults' password is: a file, or a program that prints it. Else ANSIBLE_VAULT_PASSWORD_FILE.",
)
forks_option = click.option(
    "--forks", default=20, show_default=True, type=click.IntRange(1, 1000), help="Nodes at once, at most."
)
