"""Processes told apart, and ended with all that they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from fleet.adapters.ansible.process import MARK, end_marked, identity_of, is_alive, marked


def start(mark: str, code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code], env={MARK: mark}, start_new_session=True, stdout=subprocess.PIPE
    )


def test_a_process_is_itself_and_no_later_one_with_its_pid() -> None:
    mine = identity_of(os.getpid())
    assert mine is not None
    assert is_alive(mine)
    assert not is_alive(msgspec.structs.replace(mine, started=mine.started + 1))
    assert not is_alive(msgspec.structs.replace(mine, boot="another"))
    assert identity_of(2**22 + 1) is None


def test_a_dead_process_that_nobody_reaped_is_dead() -> None:
    process = subprocess.Popen(["true"])
    deadline = time.monotonic() + 30
    while identity_of(process.pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert Path(f"/proc/{process.pid}").exists()
    process.wait()


def test_a_name_with_spaces_and_brackets_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a ) S 1 2 3"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([odd, "60"])
    found = identity_of(process.pid)
    mine = identity_of(os.getpid())
    process.kill()
    process.wait()
    assert found is not None
    assert mine is not None
    assert found.started >= mine.started


def test_everything_with_the_mark_ends_also_in_other_sessions_and_without_parents(tmp_path: Path) -> None:
    mark = str(tmp_path / "run")
    # A child that leaves its session, whose parent is gone, and that does not listen to SIGTERM.
    orphan = (
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    os.write(1, b'x'); time.sleep(300)\n"
        "time.sleep(300)"
    )
    process = start(mark, orphan)
    other = start(mark + "-other", "import time; time.sleep(300)")
    assert process.stdout is not None
    assert process.stdout.read(1) == b"x"
    assert len(marked(mark)) == 2
    assert marked(mark)[0].pid == process.pid  # the oldest first
    process.kill()
    process.wait()
    assert len(marked(mark)) == 1

    assert end_marked(mark, grace=0.2) == 1

    assert marked(mark) == []
    assert other.poll() is None
    other.kill()
    other.wait()
    for one in (process, other):
        assert one.stdout is not None
        one.stdout.close()


def test_a_process_that_listens_is_not_forced(tmp_path: Path) -> None:
    mark = str(tmp_path)
    polite = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('x', flush=True)\ntime.sleep(300)"
    )
    process = start(mark, polite)
    assert process.stdout is not None
    process.stdout.readline()
    assert end_marked(mark, grace=20) == 1
    assert process.wait() == 7
    process.stdout.close()


def test_nothing_to_end_takes_no_time(tmp_path: Path) -> None:
    assert end_marked(str(tmp_path)) == 0
