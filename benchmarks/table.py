"""The table that `make bench` prints: what was measured, what it is held against, and whether that is met."""

from __future__ import annotations

from dataclasses import dataclass

from measuring import Figures

HEAD = ("job", "files", "bytes", "measured", "target", "")


@dataclass(frozen=True)
class Row:
    """`met` is None for a figure that has no target: the other side of a comparison, a floor."""

    job: str
    measured: str
    target: str = ""
    met: bool | None = None
    files: int = 0
    size: int = 0

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.met is None else "met" if self.met else "NOT MET"
        files = f"{self.files:,}" if self.files else ""
        size = f"{self.size:,}" if self.size else ""
        return (self.job, files, size, self.measured, self.target, verdict)


def table(rows: list[Row]) -> str:
    cells = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    return "\n".join(aligned(line, widths) for line in cells)


def aligned(line: tuple[str, ...], widths: list[int]) -> str:
    """Numbers of files and bytes to the right, all else to the left."""
    shown = [
        cell.rjust(width) if at in {1, 2} else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(shown).rstrip()


def at_most(job: str, seconds: float, limit: float, *, files: int = 0, size: int = 0) -> Row:
    return Row(job, f"{seconds:.2f} s CPU", f"<= {limit:g} s", seconds <= limit, files, size)


def times(job: str, theirs: Figures, ours: Figures, least: float) -> Row:
    """Of the least of each side; beside it what the single rounds gave, in which the sides ran one after the other."""
    ratio = theirs.least / ours.least
    rounds = [one / other for one, other in zip(theirs.seconds, ours.seconds, strict=True)]
    shown = f"{ratio:.1f} times less CPU ({min(rounds):.1f} to {max(rounds):.1f})"
    return Row(job, shown, f">= {least:g} times", ratio >= least)
