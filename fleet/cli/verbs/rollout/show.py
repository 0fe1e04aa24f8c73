"""`fleet rollout show`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE, UsageError
from fleet.model.node_result import RESULTS, Result


@verb(
    "show",
    examples=[
        "fleet rollout show 7f3c21aa",
        "fleet rollout show 7f3c21aa -v     # every node that did not come through, with its reason",
        "fleet rollout show 7f3c21aa --nodes --result failed --result deferred",
        "fleet rollout show 7f3c21aa --json",
    ],
)
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@click.option("--nodes", is_flag=True, help="What came of each node, instead of what happened.")
@click.option(
    "--result",
    "only",
    multiple=True,
    metavar="RESULT",
    type=click.Choice(RESULTS),
    help="Only nodes with this result (repeat it for more), with --nodes: " + ", ".join(RESULTS) + ".",
)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, nodes: bool, only: tuple[Result, ...], sandbox: str, as_json: bool) -> int:
    """Show what happened in one rollout.

    The lines that `fleet apply` printed on a pipe, but for nodes that did not come through: those are told by reason, the
    most common one first. With -v each has a line of its own; --json prints every event. Of one that has not ended, the last
    line says how far it is; of one that was rolled back, by which rollout.

    --nodes lists what came of each node, by its own outcome and by those of rollouts that rolled this one back since.
    """
    if only and not nodes:
        raise UsageError("--result goes with --nodes", f"fleet rollout show {rollout_id} --nodes --result {only[0]}")
    if nodes:
        return _nodes(face, rollout_id, only, sandbox, as_json=as_json)
    story = face.workspace(sandbox).rollouts().story(rollout_id)
    if as_json:
        for event in story.events:
            face.print_json_line("event", event)
        return EXIT_DONE
    from fleet.cli.lines.story import story_lines

    face.out.lines(story_lines(story, face.again, with_nodes=face.verbosity > 0))
    return EXIT_DONE


def _nodes(face: Face, rollout_id: str, only: tuple[Result, ...], sandbox: str, *, as_json: bool) -> int:
    found = face.workspace(sandbox).rollouts().results(rollout_id, only)
    if as_json:
        face.print_json("results", found)
        return EXIT_DONE
    from fleet.cli.lines.results import result_lines

    face.out.lines(result_lines(found, face.again, face.out.width))
    return EXIT_DONE
