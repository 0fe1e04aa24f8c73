"""Nodes that a rollout left behind, brought forward by another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fleet.cli.agreeing import may_go_on
from fleet.cli.face import Face
from fleet.cli.rolling import roll
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from fleet.workspace import Workspace


def bring_again(
    face: Face, workspace: Workspace, names: Sequence[str], wave: str, none: str, *, asks: bool, forks: int, cluster: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """A rollout of these nodes alone, in one `wave`. `none` is said where there are none."""
    from fleet.model.plan import Scope

    if not names:
        face.err.line(none)
        return EXIT_DONE
    plan = workspace.plan(Scope(nodes=tuple(names)))
    if not may_go_on(face, plan, asks=asks and not as_json):
        face.err.line("not applied")
        return EXIT_INTERRUPTED
    events = workspace.apply(plan, forks=forks, verbosity=face.verbosity, cluster=cluster, one_wave=wave)
    return roll(face, workspace, events, as_json=as_json)


def bring_held_back(
    face: Face, workspace: Workspace, names: Sequence[str], rollout_id: str, *, asks: bool, forks: int, cluster: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """A rollout of what another one brought that was rolled back: in all its waves, and held back no more."""
    from fleet.model.plan import Scope

    plan = workspace.plan(Scope(nodes=tuple(names)), retrying=rollout_id)
    if not may_go_on(face, plan, asks=asks and not as_json):
        face.err.line("not applied")
        return EXIT_INTERRUPTED
    workspace.check(plan)
    workspace.rollouts().let_go(rollout_id)
    events = workspace.apply(plan, forks=forks, verbosity=face.verbosity, cluster=cluster)
    return roll(face, workspace, events, as_json=as_json)
