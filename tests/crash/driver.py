"""Runs fleet_bundle.py as it is, counts its fault points, and kills the process at one of them.

    python3 driver.py [--fatal N] [--log FILE] [--blind FUNCTION] [--mutant NAME] fleet_bundle.py ARGUMENT...

A fault point is the moment before a call that changes the file system, syncs it, or starts a program; half way through
each write; and the moment after a program has started. `--fatal N` is SIGKILL at the Nth. `--log` gets a line for each.
`--blind` leaves one function of `os` uncounted. A mutant breaks one promise, so that tests can show that they would notice.

The standard library and nothing else: it also runs on hosts.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.util
import io
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

CHANGES = (
    "mkdir", "rmdir", "unlink", "remove", "rename", "replace", "symlink", "link", "mknod", "mkfifo", "truncate",
    "ftruncate", "posix_fallocate", "write", "writev", "pwrite", "pwritev", "sendfile", "copy_file_range", "splice",
    "chmod", "fchmod", "lchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr",
)  # fmt: skip
SYNCS = ("fsync", "fdatasync", "sync")
DROP = "drop-fsync-"


class Points:
    """Counts. At the `fatal` one the process is killed; `log` is a descriptor that is told of each."""

    def __init__(self, fatal: int = 0, log: int = -1) -> None:
        self.count, self.fatal, self.log = 0, fatal, log
        self.tell = os.write

    def reach(self, what: str) -> None:
        if self.is_last(what):
            os.kill(os.getpid(), signal.SIGKILL)

    def is_last(self, what: str) -> bool:
        self.count += 1
        if self.log >= 0:
            self.tell(self.log, f"{self.count} {what}\n".encode())
        return self.count == self.fatal


class Torn(io.FileIO):
    """A file whose writes are two fault points each: before, and when half of it is written."""

    points: Points

    def write(self, data: Any) -> int:
        self.points.reach("write")
        view = memoryview(data).cast("B")
        if self.points.is_last("half of a write"):
            super().write(view[: len(view) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(view)

    def truncate(self, size: int | None = None) -> int:
        self.points.reach("truncate")
        return super().truncate(size)


def arm(points: Points, names: tuple[str, ...] = CHANGES + SYNCS) -> None:
    """From here on this process counts. `names` are the functions of `os` that are counted, if they exist here."""
    for name in names:
        if hasattr(os, name):
            setattr(os, name, counted(points, name))
    arm_open(points)
    arm_files(points)
    arm_programs(points)


def counted(points: Points, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        points.reach(name)
        return real(*args, **kwargs)

    return wrapped


def arm_open(points: Points) -> None:
    real = os.open

    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC):
            points.reach("open")
        return real(path, flags, *args, **kwargs)

    os.open = opened  # type: ignore[assignment]


def arm_files(points: Points) -> None:
    """os.fdopen and open for writing: what Python writes for them is no function of `os`."""
    torn = type("Torn", (Torn,), {"points": points})

    def wrap(real: Callable[..., Any], *, creates: bool) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set("wax+"):
                return real(file, mode, buffering, *args, **kwargs)
            if creates:
                points.reach("open")
            raw = torn(file, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8")

        return opened

    os.fdopen = wrap(os.fdopen, creates=False)
    builtins.open = wrap(builtins.open, creates=True)  # type: ignore[assignment]


def arm_programs(points: Points) -> None:
    class Counted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, args: Any, *more: Any, **kwargs: Any) -> None:
            points.reach("start of a program")
            super().__init__(args, *more, **kwargs)
            points.reach("a program that runs")

    subprocess.Popen = Counted  # type: ignore[misc]


# ---- mutants


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


def without_fsync(_module: ModuleType) -> None:
    os.fsync = lambda _handle: None


def without_folder_fsync(_module: ModuleType) -> None:
    real = os.fsync
    os.fsync = lambda handle: None if is_folder(handle) else real(handle)  # type: ignore[arg-type]


def rename_before_fsync(_module: ModuleType) -> None:
    """A file is synced, but only after it has its name."""
    fsync, rename = os.fsync, os.rename
    os.fsync = lambda handle: fsync(handle) if is_folder(handle) else None  # type: ignore[arg-type]

    def renamed(old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        handle = os.open(new, os.O_RDONLY, dir_fd=dst_dir_fd)
        fsync(handle)
        os.close(handle)

    os.rename = renamed  # type: ignore[assignment]


def write_in_place(module: ModuleType) -> None:
    """The temp has the name of the file itself."""
    module.temp_name = lambda name: name  # type: ignore[attr-defined]


def record_first(module: ModuleType) -> None:
    """The first record claims the digest, and not only the last one."""
    real = module.Apply.write_record

    def written(self: Any, partial: bool, *args: Any, **kwargs: Any) -> None:  # noqa: FBT001 - as it is called
        real(self, False, *args, **kwargs)

    module.Apply.write_record = written


def keeps_temps(module: ModuleType) -> None:
    """What a crashed run left is not taken away."""
    module.clean_up = lambda *_: None  # type: ignore[attr-defined]


def forgets_units(module: ModuleType) -> None:
    """The record of a run on its way does not say which units wait."""
    real = module.Apply.look_at_all

    def looked(self: Any) -> None:
        self.record.pop("pending", None)
        real(self)

    module.Apply.look_at_all = looked


def without_originals(module: ModuleType) -> None:
    module.keep_original = lambda _tree, _path: None  # type: ignore[attr-defined]


def without_log(module: ModuleType) -> None:
    module.Apply.log = lambda _self: None


def without_settling(module: ModuleType) -> None:
    """What a killed run has done is not synced."""
    module.settle = lambda *_: None  # type: ignore[attr-defined]


MUTANTS: dict[str, Callable[[ModuleType], None]] = {
    "no-fsync": without_fsync,
    "no-folder-fsync": without_folder_fsync,
    "rename-before-fsync": rename_before_fsync,
    "in-place": write_in_place,
    "record-first": record_first,
    "keeps-temps": keeps_temps,
    "forgets-units": forgets_units,
    "no-originals": without_originals,
    "no-log": without_log,
    "no-settling": without_settling,
}


def drop_one_fsync(number: int) -> None:
    real, seen = os.fsync, [0]

    def synced(handle: int) -> None:
        seen[0] += 1
        if seen[0] != number:
            real(handle)

    os.fsync = synced  # type: ignore[assignment]


def mutate(module: ModuleType, name: str) -> None:
    """`name` is one of MUTANTS, or drop-fsync-N for the Nth fsync."""
    if name.startswith(DROP):
        drop_one_fsync(int(name.removeprefix(DROP)))
    elif name:
        MUTANTS[name](module)


# ---- a program of its own


def load(path: str) -> ModuleType:
    """The module, without a trace on the disk."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("fleet_bundle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fatal", type=int, default=0)
    parser.add_argument("--log", default="")
    parser.add_argument("--blind", default="")
    parser.add_argument("--mutant", default="")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    module = load(options.module)
    mutate(module, options.mutant)
    if options.log or options.fatal:
        log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if options.log else -1
        arm(Points(options.fatal, log), tuple(name for name in CHANGES + SYNCS if name != options.blind))
    return int(module.alone(options.arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
