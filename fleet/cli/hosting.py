"""What happens to hosts outside a rollout, shown as it comes, and the exit code that it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleet.cli.face import Face
from fleet.errors import EXIT_DIFFERENT, EXIT_DONE, EXIT_UNFINISHED

if TYPE_CHECKING:
    from fleet.model.host import HostEvent


def carry_out(face: Face, events: Iterator[HostEvent], *, as_json: bool) -> int:
    """0: all is done; 3: something waits to be taken; 4: some hosts did not take part."""
    from fleet.cli.lines.hosts import event_lines
    from fleet.model.host import NodeAdopted, NodeUntouched

    code = EXIT_DONE
    with face.diagnostics.stage("hosts"):
        for event in events:
            if as_json:
                face.print_json_line("host-event", event)
            else:
                face.out.lines(event_lines(event))
            if isinstance(event, NodeUntouched):
                code = EXIT_UNFINISHED
            elif isinstance(event, NodeAdopted) and event.waiting and code == EXIT_DONE:
                code = EXIT_DIFFERENT
    return code
