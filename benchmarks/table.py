"""The table that `make bench` prints: what was measured, what it is held against, and whether that is met."""

from __future__ import annotations

from dataclasses import dataclass

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


def times(job: str, ratio: float, least: float) -> Row:
    return Row(job, f"{ratio:.1f} times less CPU", f">= {least:g} times", ratio >= least)
