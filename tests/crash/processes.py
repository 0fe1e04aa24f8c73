"""What a traced process knows of its files: descriptors with their offsets, its working folder, its umask."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.crash.strace import Call, Handle, NotUnderstood

FORKS = ("clone", "clone3", "fork", "vfork")
OPENS = ("open", "openat", "creat")


@dataclass
class Open:
    """An open file: descriptors that were duplicated, or inherited, share it."""

    path: str
    flags: str
    mode: int
    offset: int = 0

    @property
    def append(self) -> bool:
        return "O_APPEND" in self.flags


@dataclass
class Process:
    cwd: str
    umask: int = 0o022
    files: dict[int, Open] = field(default_factory=dict)


@dataclass(frozen=True)
class Kin:
    """Who made a process, or a thread, which shares its maker's files."""

    maker: int
    is_thread: bool


def kin(calls: Iterable[Call]) -> dict[int, Kin]:
    """Told beforehand: a child is at work before the call that made it has ended."""
    forks = (call for call in calls if call.name in FORKS and call.result > 0)
    return {
        call.result: Kin(call.pid, "CLONE_FILES" in "".join(arg for arg in call.args if isinstance(arg, str)))
        for call in forks
    }


class Processes:
    """By the numbers that strace gives: those of threads. A child begins with what its maker has then."""

    def __init__(self, cwd: str, kin: dict[int, Kin]) -> None:
        self._cwd, self._kin = cwd, kin
        self._known: dict[int, Process] = {}

    def _of(self, pid: int) -> Process:
        if pid not in self._known:
            self._known[pid] = self._new(pid)
        return self._known[pid]

    def _new(self, pid: int) -> Process:
        if (made := self._kin.get(pid)) is None:
            return Process(self._cwd)
        maker = self._of(made.maker)
        return maker if made.is_thread else Process(maker.cwd, maker.umask, dict(maker.files))

    def umask(self, pid: int) -> int:
        return self._of(pid).umask

    def feed(self, call: Call) -> Open | None:
        """The file that this call has opened, if it opened one."""
        mine = self._of(call.pid)
        if call.result < 0:
            return None
        if call.name in OPENS:
            mine.files[call.result] = _opened(call)
            return mine.files[call.result]
        if call.name in FORKS:
            self._of(call.result)
        elif call.name == "close":
            mine.files.pop(_number(call.args[0]), None)
        elif call.name in ("dup", "dup2", "dup3") or (call.name == "fcntl" and "F_DUPFD" in str(call.args[1])):
            if (known := mine.files.get(_number(call.args[0]))) is not None:
                mine.files[call.result] = known
        elif call.name in ("read", "readv"):
            self.forward(call)
        elif call.name == "lseek" and (known := mine.files.get(_number(call.args[0]))) is not None:
            known.offset = call.result
        elif call.name == "chdir":
            mine.cwd = self.absolute(call.pid, call.args[0], None)
        elif call.name == "fchdir" and isinstance(call.args[0], Handle):
            mine.cwd = call.args[0].path
        elif call.name == "umask":
            mine.umask = int(str(call.args[0]), 8)
        return None

    def opened(self, call: Call) -> Open:
        """The file that a call writes to. Raises NotUnderstood where nobody saw it opened: its offset is not known."""
        handle = call.args[0]
        known = self._of(call.pid).files.get(_number(handle))
        if known is None:
            raise NotUnderstood(f"nobody saw this opened: {call}")
        return known

    def forward(self, call: Call) -> None:
        if (known := self._of(call.pid).files.get(_number(call.args[0]))) is not None:
            known.offset += call.result

    def absolute(self, pid: int, path: bytes | str | Handle, folder: bytes | str | Handle | None) -> str:
        text = os.fsdecode(path) if isinstance(path, bytes) else ""
        if not text:
            raise NotUnderstood(f"a path that is none: {path!r}")
        base = folder.path if isinstance(folder, Handle) else self._of(pid).cwd
        return os.path.normpath(os.path.join(base, text))


def _opened(call: Call) -> Open:
    args = call.args[1:] if call.name == "openat" else call.args
    flags = "O_WRONLY|O_CREAT|O_TRUNC" if call.name == "creat" else str(args[1])
    mode = int(str(args[-1]), 8) if "O_CREAT" in flags else 0
    if call.handle is None:
        raise NotUnderstood(f"not modelled: {call}")
    return Open(call.handle.path, flags, mode)


def _number(arg: bytes | str | Handle) -> int:
    return arg.number if isinstance(arg, Handle) else int(str(arg))
