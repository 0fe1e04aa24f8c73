"""DiskFolder: makes a folder hold exactly the files of a rendered project, and touches only what changed.

A folder that is new is built beside its place and renamed: it is whole or not there. In one that exists, each changed
file is written beside its place and renamed. Modes do not depend on the umask.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from fleet.adapters.disk import cannot
from fleet.errors import UsageError
from fleet.model.project import FolderReport, ProjectFile

MARK = ".rendered-by-fleet"
_MARK_TEXT = b"fleet render keeps this folder: what it did not write is removed.\n"


class DiskFolder:
    def write(self, folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
        folder = folder.absolute()
        try:
            if not folder.exists() or not any(folder.iterdir()):
                return _fresh(folder, files)
        except OSError as error:
            raise cannot("write", folder, error) from None
        if not (folder / MARK).is_file():
            raise UsageError(
                f"{folder} holds files that fleet did not write",
                "Name a new or an empty folder, or one of fleet render.",
            )
        try:
            return _Update(folder).run(files)
        except OSError as error:
            raise cannot("write", folder, error) from None


def _fresh(folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
    beside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    written = size = 0
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        writer = _Writer(beside)
        writer.put(MARK, _MARK_TEXT, 0o644)
        for file in files:
            writer.put(file.path, file.data, 0o600 if file.private else 0o644)
            written += 1
            size += len(file.data)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise cannot("write", folder, error) from None
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return FolderReport(written=written, bytes=size)


class _Writer:
    """Writes new files below `root`, making folders as they are needed."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._made: set[str] = set()
        self._folder("")

    def put(self, path: str, data: bytes, mode: int) -> None:
        parent, _, _ = path.rpartition("/")
        if parent not in self._made:
            self._folder(parent)
        handle = os.open(f"{self._root}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _write_all(handle, data)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def _folder(self, path: str) -> None:
        if path and (above := path.rpartition("/")[0]) not in self._made:
            self._folder(above)
        full = f"{self._root}/{path}" if path else self._root
        try:
            os.mkdir(full)
            os.chmod(full, 0o755)  # noqa: S103 - a project is no secret; its private files are 0600
        except FileExistsError:
            if not os.path.isdir(full) or os.path.islink(full):
                raise
        self._made.add(path)


class _Update:
    """One update of a folder that fleet wrote before."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._writer = _Writer(root)
        self._old = dict(_walk(self._root, ""))

    def run(self, files: Iterable[ProjectFile]) -> FolderReport:
        written = unchanged = size = 0
        self._old.pop(MARK, None)
        for file in files:
            known = self._old.pop(file.path, -1)
            mode = 0o600 if file.private else 0o644
            if known == len(file.data) and self._is_same(file.path, file.data, mode):
                unchanged += 1
                continue
            self._replace(file.path, file.data, mode)
            written += 1
            size += len(file.data)
        for path in self._old:
            os.unlink(f"{self._root}/{path}")
        self._drop_empty()
        return FolderReport(written=written, unchanged=unchanged, removed=len(self._old), bytes=size)

    def _is_same(self, path: str, data: bytes, mode: int) -> bool:
        handle = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.read(handle, len(data) + 1) == data and os.fstat(handle).st_mode & 0o777 == mode
        finally:
            os.close(handle)

    def _replace(self, path: str, data: bytes, mode: int) -> None:
        beside = f"{path}.{secrets.token_hex(4)}.new"
        try:
            self._writer.put(beside, data, mode)
            os.replace(f"{self._root}/{beside}", f"{self._root}/{path}")
        except OSError:
            if os.path.lexists(f"{self._root}/{beside}"):
                os.unlink(f"{self._root}/{beside}")
            raise

    def _drop_empty(self) -> None:
        """Folders that held only what is gone."""
        for emptied in sorted({path.rpartition("/")[0] for path in self._old}, key=len, reverse=True):
            path = emptied
            while path and os.path.isdir(f"{self._root}/{path}") and not os.listdir(f"{self._root}/{path}"):
                os.rmdir(f"{self._root}/{path}")
                path = path.rpartition("/")[0]


def _walk(root: str, below: str) -> Iterable[tuple[str, int]]:
    """Every file below a folder with its size; links count as files of size -1, so that they are replaced."""
    with os.scandir(f"{root}/{below}" if below else root) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
            else:
                yield path, -1 if entry.is_symlink() else entry.stat(follow_symlinks=False).st_size


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
