"""`fleet plan`."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import (
    become_option,
    forks_option,
    json_option,
    policy_option,
    sandbox_option,
    updates_option,
    vault_option,
)
from fleet.errors import EXIT_DIFFERENT, EXIT_DONE, EXIT_WRONG


@verb(
    "plan",
    examples=[
        "fleet plan",
        "fleet plan --site lyon-1 --detail",
        "fleet plan --selector ring=pilot --limit 10",
        "fleet plan --out .fleet/plan.json && fleet apply .fleet/plan.json",
        "fleet plan --sandbox /tmp/nodes --json | jq .radius",
    ],
)
@narrowing
@sandbox_option
@click.option(
    "--refresh", is_flag=True, help="Ask the nodes first what they hold, instead of trusting what they last told."
)
@forks_option
@click.option("--detail", is_flag=True, help="Name every node, with all of its changes.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Save the plan to FILE, for `fleet apply FILE`.", metavar="FILE"
)
@policy_option
@updates_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None,
    sandbox: str, refresh: bool, forks: int, detail: bool, out: Path | None, policy: str, updates: bool, vault_password_file: str, asks_become: bool,
    become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Show what would change on which nodes, and why.

    Equal changes are shown once. Exit code 0: nothing to do; 3: something changes; 2: a rule refuses a change.
    """
    from fleet.cli.lines.plan import detail_lines
    from fleet.report import plan_document, plan_lines

    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    scope = scope_of(sites, selector, nodes, limit)
    if refresh:
        from fleet.cli.looking import look

        look(face, workspace, scope, forks)
    with face.diagnostics.stage("plan"):
        plan = workspace.plan(scope, forks=forks, updates=updates, policy=policy)
    if out is not None:
        workspace.save_plan(plan, out)
    if as_json:
        face.print_json("plan", plan_document(plan))
    else:
        face.out.lines(plan_lines(plan))
        if detail:
            face.out.lines(detail_lines(plan))
    if plan.refused:
        return EXIT_WRONG
    return EXIT_DIFFERENT if plan.nodes else EXIT_DONE
