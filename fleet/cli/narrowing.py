"""--site, --selector, --limit and --node: the same on every verb that can be narrowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleet.cli.names import complete_nodes, complete_sites

if TYPE_CHECKING:
    from fleet.model.plan import Scope

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--site", "sites", multiple=True, metavar="SITE", shell_complete=complete_sites,
                 help="Only nodes of this site; may be given again."),
    click.option("--selector", default="", metavar="LABELS",
                 help="Only nodes whose labels match, as in `ring=pilot,role!=agent`."),
    click.option("--node", "nodes", multiple=True, metavar="NODE", shell_complete=complete_nodes,
                 help="Only this node; may be given again."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N nodes, in the order of the plan."),
)  # fmt: skip


def narrowing(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def scope_of(sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None) -> Scope:
    from fleet.model.plan import Scope

    return Scope(sites=sites, selector=selector, nodes=nodes, limit=limit or 0)
