"""`fleet apply`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.agreeing import may_go_on, tell_nothing
from fleet.cli.command import verb
from fleet.cli.detaching import detach as detached
from fleet.cli.detaching import fingerprint
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
from fleet.cli.rolling import roll
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from fleet.model.plan import Plan, Scope
    from fleet.workspace import Workspace


@verb(
    "apply",
    examples=[
        "fleet apply",
        "fleet apply .fleet/plan.json --yes",
        "fleet apply --site lyon-1 --sandbox /tmp/nodes",
        "fleet apply --yes --detach",
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
    break_glass: str, policy: str, detach: bool, updates: bool, no_cluster: bool, vault_password_file: str, asks_become: bool,
    become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Bring nodes to what the spec says.

    On a terminal the plan is shown first, and a question asked. ^C once finishes what runs and pauses; ^C twice leaves
    now, which is safe. With --detach it goes on when this terminal is gone. An older rollout that is paused, or
    whose controller died, is superseded by another commit: what runs of it ends first.

    A server whose K3s becomes another version is drained first, and takes pods again once it is Ready: a RolloutPolicy's
    `drain` says how long and how hard. Windows, soaks and approvals of the policy are waited for. Exit code 0: every node is
    as wanted, or deferred because it is offline; 4: some are not, and the last lines say which and why.
    """
    scope = scope_of(sites, selector, nodes, limit)
    if plan_file is not None and (policy or not scope.is_everything):
        raise UsageError(
            "a saved plan has its own scope and policy", "leave out --site, --selector, --node, --limit and --policy"
        )
    opened = partial(_opened, face, vault_password_file, become_password_file, asks_become=asks_become)
    workspace, plan = _planned(face, opened, plan_file, scope, sandbox, updates=updates, policy=policy)
    if not (plan.nodes or plan.refused):
        tell_nothing(face, plan, as_json=as_json)
        return EXIT_DONE
    if not may_go_on(face, plan, asks=not yes and not as_json):
        face.err.line("not applied")
        return EXIT_INTERRUPTED
    if detach and not face.is_detached:
        workspace.check(plan, allow_dirty=allow_dirty, unenforced=unenforced, updates=updates)
        return detached(face, workspace.state, fingerprint(plan), as_json=as_json)
    events = workspace.apply(
        plan, forks=forks, take_over=take_over, allow_dirty=allow_dirty, unenforced=unenforced, updates=updates,
        verbosity=face.verbosity, cluster=not no_cluster, break_glass=break_glass,
    )  # fmt: skip
    return roll(face, workspace, events, as_json=as_json)


def _opened(face: Face, vault: str, become: str, sandbox: str, *, asks_become: bool) -> Workspace:
    return face.workspace(sandbox, vault, become, asks_become=asks_become)


def _planned(
    face: Face, opened: Callable[[str], Workspace], plan_file: Path | None, scope: Scope, sandbox: str, *, updates: bool,
    policy: str,
) -> tuple[Workspace, Plan]:  # fmt: skip
    """The plan that is saved, or one made now; and where it is carried out."""
    workspace = opened(sandbox)
    if plan_file is None:
        with face.diagnostics.stage("plan"):
            return workspace, workspace.plan(scope, updates=updates, policy=policy)
    plan = workspace.load_plan(plan_file)
    return (opened(plan.sandbox) if plan.sandbox and not sandbox else workspace), plan
