"""DiskAdditions: all files or none, and nothing overwritten."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters import additions
from fleet.adapters.additions import DiskAdditions
from fleet.errors import FleetError, UnavailableError, UsageError
from fleet.model.translation import NewFile
from tests.unit.adapters.small_disk import small_files

FILES = (
    NewFile("fleet.yaml", b"a\n"),
    NewFile("sites/lyon.yaml", b"b\n"),
    NewFile("secrets/group_vars/all.yaml", b"c\n", private=True),
    NewFile(".fleet/schema.json", b"{}\n"),
)


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_in_a_folder_that_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "shop"

    DiskAdditions().add(folder, FILES)

    assert held(folder) == {file.path: file.data for file in FILES}
    assert [mode(folder / file.path) for file in FILES] == [0o644, 0o644, 0o600, 0o644]
    assert [mode(folder / path) for path in ("sites", "secrets", ".fleet")] == [0o755, 0o700, 0o700]
    assert sorted(path.name for path in folder.iterdir()) == [".fleet", "fleet.yaml", "secrets", "sites"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "paris.yaml").write_text("mine\n")

    DiskAdditions().add(tmp_path, FILES)

    assert held(tmp_path) == {"sites/paris.yaml": b"mine\n", **{file.path: file.data for file in FILES}}


def test_clashes_are_files_folders_and_links(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").symlink_to("nowhere")
    (tmp_path / "sites" / "lyon.yaml").mkdir(parents=True)

    assert DiskAdditions().clashes(tmp_path, FILES) == ["fleet.yaml", "sites/lyon.yaml"]
    assert DiskAdditions().clashes(tmp_path / "absent", FILES) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten_and_all_is_undone(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "group_vars").mkdir(parents=True)
    (tmp_path / "secrets" / "group_vars" / "all.yaml").write_text("mine\n")

    with pytest.raises(FleetError, match="File exists"):
        DiskAdditions().add(tmp_path, FILES)

    assert held(tmp_path) == {"secrets/group_vars/all.yaml": b"mine\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["secrets"]


def test_a_file_where_a_folder_is_to_be(tmp_path: Path) -> None:
    (tmp_path / "sites").write_text("in the way\n")

    with pytest.raises(UnavailableError, match=r"cannot write .*sites"):
        DiskAdditions().add(tmp_path, FILES)

    assert held(tmp_path) == {"sites": b"in the way\n"}


def test_what_does_not_fit_leaves_nothing_not_even_the_folder(tmp_path: Path) -> None:
    with small_files(), pytest.raises(UnavailableError, match="cannot write"):
        DiskAdditions().add(tmp_path / "shop", [*FILES, NewFile("big", b"x" * 2000)])

    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link
    links: list[str] = []

    def link(source: str, target: str) -> None:
        if len(links) == 2:
            raise KeyboardInterrupt
        links.append(str(target))
        real(source, target)

    monkeypatch.setattr(additions.os, "link", link)
    with pytest.raises(KeyboardInterrupt):
        DiskAdditions().add(tmp_path / "shop", FILES)

    assert len(links) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(_source: str, _target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(additions.os, "link", link)
    DiskAdditions().add(tmp_path / "one", FILES)
    (tmp_path / "two" / ".fleet").mkdir(parents=True)
    (tmp_path / "two" / ".fleet" / "schema.json").write_text("mine")
    with pytest.raises(FleetError, match="File exists"):
        DiskAdditions().add(tmp_path / "two", FILES)

    assert held(tmp_path / "one") == {file.path: file.data for file in FILES}
    assert mode(tmp_path / "one" / "secrets/group_vars/all.yaml") == 0o600
    assert held(tmp_path / "two") == {".fleet/schema.json": b"mine"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot write"):
        DiskAdditions().add(tmp_path, FILES)
    tmp_path.chmod(0o700)
