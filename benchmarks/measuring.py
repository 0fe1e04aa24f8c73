"""CPU seconds of commands: user and system, with all their children, as the kernel counts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Before = Callable[[], None]


@dataclass(frozen=True)
class Command:
    """`codes` are the exit codes that are right; `before` makes the ground anew, and is not counted."""

    argv: Sequence[str]
    cwd: Path
    codes: frozenset[int] = frozenset({0})
    before: Before = lambda: None
    output: Path = Path(os.devnull)


@dataclass
class Figures:
    """Of the runs of one command: CPU seconds each, and the highest resident memory of any in bytes."""

    seconds: list[float] = field(default_factory=list)
    memory: int = 0

    @property
    def least(self) -> float:
        """What the work costs: whatever else a shared machine does meanwhile can only add to it."""
        return min(self.seconds)


def measure(commands: Mapping[str, Command], runs: int) -> dict[str, Figures]:
    """Each command `runs` times, one after the other and round again: what the machine does meanwhile hits all."""
    figures = {name: Figures() for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            command.before()
            seconds, memory = once(command)
            figures[name].seconds.append(seconds)
            figures[name].memory = max(figures[name].memory, memory)
    return figures


def once(command: Command) -> tuple[float, int]:
    with command.output.open("wb") as output:
        child = subprocess.Popen(
            command.argv, cwd=command.cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        said = child.stderr.read() if child.stderr else b""
        _, status, usage = os.wait4(child.pid, 0)  # of the child and of all that it waited for
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in command.codes:
        raise SystemExit(f"{' '.join(command.argv)} ended with {child.returncode}:\n{said.decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def environment() -> dict[str, str]:
    """Nothing of whoever measures, but for the place of programs: the same for both sides."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": "/dev/null", "NO_COLOR": "1"}
