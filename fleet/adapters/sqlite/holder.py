"""Who holds a lease, as a process: so that one that was killed is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """`machine` names one boot of one kernel and its pid namespace; `born` is the process's start, in clock ticks
    since boot, so that a pid that was given out again is not taken for the holder.
    """

    machine: str
    pid: int
    born: int

    @property
    def is_gone(self) -> bool:
        """True only when it is certain: of another machine nothing is known."""
        return self.machine == _machine() and _born(self.pid) != self.born


def this_process() -> Holder:
    pid = os.getpid()
    return Holder(_machine(), pid, _born(pid))


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _born(pid: int) -> int:
    """0 for a process that is not there, or that is dead and not yet buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = stat.rpartition(")")[2].split()  # the command's name may hold blanks and brackets
    return 0 if fields[0] in "ZX" else int(fields[19])
