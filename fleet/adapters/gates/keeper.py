"""Keeps a user's command: runs it, and ends it with all that it started when its time is over or its controller is gone.

A program of its own, with nothing but the standard library: `keeper.py CONTROL STATUS SECONDS COMMAND...`. CONTROL and
STATUS are descriptors. It adopts what the command leaves behind (PR_SET_CHILD_SUBREAPER, prctl(2)), so that a daemon is found
as well. At CONTROL it hears that the controller wants an end, or has died: then nobody holds the other side of that pipe.
How it ended goes to STATUS, as JSON. If it is killed itself, the command is, too (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_NAP = 0.02
_GRACE = {"exit": 0.2, "late": 2.0, "stopped": 0.0}
"""Seconds between asking and forcing."""
_FORCED_SECONDS = 10.0
_PARENT = 1  # fields of /proc/PID/stat, counted from the state that follows the name (proc(5))


def main(control: int, status: int, seconds: float, command: list[str]) -> None:
    ends = time.monotonic() + seconds
    os.set_inheritable(control, False)
    os.set_inheritable(status, False)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        process = subprocess.Popen(
            command,
            start_new_session=True,
            preexec_fn=lambda: prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),  # noqa: PLW1509 - there is one thread
        )
    except (OSError, ValueError) as error:
        _tell(status, {"how": "unable", "reason": getattr(error, "strerror", "") or str(error)})
        return
    how = _wait(process, control, ends)
    _end_all(process, _GRACE[how])
    _tell(status, {"how": how, "code": process.poll()})


def _wait(process: subprocess.Popen[bytes], control: int, ends: float) -> str:
    while process.poll() is None:
        if time.monotonic() >= ends:
            return "late"
        heard, _, _ = select.select([control], [], [], _NAP)
        if heard:
            return "stopped"
    return "exit"


def _end_all(process: subprocess.Popen[bytes], grace: float) -> None:
    """Looks again until nothing is left: what is told to end may start something meanwhile."""
    asked: set[int] = set()
    forced = time.monotonic() + grace
    while found := _descendants():
        is_forced = time.monotonic() >= forced
        for pid in found:
            if is_forced or pid not in asked:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL if is_forced else signal.SIGTERM)
        asked.update(found)
        if time.monotonic() >= forced + _FORCED_SECONDS:
            return  # it waits for the kernel
        time.sleep(_NAP)
        process.poll()
        _reap(process.pid)


def _descendants() -> list[int]:
    """All that live and come from this process, by /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - quicker, and nothing else is needed here
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in {b"Z", b"X"}:
            children.setdefault(int(fields[_PARENT]), []).append(int(name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        those = children.get(waiting.pop(), [])
        found += those
        waiting += those
    return found


def _reap(main_pid: int) -> None:
    """Those that were adopted; the command itself belongs to its Popen."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == main_pid:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def _tell(status: int, said: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody is there to hear it
        os.write(status, json.dumps(said).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
