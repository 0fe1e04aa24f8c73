"""Names for the shell's completion: of nodes and sites of the fleet in the folder that -C names."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from fleet.cli.face import Face
from fleet.errors import FleetError

_MOST = 200


def complete_nodes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching((name for name, _site in _names(context)), incomplete)


def complete_sites(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _matching((site for _name, site in _names(context)), incomplete)


def complete_rollouts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        rollouts = context.ensure_object(Face).workspace().rollouts()
    except FleetError:
        return []
    return _matching((each.id for each in rollouts), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The first names only: a shell that lists 10,000 of them helps nobody."""
    found = sorted({name for name in names if name.startswith(incomplete)})
    return [CompletionItem(name) for name in found[:_MOST]]


def _names(context: click.Context) -> list[tuple[str, str]]:
    """Nothing at all for a spec that is wrong: a shell waits for names, and `fleet validate` says what is wrong."""
    try:
        rows = context.ensure_object(Face).workspace().nodes()
    except FleetError:
        return []
    return [(row.name, row.site) for row in rows]
