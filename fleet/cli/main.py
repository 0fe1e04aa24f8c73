"""The entry point: runs a verb, and turns what became of it into an exit code and a few lines on stderr."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import click

from fleet.cli import streams
from fleet.cli.face import Face
from fleet.cli.root import COMPLETE, NAMES, root
from fleet.cli.trouble import show_bug, show_error, show_trouble
from fleet.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_WRONG, FleetError


def main(arguments: Sequence[str] | None = None, face: Face | None = None) -> int:
    """`fleet ARGUMENTS`. Returns the exit code (fleet/errors.py).

    What nobody foresaw goes through: the interpreter shows it by `sys.excepthook` and exits with 1.
    """
    gc.disable()  # a spec of 10,000 nodes is a million objects without a cycle, and most verbs end in a second
    face = face or Face()
    streams.keep_unprintable(sys.stdout, sys.stderr)
    sys.excepthook = _excepthook(face)
    face.arguments = given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = root.main(given, prog_name=name(), complete_var=COMPLETE, standalone_mode=False, obj=face)
    except click.ClickException as error:
        _show_usage(face, error)
        return EXIT_WRONG
    except FleetError as error:
        show_trouble(face.err, error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        face.err.line("interrupted")
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else EXIT_DONE


def run() -> NoReturn:
    """The console script."""
    leave(main())


def leave(code: int) -> NoReturn:
    """All is on disk and printed when a verb ends: taking a large fleet apart object by object would only cost time."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def name() -> str:
    """The command has two names, as another product ships a `fleet` too."""
    called = Path(sys.argv[0]).name
    return called if called in NAMES else NAMES[0]


def _show_usage(face: Face, error: click.ClickException) -> None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    show_error(face.err, error.format_message(), f"{context.command_path} --help" if context is not None else "")


def _excepthook(face: Face) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    def show(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        show_bug(face.err, error)
        if face.verbosity:
            face.diagnostics.bug(error)

    return show


if __name__ == "__main__":
    sys.exit(main())
