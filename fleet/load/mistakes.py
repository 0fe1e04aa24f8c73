"""Where everything that is wrong is gathered, so that users see it all at once."""

from __future__ import annotations

from fleet.formats import FormatError
from fleet.model.problem import Mistake, Place, Problem


class MistakeList:
    """`mistakes` still need line and column, `problems` have them. Each is kept once, in the order of arrival."""

    def __init__(self) -> None:
        self._mistakes: dict[Mistake, None] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Mistake] = []

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return tuple(self._mistakes)

    def __bool__(self) -> bool:
        return bool(self._mistakes or self.problems)

    def add(self, mistake: Mistake) -> None:
        if mistake.severity == "warning":
            if mistake not in self.warnings:
                self.warnings.append(mistake)
        else:
            self._mistakes[mistake] = None

    def error(self, place: Place, message: str, hint: str = "", *, others: tuple[Place, ...] = ()) -> None:
        self.add(Mistake(place, message, hint, others))

    def warn(self, place: Place, message: str, hint: str = "") -> None:
        self.add(Mistake(place, message, hint, severity="warning"))

    def malformed(self, file: str, error: FormatError) -> None:
        """A file that cannot be read as what it should be."""
        self.problems.append(Problem(file, error.line, error.column, "", error.problem, sentence(error.hint)))

    def unreadable(self, file: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(file, 1, 1, "", message, hint))


def sentence(text: str) -> str:
    """`text` with a full stop, unless it ends a sentence already."""
    return text if not text or text[-1] in ".?!" else text + "."
