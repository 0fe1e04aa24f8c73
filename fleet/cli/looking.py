"""Asking nodes what they hold (`--refresh`): a progress line on a terminal, and those that did not answer, by reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleet.cli.face import Face
from fleet.formats.words import count, some
from fleet.model.trouble import Trouble
from fleet.report import Line, by_reason, clean

if TYPE_CHECKING:
    from fleet.model.batch import Observation
    from fleet.model.plan import Scope
    from fleet.workspace import Workspace


def look(face: Face, workspace: Workspace, scope: Scope, forks: int = 20) -> None:
    """Makes the controller's records anew from the nodes of the scope. What a node does not tell stays as it was."""
    silent: list[Trouble] = []
    answered = 0
    for observation in _shown(face, workspace.refresh(scope, forks=forks)):
        if observation.unreachable:
            silent.append(Trouble("unreachable", observation.node, observation.unreachable))
        else:
            answered += 1
    face.diagnostics.info("refreshed", answered=answered, silent=len(silent))
    face.err.lines(_silent_lines(silent))


def _silent_lines(silent: list[Trouble]) -> Iterator[Line]:
    for group in by_reason(silent):
        told = f"{count(len(group.nodes), 'node')} did not answer ({some(group.nodes)}): {group.reason}"
        yield Line(clean(f"warning: {told}"), "warning")


def _shown(face: Face, observations: Iterator[Observation]) -> Iterator[Observation]:
    if not face.err.is_terminal:
        yield from observations
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True, no_color=not face.err.has_colour, highlight=False)
    with Progress(SpinnerColumn(), TextColumn("asking nodes"), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task("", total=None)
        for observation in observations:
            progress.advance(task)
            yield observation
