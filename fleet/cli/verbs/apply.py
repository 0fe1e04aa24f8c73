"""`fleet apply`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.agreeing import may_go_on, tell_nothing
from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import (
    become_option,
    detach_option,
    forks_option,
    json_option,
    no_cluster_option,
    policy_option,
    sandbox_option,
    updates_option,
    vault_option,
    yes_option,
)
from fleet.cli.superseding import Way, carry_out
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from fleet.model.event import Event
    from fleet.model.plan import Plan, Scope
    from fleet.workspace import Workspace


@verb(
    "apply",
    examples=[
        "fleet apply",
        "fleet apply .fleet/plan.json --yes",
        "fleet apply --site lyon-1 --sandbox /tmp/nodes",
        "fleet apply --yes --detach",
        "fleet apply --supersede",
        "fleet apply --yes --json > events.jsonl",
    ],
)
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
@narrowing
@sandbox_option
@yes_option
@forks_option
@click.option("--allow-dirty", is_flag=True, help="Change hosts from a working tree that is not committed.")
@click.option("--unenforced", is_flag=True, help="Apply although the spec declares what is not enforced yet.")
@click.option(
    "--take-over", default="", metavar="REASON", help="Overrule nodes that hold what another controller brought."
)
@click.option(
    "--break-glass", default="", metavar="REASON", help="Overrule the policy's freezes; the journal keeps why."
)
@click.option(
    "--supersede", is_flag=True, help="End what another controller rolls out from this folder, and take over from it."
)
@policy_option
@detach_option
@updates_option
@no_cluster_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, plan_file: Path | None, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...],
    limit: int | None, sandbox: str, yes: bool, forks: int, allow_dirty: bool, unenforced: bool, take_over: str,
    break_glass: str, supersede: bool, policy: str, detach: bool, updates: bool, no_cluster: bool, vault_password_file: str, asks_become: bool,
    become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Bring nodes to what the spec says.

    On a terminal the plan is shown first, and a question asked. ^C once finishes what runs and pauses; ^C twice leaves
    now, which is safe. With --detach it goes on when this terminal is gone. An older rollout that is paused, or
    whose controller died, is superseded by another commit: what runs of it ends first. With --supersede so is one that
    another controller drives: it is waited for, and the plan made anew for what it left.

    A server whose K3s becomes another version is drained first, and takes pods again once it is Ready: a RolloutPolicy's
    `drain` says how long and how hard. Windows, soaks and approvals of the policy are waited for. Exit code 0: every node is
    as wanted, or deferred because it is offline; 4: some are not, and the last lines say which and why.
    """
    scope = scope_of(sites, selector, nodes, limit)
    _refuse_beside(plan_file, scope, policy, supersede=supersede)
    opened = partial(_opened, face, vault_password_file, become_password_file, asks_become=asks_become)
    workspace, plan = _planned(face, opened, plan_file, scope, sandbox, forks=forks, updates=updates, policy=policy)
    asks, is_empty = not yes and not as_json, not (plan.nodes or plan.refused)
    if is_empty and not supersede:
        tell_nothing(face, workspace, plan, as_json=as_json)
        return EXIT_DONE
    if not is_empty and not may_go_on(face, plan, asks=asks):
        face.err.line("not applied")
        return EXIT_INTERRUPTED
    check = partial(workspace.check, allow_dirty=allow_dirty, unenforced=unenforced, updates=updates)
    replan = partial(workspace.plan, scope, forks=forks, updates=updates, policy=policy)

    def begin(agreed: Plan, rollout_id: str) -> Iterator[Event]:
        return workspace.apply(
            agreed, forks=forks, take_over=take_over, allow_dirty=allow_dirty, unenforced=unenforced, updates=updates,
            verbosity=face.verbosity, cluster=not no_cluster, break_glass=break_glass, rollout_id=rollout_id,
        )  # fmt: skip

    return carry_out(face, workspace, plan, Way(check, begin, replan, asks, detach, supersede, as_json))


def _refuse_beside(plan_file: Path | None, scope: Scope, policy: str, *, supersede: bool) -> None:
    """What cannot be said of a saved plan."""
    if plan_file is None:
        return
    if policy or not scope.is_everything:
        raise UsageError(
            "a saved plan has its own scope and policy", "leave out --site, --selector, --node, --limit and --policy"
        )
    if supersede:
        raise UsageError(
            "a saved plan is of what nodes held before the rollout that --supersede ends",
            "leave out the file: --supersede plans anew, and shows it first",
        )


def _opened(face: Face, vault: str, become: str, sandbox: str, *, asks_become: bool) -> Workspace:
    return face.workspace(sandbox, vault, become, asks_become=asks_become)


def _planned(
    face: Face, opened: Callable[[str], Workspace], plan_file: Path | None, scope: Scope, sandbox: str, *, forks: int,
    updates: bool, policy: str,
) -> tuple[Workspace, Plan]:  # fmt: skip
    """The plan that is saved, or one made now; and where it is carried out."""
    workspace = opened(sandbox)
    if plan_file is None:
        with face.diagnostics.stage("plan"):
            return workspace, workspace.plan(scope, forks=forks, updates=updates, policy=policy)
    plan = workspace.load_plan(plan_file)
    return (opened(plan.sandbox) if plan.sandbox and not sandbox else workspace), plan
