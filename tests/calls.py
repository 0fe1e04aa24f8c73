"""What a process asks of the disk, in order: a power cut spares only what was synced before it.

`watch` is called in a process of its own, which a test ends with; `read` and `unsynced` look at what it asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Call:
    """`mode` of what is created or changed, `size` of what is synced or renamed, `to` its new name, or what a link is to."""

    name: str
    path: str
    to: str = ""
    mode: int = 0
    size: int = 0


def prelude(log: Path) -> str:
    """Python that a process runs first, so that its calls are in `log`."""
    return f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.calls import watch\nwatch({str(log)!r})\n"


def read(log: Path) -> list[Call]:
    return [Call(**json.loads(line)) for line in log.read_text().splitlines()]


def watch(log: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    write, fstat, readlink = os.write, os.fstat, os.readlink

    def of(handle: int) -> str:
        return readlink(f"/proc/self/fd/{handle}")

    def full(path: Any, folder: int | None) -> str:
        text = os.fsdecode(path)
        return text if folder is None else f"{of(folder)}/{text}"

    def heard(call: Call) -> None:
        write(out, json.dumps(asdict(call)).encode() + b"\n")

    def wrap(name: str, seen: Callable[..., Call | None]) -> None:
        real = getattr(os, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            call = seen(*args, **kwargs)
            result = real(*args, **kwargs)
            if call is not None:
                heard(call)
            return result

        setattr(os, name, wrapped)

    def created(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> Call | None:
        return Call("create", full(path, dir_fd), mode=mode) if flags & os.O_CREAT else None

    def moved(old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> Call:
        size = os.stat(old, dir_fd=src_dir_fd, follow_symlinks=False).st_size
        return Call("rename", full(old, src_dir_fd), full(new, dst_dir_fd), size=size)

    def linked(old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **_: bool) -> Call:
        return Call("link", full(new, dst_dir_fd), full(old, src_dir_fd))

    def made(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> Call:
        return Call("mkdir", full(path, dir_fd), mode=mode)

    wrap("open", created)
    wrap("rename", moved)
    wrap("replace", moved)
    wrap("link", linked)
    wrap("mkdir", made)
    wrap("fsync", lambda handle: Call("fsync", of(handle), size=fstat(handle).st_size))
    wrap("fchmod", lambda handle, mode: Call("fchmod", of(handle), mode=mode))
    wrap("fchown", lambda handle, *_: Call("fchown", of(handle)))
    wrap("unlink", lambda path, dir_fd=None: Call("unlink", full(path, dir_fd)))
    wrap("rmdir", lambda path, dir_fd=None: Call("rmdir", full(path, dir_fd)))
    wrap("sync", lambda: Call("sync", ""))
    wrap("symlink", lambda _to, path, dir_fd=None: Call("symlink", full(path, dir_fd)))


def unsynced(calls: Sequence[Call], *promises: str) -> list[str]:
    """What a power cut may take although later calls build on it.

    A file is synced, whole and with its mode, before it gets its name; a second name of it is no new file. A name lasts once its folder was synced, which
    is before the next file whose name ends with one of `promises` is put in place: such a file says that all is there.
    """
    found = []
    for at, call in enumerate(calls):
        before, after = calls[:at], calls[at + 1 :]
        if call.name == "rename":
            synced = [i for i, c in enumerate(before) if (c.name, c.path, c.size) == ("fsync", call.path, call.size)]
            changed = [i for i, c in enumerate(before) if c.path == call.path and c.name in CHANGES]
            is_second_name = ("link", call.path) in {(c.name, c.path) for c in before} and not changed
            if not is_second_name and (not synced or (changed and changed[-1] > synced[-1])):
                found.append(f"{call.to}: renamed before it was synced")
        if call.name in ("rename", "mkdir", "unlink", "rmdir", "symlink"):
            folder = str(Path(call.to or call.path).parent)
            ends = [i for i, c in enumerate(after) if c.name == "rename" and c.to.endswith(promises)]
            if not any((c.name, c.path) == ("fsync", folder) for c in after[: ends[0] if ends else None]):
                found.append(f"{call.to or call.path}: {call.name}, and its folder is not synced in time")
        if call.name in ("fchmod", "fchown") and not any((c.name, c.path) == ("fsync", call.path) for c in after):
            found.append(f"{call.path}: {call.name}, and it is not synced")
    return found


CHANGES = ("create", "fchmod", "fchown")
