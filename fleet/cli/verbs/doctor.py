"""`fleet doctor`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import become_option, forks_option, json_option, sandbox_option, vault_option
from fleet.errors import EXIT_DIFFERENT, EXIT_DONE


@verb(
    "doctor",
    examples=[
        "fleet doctor",
        "fleet doctor --site lyon-1",
        "fleet doctor --no-nodes        # this machine, git and the mirrors only",
        "fleet doctor --json | jq '.diagnoses[] | select(.outcome != \"ok\")'",
    ],
)
@narrowing
@click.option("--no-nodes", is_flag=True, help="Ask no node.")
@sandbox_option
@forks_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None, no_nodes: bool,
    sandbox: str, forks: int, vault_password_file: str, asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Look at this machine, the mirrors and the nodes, and say what keeps them from working.

    Programs and their versions, another `fleet` on PATH, host keys, fleet.lock, mirrors; of nodes: clock, room, kernel
    modules, read-only disks, failed units, and when they last answered. Nothing is changed anywhere.

    Exit code 0: all is well; 3: something is not, and the lines say what to do.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    scope = scope_of(sites, selector, nodes, limit)
    with face.diagnostics.stage("doctor"):
        found = list(workspace.hosts(forks=forks).doctor(scope, asks_nodes=not no_nodes))
    if as_json:
        face.print_json("doctor", {"diagnoses": found})
    else:
        from fleet.cli.lines.doctor import doctor_lines

        face.out.lines(doctor_lines(found, is_long=bool(face.verbosity)))
    return EXIT_DONE if all(each.outcome == "ok" for each in found) else EXIT_DIFFERENT
