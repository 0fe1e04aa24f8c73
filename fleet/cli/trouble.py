"""Errors as people see them: what is wrong, and how to mend it. Never a value that may be a secret."""

from __future__ import annotations

from pathlib import Path

from fleet.cli.streams import Stream
from fleet.errors import FleetError, SpecError


def show_trouble(err: Stream, error: FleetError) -> None:
    if isinstance(error, SpecError):
        _show_problems(err, error)
        return
    from fleet.report import clean

    message = "\n".join(clean(line) for line in error.message.splitlines())
    show_error(err, message, clean(error.hint))


def show_error(err: Stream, message: str, hint: str = "") -> None:
    err.line(f"error: {message}", "refused")
    if hint:
        err.line(f"hint: {hint}", "hint")


def show_bug(err: Stream, error: BaseException) -> None:
    """The text of an unforeseen exception may quote a secret, so it is told by its type and its place only."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    show_error(
        err,
        f"fleet failed by a mistake of its own: {type(error).__name__}{place}",
        "run it again with -v, and report what it prints together with `fleet --version`",
    )


def _show_problems(err: Stream, error: SpecError) -> None:
    from fleet.report import problems_lines

    bad = len({problem.file for problem in error.problems})
    err.lines(problems_lines(error.problems, max(error.documents, bad), bad))
