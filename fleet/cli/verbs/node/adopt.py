"""`fleet node adopt`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.hosting import carry_out
from fleet.cli.names import complete_nodes
from fleet.cli.options import become_option, forks_option, json_option, sandbox_option, vault_option
from fleet.errors import UsageError


@verb(
    "adopt",
    examples=[
        "fleet node adopt lyon-1-a --check       # what differs; nothing is written",
        "fleet node adopt lyon-1-a               # manage what is as the spec says, leave the rest",
        "fleet node adopt lyon-1-a --take /etc/chrony/conf.d/acme.conf",
        "fleet node adopt lyon-1-a --take-all    # then: fleet apply restarts what reads it",
    ],
)
@click.argument("names", metavar="NODE...", nargs=-1, required=True, shell_complete=complete_nodes)
@click.option("--take", multiple=True, metavar="PATH", help="Bring this path to what the spec says; again for more.")
@click.option("--take-all", is_flag=True, help="Bring every path to what the spec says.")
@click.option("--check", "is_check", is_flag=True, help="Show what differs, and write nothing at all.")
@click.option("--allow-dirty", is_flag=True, help="From a working tree that is not committed.")
@sandbox_option
@forks_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, names: tuple[str, ...], take: tuple[str, ...], take_all: bool, is_check: bool, allow_dirty: bool,
    sandbox: str, forks: int, vault_password_file: str, asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Take hosts that are in use under management.

    What is as the spec says is managed from now on. What differs is shown and waits, path by path, until it is taken:
    apply leaves such a node alone. Nothing is started, stopped or restarted by adopting; the first `fleet apply` after it
    does that, servers one at a time. What was there before is kept, and comes back with `fleet node retire`.

    Exit code 0: nothing waits; 3: something does; 4: some hosts did not answer, or refused.
    """
    from fleet.operations.adopt import EVERY_PATH, AdoptOptions

    if take and take_all:
        raise UsageError("expected one of --take and --take-all")
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    options = AdoptOptions((EVERY_PATH,) if take_all else take, is_check, allow_dirty)
    return carry_out(face, workspace.hosts(forks=forks).adopt(names, options), as_json=as_json)
