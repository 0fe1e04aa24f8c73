"""`fleet node retire`."""

from __future__ import annotations

import sys

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.hosting import carry_out
from fleet.cli.options import become_option, forks_option, json_option, sandbox_option, vault_option
from fleet.errors import EXIT_INTERRUPTED


@verb(
    "retire",
    examples=[
        "fleet node retire lyon-1-till-012",
        "fleet node retire lyon-1-till-012 --gone     # the machine is not there any more",
        "fleet node retire lyon-1-till-012 --drain-timeout 900 --force",
    ],
)
@click.argument("names", metavar="NODE...", nargs=-1, required=True)
@click.option("--gone", "is_gone", is_flag=True, help="The hardware is gone: forget it, and ask nobody.")
@click.option("--no-cluster", is_flag=True, help="Do not talk to its Kubernetes: no drain, and its Node stays.")
@click.option(
    "--drain-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long its pods may take to leave.",
)
@click.option("--force", is_flag=True, help="Drain pods that no controller brings back, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Without a terminal nothing is asked anyway.")
@click.option("--no-commit", is_flag=True, help="Write known_hosts, and leave the commit to you.")
@sandbox_option
@forks_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, names: tuple[str, ...], is_gone: bool, no_cluster: bool, drain_timeout: float, force: bool, yes: bool,
    no_commit: bool, sandbox: str, forks: int, vault_password_file: str, asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Give back nodes that left the spec.

    Take the node out of the spec and commit first. Then its pods are moved off it, its units are stopped, what fleet
    brought goes, what was there before comes back, and its record last of all. Kubernetes loses its Node and node password,
    etcd its member, known_hosts its key. Packages, users and data stay. A server goes only where etcd keeps its quorum.

    Exit code 0: all are given back; 4: some did not answer, or refused, and are as they were.
    """
    from fleet.model.drain import DrainRule
    from fleet.operations.retire import RetireOptions

    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    asks = not yes and not as_json and sys.stdin.isatty() and face.out.is_terminal
    question = f"Give back {', '.join(names)}{', without asking the hosts' if is_gone else ''}?"
    if asks and not click.confirm(question, err=True):
        face.err.line("left as it is")
        return EXIT_INTERRUPTED
    options = RetireOptions(is_gone, commit=not no_commit, drain=DrainRule(drain_timeout, force))
    events = workspace.hosts(forks=forks).retire(names, options, cluster=not no_cluster)
    return carry_out(face, events, as_json=as_json)
