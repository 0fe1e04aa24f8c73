"""docs/cli.md's list of verbs, made from the commands themselves: `python -m fleet.cli.reference` prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from fleet.cli.command import VerbGroup
from fleet.cli.root import root

_WIDTH = 100
START = "<!-- verbs: made by `python -m fleet.cli.reference` -->"


def reference() -> str:
    """Everything from START on, as Markdown."""
    parts = [START, *_chapters(root, ("fleet",))]
    return "\n\n".join(parts) + "\n"


def _chapters(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(path), max_content_width=_WIDTH, terminal_width=_WIDTH)
    yield f"{'#' * (len(path) + 1)} {' '.join(path)}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, VerbGroup):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _chapters(found, (*path, name))


if __name__ == "__main__":
    click.echo(reference(), nl=False)
