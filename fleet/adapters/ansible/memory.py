"""Where a run's project, variables, sockets' options and output lie while it runs: in memory (tmpfs), never on a disk.

Power that goes takes it along. A watcher takes it away when the controller and the child are both gone, however they
ended: it waits for the end of a pipe that these two hold open. What even that leaves, the batch's next run removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fleet.adapters.disk import cannot
from fleet.errors import UnavailableError, UsageError

_MOUNTS = Path("/proc/self/mountinfo")
_KINDS = frozenset({"tmpfs", "ramfs"})
_HINT = "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to a folder on one"
# In a session of its own, without the run's mark: nothing that ends a run ends it. Started in the background of a shell
# that ends at once: it is nobody's child.
_WATCH = 'exec 3<&0; (read -r _ <&3; rm -rf -- "$1") >/dev/null 2>&1 &'


def make_memory(run: Path, bases: Sequence[Path] = ()) -> Path:
    """A new private folder for a run, in place of any that an earlier attempt left. Raises UnavailableError where there is
    no file system in memory, UsageError where somebody else holds its place.
    """
    forget_memory(run)
    base = next((base for base in bases or _bases() if _is_memory(base) and os.access(base, os.W_OK)), None)
    if base is None:
        raise UnavailableError("this system has no folder in memory for what Ansible works with", _HINT)
    parent = base / _name()
    folder = parent / f"{_prefix(run)}{secrets.token_hex(4)}"
    for made in (parent, folder):
        make_owned(made)
    return folder


def memory_of(run: Path) -> Path | None:
    """The folder that a run has in memory, the newest of more; None where it has none."""
    found = _folders(run)
    return max(found, key=lambda one: one[0])[1] if found else None


def forget_memory(run: Path) -> None:
    for _, folder in _folders(run):
        shutil.rmtree(folder, ignore_errors=True)


def watch(folder: Path) -> int:
    """Starts the watcher of a folder. Gives the descriptor that keeps it waiting, in this process and in each one that
    inherits it. Raises OSError.
    """
    waiting, held = os.pipe2(os.O_CLOEXEC)
    try:
        subprocess.run(
            ["/bin/sh", "-c", _WATCH, "fleet-watcher", str(folder)],
            stdin=waiting, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, cwd="/", check=True,
            start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(waiting)
    return held


def make_owned(folder: Path) -> None:
    """A folder in a place where others may write too. Raises UsageError where it is not ours alone."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise cannot("make the folder", folder, error) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UsageError(f"{folder} is not a private folder of yours", f"remove {folder}, or set XDG_RUNTIME_DIR")


def _bases() -> Sequence[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return [Path("/dev/shm"), *([Path(runtime)] if runtime else [])]  # noqa: S108 - owner and mode are checked


def _name() -> str:
    return f"fleet-{os.geteuid()}"


def _prefix(run: Path) -> str:
    return hashlib.sha256(os.fsencode(run.absolute())).hexdigest()[:16] + "-"


def _folders(run: Path) -> list[tuple[int, Path]]:
    found: list[tuple[int, Path]] = []
    for base in _bases():
        try:
            entries = [entry for entry in os.scandir(base / _name()) if entry.name.startswith(_prefix(run))]
        except OSError:
            continue
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # its watcher may take it away right now
                found.append((entry.stat(follow_symlinks=False).st_ctime_ns, Path(entry.path)))
    return found


def _is_memory(base: Path) -> bool:
    """By the mount that holds the path: proc(5), mountinfo."""
    try:
        lines, place = _MOUNTS.read_text("utf-8", errors="replace").splitlines(), base.resolve(strict=True)
    except OSError:
        return False
    kinds = {}
    for line in lines:
        mount, _, source = line.partition(" - ")
        kinds[mount.split(" ")[4].replace("\\040", " ")] = source.split(" ")[0]
    holder = next((str(one) for one in (place, *place.parents) if str(one) in kinds), "")
    return kinds.get(holder, "") in _KINDS
