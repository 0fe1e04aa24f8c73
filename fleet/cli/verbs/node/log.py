"""`fleet node log`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb(
    "log",
    examples=[
        "fleet node log lyon-1-a",
        "fleet node log lyon-1-a --last 1 --output     # what Ansible printed of it the last time",
        "fleet node log lyon-1-a --json",
    ],
)
@click.argument("name", shell_complete=complete_nodes)
@click.option(
    "--last", default=20, show_default=True, metavar="N", type=click.IntRange(0), help="The newest N; 0 for all."
)
@click.option("--output", is_flag=True, help="With what Ansible printed about the node; so does -v.")
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, name: str, last: int, output: bool, sandbox: str, as_json: bool) -> int:
    """Show what rollouts did to one node, and what Ansible printed.

    The newest comes last: when, by which rollout and batch, what came of it and why, what changed and restarted; also what
    gates found of the node, and which rollout took another one back.

    Ansible's output is kept of the newest 20 rollouts, or as many as FLEET_KEPT_OUTPUT says when they run, below
    .fleet/output/. Secrets are not in it. The spec is not read, so nodes that left it have their log, too.
    """
    with_output = output or face.verbosity > 0
    with face.diagnostics.stage("node log", node=name):
        log = face.workspace(sandbox).rollouts().of_node(name, last=last, with_output=with_output)
    if with_output:
        from fleet.cli.redaction import log_redacted

        log = log_redacted(log)
    if as_json:
        face.print_json("node-log", log)
        return EXIT_DONE
    from fleet.cli.lines.node_log import node_log_lines

    face.out.lines(node_log_lines(log, face.again, with_output=with_output))
    return EXIT_DONE
