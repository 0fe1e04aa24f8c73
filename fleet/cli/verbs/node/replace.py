"""`fleet node replace`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.hosting import carry_out
from fleet.cli.names import complete_nodes
from fleet.cli.options import json_option, sandbox_option
from fleet.cli.replacing import trust_new
from fleet.errors import EXIT_DONE


@verb(
    "replace",
    examples=[
        "fleet node replace lyon-1-a                                 # asks about the new machine's host key",
        "fleet node replace lyon-1-a --fingerprint SHA256:2vUW…",
    ],
)
@click.argument("name", shell_complete=complete_nodes)
@click.option("--fingerprint", default="", metavar="SHA256:…", help="The new machine's host key. Nothing is asked.")
@click.option("--yes", "-y", is_flag=True, help="Trust the key that is shown: you vouch for the way that it came over.")
@click.option("--no-commit", is_flag=True, help="Write known_hosts, and leave the commit to you.")
@sandbox_option
@json_option
@click.pass_obj
def command(
    face: Face, *, name: str, fingerprint: str, yes: bool, no_commit: bool, sandbox: str, as_json: bool
) -> int:  # fmt: skip
    """Free the name of a node for new hardware.

    The new machine's host key takes the place of the old one in known_hosts; the old machine-id, and what the old machine
    held, are expected no more. The next `fleet apply` brings everything onto the new machine.
    """
    workspace = face.workspace(sandbox)
    hosts = workspace.hosts()
    hosts.check_enrolled(name)  # before a key is pinned for it
    if not sandbox:
        trusted = trust_new(face, hosts, name, fingerprint, is_sure=yes, commit=not no_commit, as_json=as_json)
        if trusted != EXIT_DONE:
            return trusted
    code = carry_out(face, iter([hosts.replace(name)]), as_json=as_json)
    face.err.line(face.again(f"apply --node {name}"), "next")
    return code
