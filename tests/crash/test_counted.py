"""The fault points are counted, not sampled: every call that changes the file system has one of its own before it.

What the driver counts are functions of Python; what a run asks of the kernel is told by strace. Here the two are laid side
by side: between two calls that change something below the root, or start a program, there is always a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash import recorded
from tests.crash.cases import Step
from tests.crash.recorded import Recording
from tests.crash.strace import Call, Handle

HARMLESS = {
    "access", "close", "dup", "faccessat", "faccessat2", "fadvise64", "fcntl", "flock", "fstat", "fstatfs", "getcwd",
    "getdents64", "ioctl", "lseek", "lstat", "mmap", "newfstatat", "poll", "pread64", "read", "readlink", "readlinkat",
    "stat", "statfs", "statx",
}  # fmt: skip
"""What may be asked of a path without changing anything. Whatever is not here wants a point."""
STARTS = {"execve", "sync", "syncfs"}
"""Without a path of ours."""


def uncounted(calls: Sequence[Call], root: str, log: str) -> tuple[list[str], int]:
    """Calls that no point stands before, and how many points there are."""
    is_armed, missed, points = True, [], 0  # the program itself was started before the driver could count
    for call in calls:
        if call.result < 0:
            continue
        if call.name == "write" and isinstance(call.args[0], Handle) and call.args[0].path == log:
            is_armed, points = True, points + 1
        elif changes(call, root):
            if not is_armed:
                missed.append(str(call))
            is_armed = False
    return missed, points


def changes(call: Call, root: str) -> bool:
    if call.name in STARTS:
        return True
    texts = [arg.decode(errors="replace") for arg in call.args if isinstance(arg, bytes)]
    paths = texts + [arg.path for arg in (*call.args, call.handle) if isinstance(arg, Handle)]
    if call.name in HARMLESS or not any(path.startswith(root) for path in paths):
        return False
    if call.name in ("open", "openat"):
        return any("O_CREAT" in arg or "O_TRUNC" in arg for arg in call.args if isinstance(arg, str))
    return True


@pytest.fixture
def counted(step: Step, tmp_path: Path) -> tuple[Recording, str]:
    log = str(tmp_path / "points")
    return recorded.run(step, tmp_path, "--log", log, trace="all"), log


def test_no_change_is_without_its_point(counted: tuple[Recording, str]) -> None:
    recording, log = counted
    missed, points = uncounted(recording.calls, recording.root, log)
    assert missed == []
    assert points == len(Path(log).read_text().splitlines())


@pytest.mark.by_turn
@pytest.mark.parametrize("function", ["rename", "utime", "rmdir", "symlink"])
def test_a_driver_that_is_blind_for_one_call_is_caught(
    on_the_way: dict[str, Step], tmp_path: Path, function: str
) -> None:
    log = str(tmp_path / "points")
    step = on_the_way["first" if function == "symlink" else "change"]
    recording = recorded.run(step, tmp_path, "--log", log, "--blind", function, trace="all")
    missed, _ = uncounted(recording.calls, recording.root, log)
    assert missed
