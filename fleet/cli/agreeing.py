"""A plan that is about to be carried out: shown, and agreed to where there is somebody to ask."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fleet.cli.detaching import check_agreed
from fleet.cli.face import Face

if TYPE_CHECKING:
    from fleet.model.plan import Plan
    from fleet.workspace import Workspace


def may_go_on(face: Face, plan: Plan, *, asks: bool) -> bool:
    """Shows the plan, and asks, where there is somebody to ask. A refused plan is not asked about: carrying it out says what
    refuses it. Raises RefusedError for another plan than the one that was shown already.
    """
    from fleet.formats.words import count
    from fleet.report import clean, plan_lines

    check_agreed(face, plan)
    if not (asks and sys.stdin.isatty() and face.out.is_terminal):
        return True
    face.out.lines(plan_lines(plan))
    if plan.refused:
        return True
    where = f"the sandbox {clean(plan.sandbox)}" if plan.sandbox else "these hosts"
    question = f"\nApply this to {count(len(plan.nodes), 'node')} of fleet {clean(plan.fleet)}, in {where}?"
    return click.confirm(question, err=True)


def tell_nothing(face: Face, workspace: Workspace, plan: Plan, *, as_json: bool) -> None:
    """Nothing is an answer too, but no event: JSON lines stay empty. A rollout that has not ended is told of: git may have gone
    back since its controller died, and servers of it may still be cordoned.
    """
    from fleet.cli.lines.status import unfinished_lines
    from fleet.report import plan_lines

    out = face.err if as_json else face.out
    out.lines(plan_lines(plan))
    out.lines(unfinished_lines(workspace.rollouts().list(), face.again))
