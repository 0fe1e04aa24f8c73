"""A rollout that another process drives: its events shown as they come, and the exit code that its end means."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleet.cli.face import Face
from fleet.cli.rolling import code_after, shown
from fleet.errors import EXIT_INTERRUPTED, EXIT_UNFINISHED

if TYPE_CHECKING:
    from fleet.model.event import Event


def follow(face: Face, rollout_id: str, events: Iterator[Event], *, as_json: bool) -> int:
    """As `roll`, but ^C ends the watching alone. 4, too, for a rollout that nobody drives."""
    from fleet.model.event import STATUS_AFTER
    from fleet.model.rollout import ENDED

    gc.enable()  # main turned it off; a rollout may run for hours
    code, status = EXIT_UNFINISHED, "new"
    try:
        with face.diagnostics.stage("watch"), shown(face, as_json) as screen:
            for event in events:
                screen.show(event)
                code = code_after(event, code)
                status = STATUS_AFTER.get(type(event), status)
    except KeyboardInterrupt:
        face.err.line(f"no longer watching; rollout {rollout_id} goes on: {face.again(f'rollout pause {rollout_id}')}")
        return EXIT_INTERRUPTED
    if status != "paused" and status not in ENDED:
        resume = face.again(f"rollout resume {rollout_id}")
        face.err.line(f"nobody drives rollout {rollout_id} any more: {resume} goes on", "warning")
        return EXIT_UNFINISHED
    return code
