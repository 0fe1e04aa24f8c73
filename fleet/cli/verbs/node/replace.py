"""`fleet node replace`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.hosting import carry_out
from fleet.cli.names import complete_nodes
from fleet.cli.options import become_option, json_option, sandbox_option, vault_option
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
@click.option("--no-cluster", is_flag=True, help="Do not talk to its Kubernetes: its old Node stays.")
@click.option("--yes", "-y", is_flag=True, help="Trust the key that is shown: you vouch for the way that it came over.")
@click.option("--no-commit", is_flag=True, help="Write known_hosts, and leave the commit to you.")
@sandbox_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, name: str, fingerprint: str, no_cluster: bool, yes: bool, no_commit: bool, sandbox: str,
    vault_password_file: str, asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Free the name of a node for new hardware.

    The new machine's host key takes the place of the old one in known_hosts; the old machine-id, and what the old machine
    held, are expected no more. Its cluster loses the old Node, the node password that would turn the new machine away, and
    the member of etcd, where etcd keeps its quorum. The next `fleet apply` brings everything onto the new machine.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    hosts = workspace.hosts()
    hosts.check_enrolled(name)  # before a key is pinned for it
    if not sandbox:
        trusted = trust_new(face, hosts, name, fingerprint, is_sure=yes, commit=not no_commit, as_json=as_json)
        if trusted != EXIT_DONE:
            return trusted
    code = carry_out(face, iter([hosts.replace(name, cluster=not no_cluster)]), as_json=as_json)
    face.err.line(face.again(f"apply --node {name}"), "next")
    return code
