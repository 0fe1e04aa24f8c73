"""A rollout that runs: its events shown as they come, ^C honoured, and the exit code that its end means."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from fleet.cli.face import Face
from fleet.cli.stopping import stopping
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNFINISHED

if TYPE_CHECKING:
    from fleet.cli.watching import Watcher
    from fleet.model.event import Event
    from fleet.workspace import Workspace


class JsonWatcher:
    """One line an event (`fleet.event/v1`)."""

    def __init__(self, face: Face) -> None:
        self._face = face

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Event) -> None:
        self._face.print_json_line("event", event)


def roll(face: Face, workspace: Workspace, events: Iterator[Event], *, as_json: bool) -> int:
    """Shows every event. 0: each node came through; 4: some did not; 130: it was stopped on request before its end."""
    from fleet.model.event import RolloutPaused, RolloutStarted, RolloutTakenOver, RolloutWithdrawn

    gc.enable()  # main turned it off; a rollout may run for hours
    code, is_withdrawn = EXIT_DONE, False
    with face.diagnostics.stage("apply"), stopping(workspace.stop, face.err) as stops, shown(face, as_json) as screen:
        for event in events:
            if isinstance(event, RolloutStarted | RolloutTakenOver):
                face.began(event.rollout_id)
            screen.show(event)
            is_withdrawn |= isinstance(event, RolloutWithdrawn)
            is_asked = isinstance(event, RolloutPaused) and stops.count
            code = EXIT_INTERRUPTED if is_asked else code_after(event, code)
    # A rollback that came through is not what was asked for.
    return EXIT_UNFINISHED if is_withdrawn and code == EXIT_DONE else code


def shown(face: Face, as_json: bool) -> Watcher:
    """Where events are shown: as JSON lines, as lines, or live."""
    from fleet.cli.watching import watcher

    return JsonWatcher(face) if as_json else watcher(face)


def code_after(event: Event, code: int) -> int:
    """The exit code once an event has happened; most change nothing."""
    from fleet.model import event as ev

    if isinstance(event, ev.RolloutFinished):
        return EXIT_DONE
    ends = ev.RolloutHalted | ev.RolloutPaused | ev.RolloutCancelled | ev.RolloutSuperseded | ev.RolloutWithdrawn
    is_short = isinstance(event, ends)
    return EXIT_UNFINISHED if is_short else code
