"""DiskFolder: exactly the project's files, only what changed, and never a half one."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.folder import MARK, DiskFolder
from fleet.errors import FleetError, UnavailableError, UsageError
from fleet.model.project import FolderReport, ProjectFile

PROJECT = (
    ProjectFile("site.yml", b"- hosts: all\n"),
    ProjectFile("bundles/a.json", b'{"digest":"b1:1"}\n'),
    ProjectFile("bundles/b.json", b'{"digest":"b1:2"}\n'),
    ProjectFile("files/ab/abc", b"\0\xff"),
    ProjectFile("known_hosts", b""),
    ProjectFile("secrets/x.yaml", b"$ANSIBLE_VAULT\n", private=True),
)
NAMES = sorted([MARK, *(file.path for file in PROJECT)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "project"
    DiskFolder().write(made, PROJECT)
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def marks(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What a write would change: inode, time and mode of everything, folders too."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        told = path.lstat()
        found[str(path.relative_to(folder))] = (told.st_ino, told.st_mtime_ns, told.st_mode)
    return found


def changed(*files: ProjectFile, without: str = "") -> list[ProjectFile]:
    """The project with these files in the place of those of their name."""
    new = {file.path: file for file in files}
    kept = [new.pop(file.path, file) for file in PROJECT if file.path != without]
    return [*kept, *new.values()]


def test_a_new_folder_is_made_with_those_above_it(folder: Path) -> None:
    assert names(folder) == NAMES
    assert {file.path: (folder / file.path).read_bytes() for file in PROJECT} == {f.path: f.data for f in PROJECT}
    assert [path.name for path in folder.parent.iterdir()] == ["project"], "nothing is left beside it"


def test_the_report_counts_the_projects_files(tmp_path: Path) -> None:
    size = sum(len(file.data) for file in PROJECT)
    assert DiskFolder().write(tmp_path / "new", PROJECT) == FolderReport(written=6, bytes=size)
    (tmp_path / "empty").mkdir()
    assert DiskFolder().write(tmp_path / "empty", PROJECT) == FolderReport(written=6, bytes=size)
    assert DiskFolder().write(tmp_path / "new", PROJECT) == FolderReport(unchanged=6)
    files = changed(ProjectFile("site.yml", b"12345"), without="known_hosts")
    assert DiskFolder().write(tmp_path / "new", files) == FolderReport(written=1, unchanged=4, removed=1, bytes=5)


def test_what_is_equal_is_not_touched(folder: Path) -> None:
    before = marks(folder)
    assert DiskFolder().write(folder, PROJECT) == FolderReport(unchanged=6)
    assert marks(folder) == before


def test_one_changed_file_is_all_that_is_touched(folder: Path) -> None:
    before = marks(folder)
    DiskFolder().write(folder, changed(ProjectFile("bundles/a.json", b'{"digest":"b1:9"}\n')))
    after = marks(folder)
    assert (folder / "bundles/a.json").read_bytes() == b'{"digest":"b1:9"}\n'
    # The folder itself held the new file for a moment.
    assert {name for name in after if after[name] != before[name]} == {".", "bundles", "bundles/a.json"}


@pytest.mark.parametrize("data", [b"- hosts: all!", b"- hosts: xxx\n", b"", b"- hosts: all\n\n"])
def test_a_file_that_was_changed_by_hand_is_put_right(folder: Path, data: bytes) -> None:
    (folder / "site.yml").write_bytes(data)
    assert DiskFolder().write(folder, PROJECT).written == 1
    assert (folder / "site.yml").read_bytes() == b"- hosts: all\n"


def test_a_mode_that_was_changed_by_hand_is_put_right(folder: Path) -> None:
    (folder / "site.yml").chmod(0o777)
    (folder / "secrets/x.yaml").chmod(0o644)
    assert DiskFolder().write(folder, PROJECT).written == 2
    assert stat.S_IMODE((folder / "site.yml").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / "secrets/x.yaml").stat().st_mode) == 0o600


def test_what_the_project_does_not_have_goes_with_its_emptied_folders(folder: Path) -> None:
    (folder / "bundles/by-hand").write_text("x")
    (folder / "old/deep/er").mkdir(parents=True)
    (folder / "old/deep/er/file").write_text("x")
    (folder / "files/own").write_text("x")
    report = DiskFolder().write(folder, changed(without="secrets/x.yaml"))
    assert report == FolderReport(unchanged=5, removed=4)
    assert names(folder) == [name for name in NAMES if name != "secrets/x.yaml"]
    assert not (folder / "old").exists()
    assert not (folder / "secrets").exists()


def test_git_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / ".git/refs").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    DiskFolder().write(tmp_path, PROJECT)
    DiskFolder().write(tmp_path, changed(without="site.yml"))
    assert (tmp_path / ".git/HEAD").read_text() == "ref: refs/heads/main\n"
    assert (tmp_path / ".git/refs").is_dir()
    assert not (tmp_path / "site.yml").exists()


def test_a_folder_with_files_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("my life")
    with pytest.raises(UsageError, match="holds files that fleet did not write") as caught:
        DiskFolder().write(tmp_path, PROJECT)
    assert "new or an empty folder" in caught.value.hint
    assert names(tmp_path) == ["thesis.tex"]
    (tmp_path / MARK).mkdir()
    with pytest.raises(UsageError):
        DiskFolder().write(tmp_path, PROJECT)


def test_an_empty_folder_keeps_its_own_mode(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    before = own.stat().st_ino
    DiskFolder().write(own, PROJECT)
    assert names(own) == NAMES
    assert (own.stat().st_ino, stat.S_IMODE(own.stat().st_mode)) == (before, 0o700)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FleetError, match="cannot write"):
            DiskFolder().write(path, PROJECT)
    assert (tmp_path / "file").read_text() == "x"


def test_a_link_to_the_folder_leads_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    DiskFolder().write(tmp_path / "link", PROJECT)
    DiskFolder().write(tmp_path / "link", changed(without="site.yml"))
    assert names(tmp_path / "real") == [name for name in NAMES if name != "site.yml"]
    assert (tmp_path / "link").is_symlink()


def test_a_link_inside_is_replaced_and_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"- hosts: all\n")
    (folder / "site.yml").unlink()
    (folder / "site.yml").symlink_to(outside)
    (folder / "stray").symlink_to(outside)
    DiskFolder().write(folder, PROJECT)
    assert names(folder) == NAMES
    assert not (folder / "site.yml").is_symlink()
    assert outside.read_bytes() == b"- hosts: all\n"


def test_a_linked_folder_inside_is_replaced_and_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "ab").mkdir(parents=True)
    (outside / "precious").write_text("x")
    for path in sorted((folder / "files").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "files").rmdir()
    (folder / "files").symlink_to(outside)
    DiskFolder().write(folder, PROJECT)
    assert names(folder) == NAMES
    assert not (folder / "files").is_symlink()
    assert sorted(path.name for path in outside.iterdir()) == ["ab", "precious"]
    assert list((outside / "ab").iterdir()) == []


def test_a_file_where_a_folder_is_to_be_and_the_other_way_round(folder: Path) -> None:
    files = changed(ProjectFile("bundles", b"x"), ProjectFile("site.yml/deep/er", b"y"), without="bundles/a.json")
    files = [file for file in files if file.path not in {"bundles/b.json", "site.yml"}]
    DiskFolder().write(folder, files)
    assert (folder / "bundles").read_bytes() == b"x"
    assert (folder / "site.yml/deep/er").read_bytes() == b"y"
    DiskFolder().write(folder, PROJECT)
    assert names(folder) == NAMES


def test_a_pipe_inside_does_not_hang(folder: Path) -> None:
    (folder / "known_hosts").unlink()
    os.mkfifo(folder / "known_hosts")
    DiskFolder().write(folder, PROJECT)
    assert (folder / "known_hosts").is_file()


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o077, 0o777):
        made = tmp_path / f"{umask:o}"
        # A child: the umask is the whole process's.
        child = os.fork()
        if child == 0:
            os.umask(umask)
            try:
                DiskFolder().write(made, PROJECT)
                DiskFolder().write(made, changed(ProjectFile("bundles/a.json", b"new"), ProjectFile("more/x", b"")))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        modes = {str(path.relative_to(made)): stat.S_IMODE(path.stat().st_mode) for path in made.rglob("*")}
        assert stat.S_IMODE(made.stat().st_mode) == 0o755
        assert {name for name, mode in modes.items() if mode == 0o600} == {"secrets/x.yaml"}
        assert {name for name, mode in modes.items() if mode == 0o755} == {
            "bundles", "files", "files/ab", "secrets", "more",
        }  # fmt: skip
        assert set(modes.values()) == {0o600, 0o644, 0o755}
        assert (made / "more/x").read_bytes() == b""


class BrokenError(Exception):
    pass


def _broken(*files: ProjectFile) -> Iterator[ProjectFile]:
    yield from files
    raise BrokenError


def test_a_fault_in_the_middle_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(BrokenError):
        DiskFolder().write(tmp_path / "new", _broken(*PROJECT))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(BrokenError):
        DiskFolder().write(tmp_path / "empty", _broken(*PROJECT))
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_fault_in_the_middle_leaves_an_old_folder_as_it_was(folder: Path) -> None:
    before = {name: mark for name, mark in marks(folder).items() if name != "."}
    with pytest.raises(BrokenError):
        DiskFolder().write(folder, _broken(ProjectFile("site.yml", b"new"), ProjectFile("added/x", b"new")))
    assert {name: mark for name, mark in marks(folder).items() if name != "."} == before


@pytest.mark.parametrize("size", [50_000, 500_000])
def test_a_full_disk_changes_nothing(tmp_path: Path, size: int) -> None:
    """The limit on a file's size stands in for the disk: it is the same write that fails."""
    folder = tmp_path / "project"
    DiskFolder().write(folder, PROJECT)
    before = {name: mark for name, mark in marks(folder).items() if name != "."}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))
    try:
        large = changed(ProjectFile("bundles/a.json", b"new"), ProjectFile("site.yml", b"x" * size))
        for target in (folder, tmp_path / "new"):
            with pytest.raises(UnavailableError, match=f"cannot write {target}: File too large"):
                DiskFolder().write(target, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, was)
    assert {name: mark for name, mark in marks(folder).items() if name != "."} == before
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


READ_ONLY = """
import os, sys
from pathlib import Path
from fleet.adapters.folder import DiskFolder
from fleet.errors import UsageError
from fleet.model.project import ProjectFile
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    DiskFolder().write(Path(sys.argv[1]), [ProjectFile("site.yml", b"new")])
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["new", "empty", "old"])
def test_a_folder_that_may_not_be_written(tmp_path: Path, name: str) -> None:
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    (tmp_path / "empty").mkdir()
    DiskFolder().write(tmp_path / "old", PROJECT)
    before = names(tmp_path)
    for path in (tmp_path, tmp_path / "empty", tmp_path / "old"):
        path.chmod(0o555)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", READ_ONLY, tmp_path / name], capture_output=True, text=True, check=False
        )
    finally:
        for path in (tmp_path, tmp_path / "empty", tmp_path / "old"):
            path.chmod(0o755)
    assert ran.stderr == ""
    assert ran.stdout.startswith(f"cannot write {tmp_path / name}: Permission denied")
    assert names(tmp_path) == before


KILLED = """
import sys
from pathlib import Path
from fleet.adapters.folder import DiskFolder
from fleet.model.project import ProjectFile
word = sys.argv[2].encode()
print("ready", flush=True)
DiskFolder().write(Path(sys.argv[1]), [ProjectFile(f"{at % 7}/{at}", word * 20_000) for at in range(400)])
"""


def test_a_crash_leaves_whole_files_and_the_next_run_puts_all_right(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    files = {word: [ProjectFile(f"{at % 7}/{at}", word * 20_000) for at in range(400)] for word in (b"a", b"b")}
    DiskFolder().write(folder, files[b"a"])
    for step in range(4):
        word = b"ba"[step % 2 : step % 2 + 1]
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, folder, word.decode()], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(0.004 * (step + 1))
            child.kill()
        whole = {b"a" * 20_000, b"b" * 20_000}
        held = [(folder / file.path).read_bytes() for file in files[b"a"]]
        assert set(held) <= whole
    DiskFolder().write(folder, files[b"b"])
    assert names(folder) == sorted([MARK, *(file.path for file in files[b"b"])])
    assert all((folder / file.path).read_bytes() == b"b" * 20_000 for file in files[b"b"])


def test_killed_before_everything_is_on_disk_nothing_is_changed(folder: Path) -> None:
    before = {name: mark for name, mark in marks(folder).items() if name != "."}
    child = os.fork()
    if child == 0:
        files = (os.kill(os.getpid(), signal.SIGKILL) if at == 50 else ProjectFile(f"x/{at}", b"x") for at in range(99))
        DiskFolder().write(folder, files)  # type: ignore[arg-type]  # it does not outlive what is no file
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    after = marks(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) - {"."} == {
        ".rendered-by-fleet.new",
        *(f".rendered-by-fleet.new/{at}" for at in range(50)),
    }
    assert stat.S_IMODE(after[".rendered-by-fleet.new"][2]) == 0o700
    assert DiskFolder().write(folder, PROJECT) == FolderReport(unchanged=6)
    assert names(folder) == NAMES
