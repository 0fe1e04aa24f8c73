"""What the controller writes survives a power cut: the order of its system calls, taken from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.folder import DiskFolder
from fleet.model.project import ProjectFile
from tests.calls import Call, prelude, read, unsynced

LOCK = "secrets/secrets.lock"


def calls(tmp_path: Path, code: str) -> list[Call]:
    log = tmp_path / "calls"
    subprocess.run([sys.executable, "-c", prelude(log) + code], cwd=tmp_path, check=True, timeout=60)
    return read(log)


def written(tmp_path: Path, more: str = "") -> list[tuple[str, str, int]]:
    """Calls of one write_atomic; the name beside is told as NEW."""
    folder = tmp_path / "held"
    folder.mkdir()
    code = f"from pathlib import Path\nfrom fleet.adapters.disk import *\nwrite_atomic(Path({str(folder / 'x')!r}), b'abc'{more})"
    seen = calls(tmp_path, code)
    names = {str(folder / "x"): "x", str(folder): "FOLDER"}
    return [(call.name, names.get(call.path, "NEW"), call.mode or call.size) for call in seen]


def test_a_file_is_private_until_it_is_whole_then_synced_then_named_then_its_folder_is_synced(tmp_path: Path) -> None:
    seen = written(tmp_path, ", 0o644")
    assert [call[:2] for call in seen] == [
        ("create", "NEW"), ("fchmod", "NEW"), ("fsync", "NEW"), ("rename", "NEW"), ("fsync", "FOLDER"),
    ]  # fmt: skip
    assert [call[2] for call in seen[:4]] == [0o600, 0o644, 3, 3]


def test_one_of_many_files_leaves_its_folder_to_be_synced_once(tmp_path: Path) -> None:
    assert [call[:2] for call in written(tmp_path, ", sync=False")] == [
        ("create", "NEW"), ("fchmod", "NEW"), ("fsync", "NEW"), ("rename", "NEW"),
    ]  # fmt: skip


FOLDERS = "from pathlib import Path\nfrom fleet.adapters.disk import *\nmake_private_folder(Path({!r}))\n"
DATABASE = (
    "from pathlib import Path\nfrom fleet.adapters.sqlite import Database\nwith Database(Path({!r})).writing(): pass\n"
)


@pytest.mark.parametrize("code", [FOLDERS, DATABASE], ids=["a batch's", "the journal's"])
def test_a_new_folder_lasts_and_those_above_it_that_are_new(tmp_path: Path, code: str) -> None:
    """What is synced in a folder that has no name on the disk is as good as lost."""
    seen = [(call.name, call.path) for call in calls(tmp_path, code.format(str(tmp_path / "a/b/c")))]
    for folder in ("a", "a/b", "a/b/c"):
        made = seen.index(("mkdir", str(tmp_path / folder)))
        assert ("fsync", str((tmp_path / folder).parent)) in seen[made:], folder


def test_vault_files_last_before_the_lock_names_what_is_in_them(tmp_path: Path) -> None:
    seen = calls(
        tmp_path,
        f"from pathlib import Path\nfrom fleet.adapters.vault import VaultSecrets\n"
        f"store = VaultSecrets(Path({str(tmp_path)!r}), lambda: b'pw')\n"
        f"store.write({{'secrets/lyon.yaml': {{'a': '1'}}, 'secrets/deep/x.yaml': {{'b': '2'}}}})\n"
        f"store.write({{'secrets/lyon.yaml': {{'a': '3'}}}})\n",
    )
    placed = [call.to.removeprefix(f"{tmp_path}/") for call in seen if call.name == "rename"]
    assert placed == [
        "secrets/fleet.yaml", "secrets/deep/x.yaml", "secrets/lyon.yaml", LOCK, "secrets/lyon.yaml", LOCK,
    ]  # fmt: skip
    at_lock = [at for at, call in enumerate(seen) if call.to.endswith(LOCK)]
    synced = {call.path for call in seen[: at_lock[0]] if call.name == "fsync"}
    assert {f"{tmp_path}/secrets", f"{tmp_path}/secrets/deep"} <= synced
    # Whether the folder's own name lasts is git's to say: a commit names it.
    files = [call for call in seen if call.name != "mkdir"]
    assert unsynced(files, LOCK) == []
    assert {call.mode for call in seen if call.name == "create"} == {0o600}
    assert {call.mode for call in seen if call.name == "mkdir"} == {0o700}


def test_a_new_project_has_no_name_until_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    seen: list[bool] = []

    def files() -> Iterator[ProjectFile]:
        for name in ("a", "b"):
            yield ProjectFile(name, b"x")
            seen.append(folder.exists())

    DiskFolder().write(folder, files())
    assert seen == [False, False]
    assert sorted(path.name for path in folder.iterdir()) == [".rendered-by-fleet", "a", "b"]
