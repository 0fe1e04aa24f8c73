"""Files that are whole or not there: written beside, synced, renamed, and the folder synced."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from fleet.errors import FleetError, UnavailableError, UsageError

_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_atomic(path: Path, data: bytes, mode: int = 0o600, *, sync: bool = True) -> None:
    """After a power cut `path` holds either what it held before or all of `data`. The folder must exist.

    Without `sync` the new name lasts only after `sync_folder`: for many files in one folder.
    Raises UsageError where the folder may not be written, UnavailableError for a full disk and the like.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(handle, mode)
                os.fsync(handle)
            beside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        raise cannot("write", path, error) from None


def sync_folder(folder: Path) -> None:
    """Makes what was created, renamed or removed in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, mode: int) -> None:
    """A folder, with those above it that are missing; they last. Raises OSError."""
    missing = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


def make_private_folder(folder: Path) -> None:
    """A folder that only its owner may look into, with those above it that are missing."""
    try:
        make_folder(folder, 0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise cannot("make the folder", folder, error) from None


def cannot(verb: str, path: Path, error: OSError) -> FleetError:
    message = f"cannot {verb} {path}: {error.strerror or error}"
    if error.errno in _NOT_ALLOWED:
        return UsageError(message, f"is {path.parent} yours to write?")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return UnavailableError(message, "make room and run it again: what was there before is still there")
    return UnavailableError(message)
