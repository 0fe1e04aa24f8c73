"""`fleet completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.errors import EXIT_DONE, UsageError


@verb(
    "completion",
    examples=[
        'eval "$(fleet completion bash)"                              # in ~/.bashrc',
        'eval "$(fleet completion zsh)"                               # in ~/.zshrc',
        "fleet completion fish > ~/.config/fish/completions/fleet.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the completion script of a shell.

    It completes verbs, options, and the names of sites and nodes of the fleet in this folder.
    """
    from fleet.cli.root import COMPLETE

    top = context.find_root()
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell}")
    script = found(top.command, {}, top.info_name or "fleet", COMPLETE)
    # `source()` would start bash to ask for its version; the script is the same.
    context.ensure_object(Face).out.text(script.source_template % script.source_vars() + "\n")
    return EXIT_DONE
