"""What a run works with is in memory, private, and gone when nobody is left who needs it, however they ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.adapters.ansible.memory import forget_memory, make_memory, memory_of, watch
from fleet.errors import UnavailableError, UsageError


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "runs" / "7f3c-1"
    yield folder
    forget_memory(folder)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def file_system(folder: Path) -> str:
    done = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_folder_that_goes_while_it_is_looked_for_is_none(run: Path) -> None:
    """As when the watcher of an earlier run of the same name takes it away."""
    base = make_memory(run)
    comes_and_goes = "for n in range(20000): os.mkdir(sys.argv[1]); os.rmdir(sys.argv[1])"
    argv = [sys.executable, "-c", f"import os, sys\n{comes_and_goes}", f"{base}-again"]
    with subprocess.Popen(argv) as other:
        looks = 0
        while other.poll() is None:
            assert memory_of(run) in {base, Path(f"{base}-again")}
            looks += 1
    assert looks > 100


def test_the_folder_is_in_memory_and_private(run: Path) -> None:
    folder = make_memory(run)

    assert file_system(folder) == "tmpfs"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)] == [0o700, 0o700]
    assert memory_of(run) == folder
    assert memory_of(run.with_name("other")) is None
    assert not run.exists(), "nothing of it is on the disk"


def test_a_second_attempt_begins_with_nothing_of_the_first(run: Path) -> None:
    first = make_memory(run)
    (first / "left").write_text("over")

    second = make_memory(run)

    assert (first.exists(), list(second.iterdir()), memory_of(run)) == (False, [], second)


def test_a_disk_is_not_taken_for_memory(run: Path, tmp_path: Path) -> None:
    if file_system(tmp_path) == "tmpfs":
        pytest.skip("this machine's temporary files are in memory")
    with pytest.raises(UnavailableError, match="no folder in memory") as caught:
        make_memory(run, [tmp_path])
    assert "mount a tmpfs" in caught.value.hint


def test_a_place_that_somebody_else_prepared_is_refused(run: Path, tmp_path: Path) -> None:
    base = Path("/dev/shm") / f"test-{os.getpid()}"
    base.mkdir()
    try:
        (base / f"fleet-{os.geteuid()}").symlink_to(tmp_path)
        with pytest.raises(UsageError, match="is not a private folder of yours"):
            make_memory(run, [base])
        (base / f"fleet-{os.geteuid()}").unlink()
        (base / f"fleet-{os.geteuid()}").mkdir(mode=0o755)
        with pytest.raises(UsageError, match="is not a private folder of yours"):
            make_memory(run, [base])
    finally:
        subprocess.run(["rm", "-rf", base], check=True)
    assert list(tmp_path.iterdir()) == []


def test_it_goes_when_the_last_who_holds_it_is_killed(run: Path) -> None:
    """This process stands for the controller, the other one for the child: both hold the same pipe."""
    folder = make_memory(run)
    (folder / "project").mkdir()
    (folder / "project" / "vars").write_text("x")
    held = watch(folder)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[held])
    os.close(held)
    time.sleep(0.5)
    assert folder.is_dir(), "one of them still runs"

    child.send_signal(signal.SIGKILL)
    child.wait()

    until(lambda: not folder.exists())


def test_it_stays_as_long_as_the_controller_needs_it(run: Path) -> None:
    folder = make_memory(run)
    held = watch(folder)
    subprocess.run(["true"], pass_fds=[held], check=True)
    time.sleep(0.5)
    assert folder.is_dir()

    os.close(held)

    until(lambda: not folder.exists())
