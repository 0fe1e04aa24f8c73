"""Events as people see them: lines on a pipe, a progress line for each wave on a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol, Self

from fleet.cli.face import Face
from fleet.cli.lines.events import EventLines, Troubled, told, trouble_of
from fleet.model.event import (
    BatchStarted,
    Event,
    NodeApplied,
    NodeBlocked,
    NodeFailed,
    NodeUnhealthy,
    NodeUnreachable,
    RolloutStarted,
    WaveFinished,
    WaveStarted,
)
from fleet.model.trouble import Trouble
from fleet.report import Line, LineKind, by_reason, clean, reason_lines

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_TOLD_AT_ONCE = 10
_OUTCOMES: dict[type[Event], str] = {
    NodeApplied: "ok",
    NodeFailed: "failed",
    NodeUnreachable: "offline",
    NodeBlocked: "blocked",
}
_STYLES: dict[LineKind, str] = {"refused": "red", "warning": "yellow", "answer": "bold", "next": "bold"}


class Watcher(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: Event) -> None: ...


def watcher(face: Face) -> Watcher:
    """A bar only where nothing but the terminal reads us."""
    if face.out.is_terminal and face.err.is_terminal:
        return TerminalWatcher(face)
    return PipeWatcher(face)


class PipeWatcher:
    """Lines as things happen: one for the applied nodes of a batch, one for each node that did not come through."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._lines = EventLines(face.again)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, event: Event) -> None:
        lines = self._lines.of(event)
        if lines:
            self._face.out.lines(lines)


class TerminalWatcher:
    """A progress line for each wave. The first failures are told as they happen; the rest by reason, at the end."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._lines = EventLines(face.again)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._outcomes: Counter[str] = Counter()
        self._told = 0
        self._untold: list[Trouble] = []
        self._rollout = ""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True, no_color=not self._face.err.has_colour, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[outcomes]}", markup=False),
            console=console,
        )
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._face.out.lines(self._untold_lines())

    def show(self, event: Event) -> None:
        outcome = _OUTCOMES.get(type(event))
        if isinstance(event, RolloutStarted):
            self._rollout = event.rollout_id
        if isinstance(event, WaveStarted):
            self._begin(event)
        elif outcome is not None:
            self._count(outcome)
        elif isinstance(event, NodeUnhealthy):
            self._count("failed", instead_of="ok")
        if isinstance(event, Troubled):
            self._trouble(event)
        elif not isinstance(event, WaveStarted | WaveFinished | BatchStarted | NodeApplied):
            self._print(self._lines.of(event))

    def _begin(self, event: WaveStarted) -> None:
        if self._progress is not None:
            self._outcomes.clear()
            self._task = self._progress.add_task(event.wave, total=event.nodes, outcomes="")

    def _count(self, outcome: str, instead_of: str = "") -> None:
        self._outcomes[outcome] += 1
        self._outcomes[instead_of] -= bool(instead_of)
        if self._progress is not None and self._task is not None:
            told = ", ".join(f"{count:,} {name}" for name, count in self._outcomes.items() if count)
            self._progress.update(self._task, advance=0 if instead_of else 1, outcomes=told)

    def _trouble(self, event: Troubled) -> None:
        trouble = trouble_of(event)
        prefix = "" if trouble.kind == "failed" else f"{trouble.kind}: "
        if self._told < _TOLD_AT_ONCE:
            self._told += 1
            self._print([Line(clean(f"x {trouble.node}  {prefix}{told(trouble, self._face.again)}"), "refused")])
        else:
            self._untold.append(trouble)

    def _untold_lines(self) -> list[Line]:
        if not self._untold:
            return []
        groups = by_reason(self._untold)
        return [
            Line(f"and {len(self._untold):,} more that did not come through:", "refused"),
            *reason_lines(groups, self._face.again(f"rollout show {self._rollout} -v")),
        ]

    def _print(self, lines: list[Line]) -> None:
        """Above the bars, where stdout would tear them."""
        if self._progress is None:
            return
        for line in lines:
            self._progress.console.print(line.text, markup=False, soft_wrap=True, style=_STYLES.get(line.kind))
