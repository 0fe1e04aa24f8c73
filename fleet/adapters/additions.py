"""DiskAdditions: files added to a folder, all or none.

Everything is written into a folder of its own first, so that a full disk changes nothing. Then each file gets its name by
a link, which fails where that name is taken: nothing is overwritten, not even what appears meanwhile. What fails on the
way is undone. Nothing is synced: what a power cut takes can be imported again.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fleet.adapters.disk import cannot
from fleet.model.translation import NewFile

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_PRIVATE = frozenset({"secrets", ".fleet"})


class DiskAdditions:
    def clashes(self, folder: Path, files: Sequence[NewFile]) -> list[str]:
        return sorted(file.path for file in files if os.path.lexists(folder / file.path))

    def add(self, folder: Path, files: Sequence[NewFile]) -> None:
        try:
            with ExitStack() as undo:
                _make_folders(folder, undo)
                stage = folder / f".new.{secrets.token_hex(6)}"
                stage.mkdir(mode=0o700)
                with ExitStack() as after:
                    after.callback(shutil.rmtree, stage, ignore_errors=True)
                    for at, file in enumerate(files):
                        _stage(stage / str(at), file)
                    for at, file in enumerate(files):
                        _place(stage / str(at), folder / file.path, undo)
                undo.pop_all()
        except OSError as error:
            raise cannot("write", Path(error.filename or folder), error) from None


def _stage(path: Path, file: NewFile) -> None:
    with path.open("xb") as opened:
        opened.write(file.data)
        os.fchmod(opened.fileno(), 0o600 if file.private else 0o644)


def _place(staged: Path, path: Path, undo: ExitStack) -> None:
    _make_folders(path.parent, undo)
    try:
        os.link(staged, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(staged, path)
    undo.callback(path.unlink)


def _copy(staged: Path, path: Path) -> None:
    """Where a file has one name only, as on FAT. `x`: what appeared meanwhile is not overwritten either."""
    with ExitStack() as undo, path.open("xb") as opened:
        undo.callback(path.unlink)
        opened.write(staged.read_bytes())
        os.fchmod(opened.fileno(), staged.stat().st_mode & 0o777)
        undo.pop_all()


def _make_folders(folder: Path, undo: ExitStack) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, undo)
    folder.mkdir(mode=0o700 if folder.name in _PRIVATE else 0o777)
    undo.callback(shutil.rmtree, folder, ignore_errors=True)
