"""A plan that was agreed to is carried out; with `--supersede`, what another controller rolls out ends first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

import msgspec

from fleet.cli.agreeing import may_go_on, tell_nothing
from fleet.cli.detaching import detach, fingerprint
from fleet.cli.face import Face
from fleet.cli.rolling import roll
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED, BusyError, StoppedError
from fleet.formats.words import count

if TYPE_CHECKING:
    from rich.status import Status

    from fleet.model.event import Event
    from fleet.model.plan import Plan
    from fleet.operations.supersede import Standing
    from fleet.workspace import Workspace
    from fleet.workspace.rollouts import Rollouts


class Way(msgspec.Struct, frozen=True, eq=False):
    """How a plan is carried out: `check` raises what it would be refused for, `begin` starts the rollout of an id, `replan`
    makes the plan anew.
    """

    check: Callable[[Plan], None]
    begin: Callable[[Plan, str], Iterator[Event]]
    replan: Callable[[], Plan]
    asks: bool
    detach: bool
    supersede: bool
    as_json: bool


def carry_out(face: Face, workspace: Workspace, plan: Plan, way: Way) -> int:
    """The exit code. Who was faster in the moment between the wait and the beginning is asked in its turn."""
    rollouts = workspace.rollouts()
    name = face.rollout_id or rollouts.new_id()
    if way.supersede or (way.detach and not face.is_detached):
        way.check(plan)
    while True:
        if way.supersede and _wait(face, rollouts, name):
            agreed, plan = plan, _planned_anew(face, way)
            if not _is_part(plan, agreed) and not may_go_on(face, plan, asks=way.asks):
                face.err.line("not applied")
                return EXIT_INTERRUPTED
        if not (plan.nodes or plan.refused):
            tell_nothing(face, workspace, plan, as_json=way.as_json)
            return EXIT_DONE
        if way.detach and not face.is_detached:
            return detach(face, workspace.state, fingerprint(plan), name, as_json=way.as_json)
        try:
            return roll(face, workspace, way.begin(plan, name), as_json=way.as_json)
        except BusyError:
            if not way.supersede or name in rollouts.ids():
                raise


def _planned_anew(face: Face, way: Way) -> Plan:
    with face.diagnostics.stage("plan"):
        plan = way.replan()
    if plan.nodes:
        face.err.line(f"planned anew: {count(len(plan.nodes), 'node')} to change")
    return plan


def _is_part(plan: Plan, agreed: Plan) -> bool:
    """Whether a plan does nothing that another one does not do as well."""
    known = {(change.node, change.wanted) for change in agreed.nodes}
    return all((change.node, change.wanted) in known for change in plan.nodes)


def _wait(face: Face, rollouts: Rollouts, name: str) -> bool:
    """Whether there was anything to wait for. Raises StoppedError for ^C, BusyError where somebody asked later."""
    ended: dict[str, None] = {}
    with _Line(face) as line:
        try:
            for standing in rollouts.supersede(name):
                ended[standing.rollout_id] = None
                line.show(standing)
        except KeyboardInterrupt:
            raise _left(face, [each for each in ended if each]) from None
    _tell_ends(face, rollouts, [each for each in ended if each])
    return bool(ended)


def _left(face: Face, asked: list[str]) -> StoppedError:
    if not asked:
        return StoppedError(
            "no longer waiting: nothing was asked for", f"{face.again('apply --supersede')} waits again."
        )
    name = asked[-1]
    return StoppedError(
        f"no longer waiting; the request stays: rollout {name} ends when what runs of it is over",
        f"{face.again('apply')} brings the rest then, {face.again(f'rollout watch {name}')} shows how far it is.",
    )


def _tell_ends(face: Face, rollouts: Rollouts, names: list[str]) -> None:
    """What became of the rollouts that were waited for: their last words."""
    from fleet.cli.lines.events import EventLines

    for name in names:
        face.err.lines(EventLines(face.again).of(rollouts.story(name).events[-1]))


class _Line:
    """What is waited for, on one line: kept up to date on a terminal, said once on a pipe."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._status: Status | None = None
        self._said = ("", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, standing: Standing) -> None:
        from fleet.report import clean

        text = clean(_told(standing))
        if self._face.err.is_terminal:
            self._update(text)
        elif self._said != (standing.driver, standing.rollout_id):
            self._face.err.line(text)
        self._said = (standing.driver, standing.rollout_id)

    def _update(self, text: str) -> None:
        from rich.console import Console
        from rich.markup import escape

        if self._status is not None:
            self._status.update(escape(text))
            return
        console = Console(stderr=True, no_color=not self._face.err.has_colour, highlight=False)
        self._status = console.status(escape(text))
        self._status.start()


def _told(standing: Standing) -> str:
    if not standing.rollout_id:
        return f"waiting for {standing.driver} to let go of this folder; ^C leaves"
    running = count(standing.under_way, "node")
    return f"waiting for rollout {standing.rollout_id} of {standing.driver} to end: {running} under way; ^C leaves"
