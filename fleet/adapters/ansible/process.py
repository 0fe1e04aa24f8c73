"""Which processes belong to a run, and how they are ended.

Ansible's workers, and ssh's connections that wait for reuse, start sessions of their own: a process group does not
hold them. So everything that a run starts carries a mark in its environment, and is found by it in /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fleet.errors import UnavailableError

MARK = "FLEET_RUN"
_FORCED_SECONDS = 10.0
_NAP = 0.05
_PROC = Path("/proc")
_STARTED = 19  # field 22 of /proc/PID/stat, counted from the state that follows the name (proc(5))


class Identity(msgspec.Struct, frozen=True):
    """One process, told apart from a later one with the same pid: `started` is in ticks since boot."""

    pid: int
    started: int
    boot: str


def identity_of(pid: int) -> Identity | None:
    """None when there is no such process, or when it is dead and only waits to be reaped."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", errors="replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in {"Z", "X"} else Identity(pid, int(fields[_STARTED]), boot)


def is_alive(identity: Identity) -> bool:
    return identity_of(identity.pid) == identity


def marked(mark: str) -> list[Identity]:
    """Every living process of this user that carries the mark, except the asking one; the oldest first."""
    found = (identity_of(pid) for pid in _carriers(mark))
    return sorted((one for one in found if one is not None), key=lambda one: (one.started, one.pid))


def _carriers(mark: str) -> Iterator[int]:
    wanted = f"{MARK}={mark}".encode()
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ = (_PROC / entry.name / "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or another user's
        if wanted in environ.split(b"\0"):
            yield int(entry.name)


def end_marked(mark: str, grace: float = 5.0, but: Identity | None = None) -> int:
    """Ends every process of a run `but` one: asked first, forced after `grace` seconds. Returns how many there were.

    Forked children may appear while others end, so it looks again until nothing is left. Raises UnavailableError for
    one that does not even end by force.
    """
    asked: set[Identity] = set()
    deadline = time.monotonic() + grace
    while found := [one for one in marked(mark) if one != but]:
        is_late = time.monotonic() > deadline
        if time.monotonic() > deadline + _FORCED_SECONDS:
            pids = ", ".join(str(one.pid) for one in found)
            raise UnavailableError(
                f"processes of an earlier run do not end: {pids}", "they wait for the kernel: see ps"
            )
        # The oldest is the child: it hears of it before its own children are gone, and leaves no result behind.
        for one in found:
            if is_late or one not in asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL if is_late else signal.SIGTERM)
        asked.update(found)
        time.sleep(_NAP)
    return len(asked)
