"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from fleet.cli.names import complete_policies

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: its schema is `fleet schema --output`.")
sandbox_option = click.option(
    "--sandbox",
    default="",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Every node is a folder below DIR instead of a host.",
)
vault_option = click.option(
    "--vault-password-file",
    default="",
    metavar="FILE",
    type=click.Path(),
    help="Where the vaults' password is: a file, or a program that prints it. Else ANSIBLE_VAULT_PASSWORD_FILE.",
)
_BECOME = (
    click.option(
        "--ask-become-pass", "-K", "asks_become", is_flag=True, help="Ask for the password that sudo wants on nodes."
    ),
    click.option(
        "--become-password-file",
        default="",
        metavar="FILE",
        type=click.Path(),
        help="Where that password is: a file, or a program that prints it. The spec's becomePassword goes first.",
    ),
)


def become_option(function: F) -> F:
    """-K and --become-password-file, for verbs that log in to nodes."""
    for option in reversed(_BECOME):
        function = option(function)
    return function


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask. Without a terminal nothing is asked anyway.")
policy_option = click.option(
    "--policy",
    default="",
    metavar="NAME",
    shell_complete=complete_policies,
    help="Follow this RolloutPolicy of the spec instead of the fleet's own.",
)
detach_option = click.option(
    "--detach", is_flag=True, help="Go on in a process of its own, and return once the rollout has begun."
)
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why, for the journal. Else: who asked.")
updates_option = click.option(
    "--updates", is_flag=True, help="Take OS updates as of today on nodes whose os.updates names no snapshot."
)
no_cluster_option = click.option(
    "--no-cluster",
    is_flag=True,
    help="Do not talk to Kubernetes: servers whose K3s is upgraded keep their pods, Nodes their labels and taints.",
)
forks_option = click.option(
    "--forks", default=20, show_default=True, type=click.IntRange(1, 1000), help="Nodes at once, at most."
)
