"""`fleet rollout show`."""

from __future__ import annotations

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.names import complete_rollouts
from fleet.cli.options import json_option, sandbox_option
from fleet.errors import EXIT_DONE


@verb(
    "show",
    examples=[
        "fleet rollout show 7f3c21aa",
        "fleet rollout show 7f3c21aa -v     # every node that did not come through, with its reason",
        "fleet rollout show 7f3c21aa --json",
    ],
)
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@sandbox_option
@json_option
@click.pass_obj
def command(face: Face, *, rollout_id: str, sandbox: str, as_json: bool) -> int:
    """Show what happened in one rollout.

    The lines that `fleet apply` printed on a pipe, but for nodes that did not come through: those are told by reason, the
    most common one first. With -v each has a line of its own; --json prints every event. Of one that has not ended, the last
    line says how far it is; of one that was rolled back, by which rollout.
    """
    story = face.workspace(sandbox).rollouts().story(rollout_id)
    if as_json:
        for event in story.events:
            face.print_json_line("event", event)
        return EXIT_DONE
    from fleet.cli.lines.story import story_lines

    face.out.lines(story_lines(story, face.again, with_nodes=face.verbosity > 0))
    return EXIT_DONE
