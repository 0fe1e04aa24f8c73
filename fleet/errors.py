"""Every error that `fleet` raises on purpose, and the exit codes of the command, on one screen.

    FleetError                1   a bug in fleet, when nothing below fits
      UsageError              2   a flag, an argument or a file that the user named is wrong
      SpecError               2   the spec is wrong; carries every mistake with its file:line:col
      MistakesError           2   the same, before lines and columns were looked up: faces only see SpecError
      RefusedError            2   a rule refuses the plan, or a saved plan no longer holds
      BusyError               2   another controller holds the lease
      UnavailableError        5   git, a mirror, a cloud or a controller-side service did not answer
      StoppedError          130   interrupted

A halted rollout (exit 4) and found differences (exit 3) are results, not exceptions (design, decision 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from fleet.model.problem import Mistake, Problem

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_WRONG = 2
EXIT_DIFFERENT = 3
EXIT_UNFINISHED = 4
EXIT_UNAVAILABLE = 5
EXIT_INTERRUPTED = 130


class FleetError(Exception):
    """`message` says what is wrong, `hint` how to mend it; `exit_code` is what the command returns."""

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(FleetError):
    exit_code = EXIT_WRONG


class SpecError(FleetError):
    """The spec is wrong. `problems` holds every mistake, in the order of file, line and column."""

    exit_code = EXIT_WRONG

    def __init__(self, problems: Sequence[Problem], documents: int = 0) -> None:
        super().__init__(f"{len(problems)} problem(s) in the spec")
        self.problems = tuple(problems)
        self.documents = documents


class MistakesError(FleetError):
    exit_code = EXIT_WRONG

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(f"{len(mistakes)} mistake(s) in the spec")
        self.mistakes = tuple(mistakes)


class RefusedError(FleetError):
    exit_code = EXIT_WRONG


class BusyError(FleetError):
    exit_code = EXIT_WRONG


class UnavailableError(FleetError):
    exit_code = EXIT_UNAVAILABLE


class StoppedError(FleetError):
    exit_code = EXIT_INTERRUPTED
