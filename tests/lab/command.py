"""Running a program of this machine and turning its failure into a LabError that shows what it said."""

import subprocess
from collections.abc import Sequence

from tests.lab.errors import LabError


def run(argv: Sequence[str], *, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
    """Run `argv` and return its standard output; raise LabError when it takes longer or (with `check`) fails."""
    try:
        done = subprocess.run(argv, input=stdin, text=True, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        said = b"".join(part for part in (error.stdout, error.stderr) if part).decode(errors="replace")
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout:g} s:\n{said}") from None
    if check and done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` ended with {done.returncode}:\n{stdin or ''}{done.stdout}{done.stderr}")
    return done.stdout
