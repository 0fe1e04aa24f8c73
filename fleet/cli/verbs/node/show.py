"""`fleet node show`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb(
    "show",
    examples=[
        "fleet node show lyon-1-a",
        "fleet node show lyon-1-a --origin     # the line of the spec that each value comes from",
        "fleet node show lyon-1-a --log        # what rollouts did to it",
    ],
)
@click.argument("name", shell_complete=complete_nodes)
@click.option("--origin", is_flag=True, help="For each value, the file and line that won.")
@click.option("--log", is_flag=True, help="What rollouts did to the node, newest last.")
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, name: str, origin: bool, log: bool, sandbox: str, as_json: bool) -> int:
    """Show one node whole, and where its values come from."""
    with face.diagnostics.stage("node", node=name):
        detail = face.workspace(sandbox).node(name, origin=origin, log=log)
    if as_json:
        face.print_json("node", detail)
        return EXIT_DONE
    from fleet.cli.lines.node import body_lines, head_lines

    face.out.lines(head_lines(detail))
    face.out.lines(body_lines(detail, face.out.width, origin=origin, log=log))
    return EXIT_DONE
