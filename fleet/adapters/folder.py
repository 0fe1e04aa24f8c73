"""DiskFolder: makes a folder hold exactly the files of a rendered project, and touches only what changed.

A folder that is new is built beside its place and renamed: it is whole or not there. In one that exists, what is new
is written into a folder of its own first; only when all of it is on disk is it renamed into its place, file by file.
So a fault in a template or a full disk changes nothing, and after a crash every file is an old or a new one, whole.
Modes do not depend on the umask. `.git` is never touched: rendered projects are kept in git, too.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.adapters.disk import cannot
from fleet.errors import UsageError
from fleet.model.project import FolderReport, ProjectFile

MARK = ".rendered-by-fleet"
_MARK_TEXT = b"fleet render keeps this folder: what it did not write is removed.\n"
_STAGE = f"{MARK}.new"
_KEPT = ".git"
_APART = frozenset({_KEPT, _STAGE})


class DiskFolder:
    def write(self, folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
        try:
            folder = folder.resolve()
            if not folder.exists():
                return _fresh(folder, files)
            held = {entry.name for entry in folder.iterdir()} - {_KEPT}
            if held and not (folder / MARK).is_file():
                raise UsageError(
                    f"{folder} holds files that fleet did not write",
                    "Name a new or an empty folder, or one of fleet render.",
                )
            return _Update(folder).run(files)
        except OSError as error:
            raise cannot("write", folder, error) from None


def _fresh(folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
    beside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    written = size = 0
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        writer = _Writer(beside)
        writer.put(MARK, _MARK_TEXT, 0o644)
        for file in files:
            writer.put(file.path, file.data, _mode(file))
            written += 1
            size += len(file.data)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return FolderReport(written=written, bytes=size)


def _mode(file: ProjectFile) -> int:
    return 0o600 if file.private else 0o644


class _Writer:
    """Writes new files below `root`, making folders as they are needed."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._made: set[str] = set()
        self.folder("")

    def put(self, path: str, data: bytes, mode: int) -> None:
        self.folder(path.rpartition("/")[0])
        handle = os.open(f"{self._root}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _write_all(handle, data)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def folder(self, path: str) -> None:
        """Makes the folder and those above it. Raises FileExistsError where something else has its place."""
        if path in self._made:
            return
        if path:
            self.folder(path.rpartition("/")[0])
        full = f"{self._root}/{path}" if path else self._root
        try:
            os.mkdir(full)
            os.chmod(full, 0o755)  # noqa: S103 - a project is no secret; its private files are 0600
        except FileExistsError:
            if not os.path.isdir(full) or os.path.islink(full):
                raise
        self._made.add(path)


class _Update:
    """One update of a folder that exists: staged whole, then put in place."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._writer = _Writer(root)
        self._old = dict(_walk(self._root, ""))
        self._staged: list[str] = []
        self._stage = f"{self._root}/{_STAGE}"
        self._stager: _Writer | None = None
        self._removed = 0

    def run(self, files: Iterable[ProjectFile]) -> FolderReport:
        """Raises OSError, and whatever `files` raises; before anything is put in place the folder is as it was."""
        is_ours = self._old.pop(MARK, None) is not None
        self._drop_stage()
        unchanged = size = 0
        try:
            if not is_ours:
                self._put(ProjectFile(MARK, _MARK_TEXT))
            for file in files:
                if self._old.get(file.path) == len(file.data) and self._is_same(file):
                    unchanged += 1
                else:
                    self._put(file)
                    size += len(file.data)
                self._old.pop(file.path, None)
        except BaseException:
            self._drop_stage()
            raise
        self._place()
        self._remove()
        written = len(self._staged) if is_ours else len(self._staged) - 1
        return FolderReport(written=written, unchanged=unchanged, removed=self._removed, bytes=size)

    def _put(self, file: ProjectFile) -> None:
        if self._stager is None:
            self._stager = _Writer(Path(self._stage))
            os.chmod(self._stage, 0o700)
        self._stager.put(str(len(self._staged)), file.data, _mode(file))
        self._staged.append(file.path)

    def _is_same(self, file: ProjectFile) -> bool:
        handle = os.open(f"{self._root}/{file.path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            is_mode = os.fstat(handle).st_mode & 0o777 == _mode(file)
            return is_mode and os.read(handle, len(file.data) + 1) == file.data
        finally:
            os.close(handle)

    def _place(self) -> None:
        for at, path in enumerate(self._staged):
            above = path.rpartition("/")[0]
            try:
                self._writer.folder(above)
            except FileExistsError:
                self._clear(above)
                self._writer.folder(above)
            full = f"{self._root}/{path}"
            if os.path.isdir(full) and not os.path.islink(full):
                self._clear_folder(path)
            os.replace(f"{self._stage}/{at}", full)
        if self._staged:
            os.rmdir(self._stage)

    def _clear(self, folder: str) -> None:
        """Removes a file or a link that stands where a folder, or one above it, is to be."""
        for path in (*_above(folder), folder):
            if self._old.pop(path, None) is not None:
                os.unlink(f"{self._root}/{path}")
                self._removed += 1

    def _clear_folder(self, path: str) -> None:
        """Removes a folder that stands where a file is to be."""
        shutil.rmtree(f"{self._root}/{path}")
        below = [old for old in self._old if old.startswith(f"{path}/")]
        for old in below:
            del self._old[old]
        self._removed += len(below)

    def _remove(self) -> None:
        """Files that the project does not have, and folders that held only those."""
        for path in self._old:
            os.unlink(f"{self._root}/{path}")
        self._removed += len(self._old)
        for emptied in sorted({path.rpartition("/")[0] for path in self._old}, key=len, reverse=True):
            path = emptied
            while path and os.path.isdir(f"{self._root}/{path}") and not os.listdir(f"{self._root}/{path}"):
                os.rmdir(f"{self._root}/{path}")
                path = path.rpartition("/")[0]

    def _drop_stage(self) -> None:
        """What this run, or one that was killed, did not put in place."""
        if os.path.islink(self._stage):
            os.unlink(self._stage)
        elif os.path.exists(self._stage):
            shutil.rmtree(self._stage)


def _above(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _walk(root: str, below: str) -> Iterable[tuple[str, int]]:
    """Every file below a folder with its size; what is no plain file has -1, so that it is replaced unread."""
    with os.scandir(f"{root}/{below}" if below else root) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if path in _APART:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
            else:
                is_plain = entry.is_file(follow_symlinks=False)
                yield path, entry.stat(follow_symlinks=False).st_size if is_plain else -1


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
