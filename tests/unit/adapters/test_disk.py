"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from fleet.adapters.disk import cannot, make_private_folder, write_atomic
from fleet.errors import FleetError, UnavailableError, UsageError
from tests.unit.adapters.small_disk import small_files


def test_a_file_is_replaced_whole_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    path.write_text("old")
    inode = path.stat().st_ino
    before = os.umask(0o077)
    try:
        write_atomic(path, b"new", 0o644)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_ino != inode
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    path.write_text("old")
    with small_files(), pytest.raises(FleetError, match=r"cannot write .*/fleet\.lock: File too large"):
        write_atomic(path, b"x" * 2000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.ENOSPC, UnavailableError, "make room and run it again: what was there before is still there"),
        (errno.EDQUOT, UnavailableError, "make room and run it again: what was there before is still there"),
        (errno.EACCES, UsageError, "is /srv/fleet yours to write?"),
        (errno.EROFS, UsageError, "is /srv/fleet yours to write?"),
        (errno.EIO, UnavailableError, ""),
    ],
)
def test_what_the_disk_refuses_is_told_with_the_mend(number: int, kind: type[FleetError], hint: str) -> None:
    error = cannot("write", Path("/srv/fleet/fleet.lock"), OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert error.message == f"cannot write /srv/fleet/fleet.lock: {os.strerror(number)}"
    assert error.hint == hint


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"cannot write .*: No such file or directory"):
        write_atomic(tmp_path / "none" / "x", b"x")


def test_a_private_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    folder.chmod(0o755)
    make_private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises((UsageError, UnavailableError), match="cannot make the folder"):
        make_private_folder(tmp_path / "file")
