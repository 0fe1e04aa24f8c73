"""How a verb is declared: loaded when it is called, with examples in its help and the global options after it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from fleet.cli.face import Face

Setter = Callable[[Face, Any], None]


def _option(names: Sequence[str], setter: Setter, help_text: str, *, hidden: bool, **attributes: Any) -> click.Option:
    def remember(context: click.Context, _option: click.Parameter, value: Any) -> None:
        if value not in (None, False, 0):
            setter(context.ensure_object(Face), value)

    return click.Option([*names], callback=remember, expose_value=False, help=help_text, hidden=hidden, **attributes)


def _set_directory(face: Face, value: str) -> None:
    face.directory = value


def _add_verbosity(face: Face, value: int) -> None:
    face.verbosity += value


def _set_log_format(face: Face, value: str) -> None:
    face.log_format = value


def _forbid_colour(face: Face, _value: bool) -> None:
    face.allow_colour = False


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """They work before the verb and after it; a verb's own help leaves them out."""
    return [
        _option(["-C", "--directory"], _set_directory, "Work on the fleet in DIR instead of this folder.",
                hidden=hidden, metavar="DIR", type=click.Path()),
        _option(["-v", "--verbose"], _add_verbosity, "Say more on stderr; -vv also says how long each stage took.",
                hidden=hidden, count=True),
        _option(["--log-format"], _set_log_format, "How -v writes: text or json.",
                hidden=hidden, type=click.Choice(["text", "json"])),
        _option(["--no-color"], _forbid_colour, "No colour, as with NO_COLOR set.",
                hidden=hidden, is_flag=True),
    ]  # fmt: skip


class Verb(click.Command):
    """A command with examples below its options."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.examples = tuple(examples)
        self.params.extend(global_options(hidden=True))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def verb(name: str, examples: Sequence[str]) -> Callable[[Callable[..., Any]], Verb]:
    """Declares a verb. Its function returns the exit code; its docstring's first line is its line in `fleet --help`."""
    return click.command(name, cls=Verb, examples=examples)


class VerbGroup(click.Group):
    """`verbs` maps a name to its line in the help: the module fleet.cli.verbs.NAME is imported on use only. A name that
    is a word of Python's has a module with `_` behind it, as PEP 8 has it.
    """

    def __init__(
        self, *arguments: Any, verbs: Mapping[str, str], folder: str, examples: Sequence[str] = (), **attributes: Any
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.verbs = dict(verbs)
        self.folder = folder
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in self.verbs:
            return None
        name = cmd_name.replace("-", "_")
        module = f"{self.folder}.{name}_" if iskeyword(name) else f"{self.folder}.{name}"
        found = import_module(module).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{module}.command is not a command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.verbs and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.verbs, n=1)
            mend = f" Did you mean `{close[0]}`?" if close else f" There are: {', '.join(self.verbs)}."
            raise click.UsageError(f"no verb called `{args[0]}`.{mend}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Verbs"):
            formatter.write_dl(list(self.verbs.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)
