"""Disks that are full, and disks that may not be written: mounts of a few kilobytes, each in a namespace of its own.

The mounts end with the command that they are made for, whatever happens to it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import BIN, SECONDS, Repository, environment

SCRIPT = """\
set -eu
mount -t tmpfs -o "size=$1" none "$2"
[ -z "$3" ] || sh -c "$3"
[ "$4" = rw ] || mount -o remount,ro "$2"
mount_point=$2
shift 4
code=0
"$@" || code=$?
find "$mount_point" -mindepth 1 ! -type d ! -path '*/.fleet/*' -printf 'left %P\\n'
exit $code
"""


@dataclass(frozen=True)
class Left:
    """What a command ended with, what it said, and the files that it left on the small disk, but for `.fleet`."""

    code: int
    out: str
    err: str
    files: set[str]


@dataclass(frozen=True)
class Disk:
    """A disk of `size` bytes at `folder`; `prepared` is shell that runs on it first."""

    folder: Path
    size: str
    mode: str = "rw"
    prepared: str = ""

    def run(self, *arguments: str, cwd: Path) -> Left:
        self.folder.mkdir(parents=True, exist_ok=True)
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT, "disk"]
        words = [self.size, str(self.folder), self.prepared, self.mode, str(BIN / "fleet"), *arguments]
        done = subprocess.run(
            [*shell, *words], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        files = {line.removeprefix("left ") for line in lines if line.startswith("left ")}
        said = "\n".join(line for line in lines if not line.startswith("left "))
        return Left(done.returncode, said, done.stderr, files)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("disks") / "two-sites", "two-sites")
    made.fleet("lock")
    made.generate_secrets()
    made.commit("Two sites")
    return made


def test_a_render_onto_a_full_disk_leaves_nothing(repository: Repository, tmp_path: Path):
    left = Disk(tmp_path / "disk", "100k").run("render", str(tmp_path / "disk/out"), cwd=repository.folder)

    assert (left.code, left.out, left.files) == (5, "", set())
    assert left.err.splitlines() == [
        f"error: cannot write {tmp_path}/disk/out: No space left on device",
        "hint: make room and run it again: what was there before is still there",
    ]


def test_an_init_onto_a_full_disk_leaves_nothing(tmp_path: Path):
    left = Disk(tmp_path / "disk", "40k").run(
        "init", str(tmp_path / "disk/shop"), "--example", "two-sites", cwd=tmp_path
    )

    assert (left.code, left.out, left.files) == (5, "", set())
    assert "No space left on device" in left.err


@pytest.mark.parametrize("size", ["8k", "72k"])  # less than the schema; all but the last files
def test_an_import_onto_a_full_disk_leaves_nothing(size: str, tmp_path: Path):
    hosts = "".join(f"[group{at}]\nhost{at}\n[group{at}:vars]\nx={'y' * 800}\n" for at in range(12))
    (tmp_path / "hosts").write_text(hosts)

    left = Disk(tmp_path / "disk", size).run(
        "import", "ansible", "hosts", "--out", str(tmp_path / "disk/shop"), cwd=tmp_path
    )

    assert (left.code, left.out, left.files) == (5, "", set())
    assert "No space left on device" in left.err


@pytest.mark.parametrize("size", ["140k", "160k", "220k", "300k"])  # no rollout; its first step; some of its batches
def test_a_controller_whose_disk_is_full_stops_before_what_it_could_not_remember(
    repository: Repository, tmp_path: Path, size: str
):
    """The disk is the controller's alone. What Ansible works with is in memory, and needs none of it."""
    nodes = tmp_path / "nodes"
    vault = ["--vault-password-file", str(repository.password)]

    left = Disk(nodes / ".fleet", size).run("apply", "--yes", "--sandbox", str(nodes), *vault, cwd=repository.folder)

    assert left.code == 5, left
    assert "the disk is full" in left.err
    assert "hint: Free some space" in left.err
    started = {line for line in left.out.splitlines() if line.startswith("started ")}
    touched = {path.name for path in nodes.iterdir()} - {".fleet"}
    assert {name for name in touched if any(name in line for line in started)} == touched
    assert touched or size != "300k", "else nothing is shown"
    assert not touched or size != "140k"


def test_a_node_whose_disk_is_full_fails_alone_and_keeps_what_it_had(repository: Repository, tmp_path: Path):
    """The disk is turin-1-a's own; the other site comes through."""
    nodes = tmp_path / "nodes"
    disk = Disk(
        nodes / "turin-1-a", "24k", prepared=f"mkdir -p {nodes}/turin-1-a/etc && echo old >{nodes}/turin-1-a/etc/motd"
    )
    vault = ["--vault-password-file", str(repository.password)]

    left = disk.run("apply", "--yes", "--sandbox", str(nodes), *vault, cwd=repository.folder)

    assert left.code == 4, left
    failed = [line for line in left.out.splitlines() if line.startswith("failed")]
    assert len(failed) == 1
    assert failed[0].startswith("failed turin-1-a: ")
    assert "No space left on device" in failed[0]
    assert any(line.endswith(" 4 applied, 1 failed, 1 blocked") for line in left.out.splitlines())
    assert left.files <= {"etc/motd", "etc/machine-id"} | {
        name for name in left.files if name.startswith("var/lib/fleet/")
    }


def test_a_disk_that_may_not_be_written(repository: Repository, tmp_path: Path):
    (tmp_path / "hosts").write_text("one\n")
    disk = Disk(tmp_path / "disk", "400k", mode="ro")
    vault = ["--vault-password-file", str(repository.password)]
    attempts = {
        "render": ["render", str(tmp_path / "disk/out")],
        "init": ["init", str(tmp_path / "disk/shop")],
        "import": ["import", "ansible", str(tmp_path / "hosts"), "--out", str(tmp_path / "disk/shop")],
        "plan": ["plan", "--out", str(tmp_path / "disk/plan.json")],
        "apply": ["apply", "--yes", "--sandbox", str(tmp_path / "disk/nodes"), *vault],
    }
    for verb, arguments in attempts.items():
        left = disk.run(*arguments, cwd=repository.folder)
        assert (left.code, left.files) == (2, set()), (verb, left)
        assert str(tmp_path / "disk") in left.err, verb
        assert "Read-only file system" in left.err, verb
        assert "hint: " in left.err, verb
