"""`fleet rollout rollback`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fleet.cli.command import verb
from fleet.cli.detaching import detach as detached
from fleet.cli.face import Face
from fleet.cli.names import complete_nodes, complete_rollouts
from fleet.cli.options import (
    become_option,
    detach_option,
    forks_option,
    json_option,
    no_cluster_option,
    sandbox_option,
    vault_option,
    yes_option,
)
from fleet.cli.rolling import roll
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED
from fleet.formats.words import count

if TYPE_CHECKING:
    from fleet.model.event import Event


@verb(
    "rollback",
    examples=[
        "fleet rollout rollback 7f3c21aa",
        "fleet rollout rollback 7f3c21aa --wave ramp",
        "fleet rollout rollback 7f3c21aa --node lyon-1-a --node lyon-1-b",
        "fleet rollout rollback 7f3c21aa --yes --detach",
    ],
)
@click.argument("rollout_id", metavar="ID", shell_complete=complete_rollouts)
@click.option("--wave", "waves", multiple=True, metavar="NAME", help="Only nodes of this wave (repeat it for more).")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_nodes,
    help="Only this node (repeat it for more).",
)
@sandbox_option
@yes_option
@forks_option
@detach_option
@no_cluster_option
@vault_option
@become_option
@json_option
@click.pass_obj
def command(
    face: Face, *, rollout_id: str, waves: tuple[str, ...], nodes: tuple[str, ...], sandbox: str, yes: bool, forks: int, detach: bool, no_cluster: bool,
    vault_password_file: str, asks_become: bool, become_password_file: str, as_json: bool,
) -> int:  # fmt: skip
    """Bring back what a rollout brought.

    Its nodes go back to what they held before: in a rollout of its own, in reverse order, under the same budgets, without windows,
    gates and approvals. One that has not ended ends first. What it brought is held back: it comes again once it changes in git,
    or by `fleet rollout retry`. With --wave or --node only those nodes go back, and are held back. K3s versions, tokens, datastores and packages do not go back: such nodes stay as they are, and
    say so. Exit codes are those of `fleet apply`.
    """
    workspace = face.workspace(sandbox, vault_password_file, become_password_file, asks_become=asks_become)
    rollouts = workspace.rollouts()
    counts = rollouts.story(rollout_id).row.counts
    if not (yes or as_json or face.is_detached) and sys.stdin.isatty() and face.out.is_terminal:
        touched = count(counts.applied + counts.failed, "node")
        part = " in part" if waves or nodes else ""
        if not click.confirm(f"Roll back{part} rollout {rollout_id}, which came to {touched}?", err=True):
            face.err.line("not rolled back")
            return EXIT_INTERRUPTED
    if detach and not face.is_detached:
        return detached(face, workspace.state, as_json=as_json)
    begun: list[str] = []
    back = rollouts.roll_back(rollout_id, waves=waves, nodes=nodes, forks=forks, cluster=not no_cluster)
    events = _noted(back, begun)
    code = roll(face, workspace, events, as_json=as_json)
    if begun:
        return code
    face.err.line(f"no node has anything to go back to; what rollout {rollout_id} brings is held back")
    return EXIT_DONE


def _noted(events: Iterator[Event], begun: list[str]) -> Iterator[Event]:
    """Passes events on, and notes the rollout that brings nodes back."""
    from fleet.model.event import RollbackBegun

    for event in events:
        if isinstance(event, RollbackBegun):
            begun.append(event.rollout_id)
        yield event
