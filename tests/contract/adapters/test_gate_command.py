"""LocalCommands with real programs: they end, and all that they started ends with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet.adapters.gates import LocalCommands
from fleet.adapters.gates.command import LOG_BYTES, TAIL_BYTES
from fleet.model.inquiry import CommandEnd, CommandOrder
from fleet.testing.contracts.gates import CommandsContract
from tests.contract.adapters.web_server import until

ROOT = Path(__file__).parents[3]
# Away from its parent, its session and its environment, and deaf to SIGTERM: a daemon that does not want to be found.
DAEMON = """\
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execve(sys.executable, [sys.executable, '-c', '''
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], 'w').write(str(__import__('os').getpid()))
time.sleep(600)
''', sys.argv[1]], {})
    os._exit(0)
deadline = time.time() + 30
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    assert time.time() < deadline
    time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    return made


@pytest.fixture
def commands(folder: Path, tmp_path: Path) -> LocalCommands:
    return LocalCommands(folder, tmp_path / ".fleet/gates")


class TestLocalCommands(CommandsContract):
    @pytest.fixture
    def good(self) -> Sequence[str]:
        return ["true"]

    @pytest.fixture
    def bad(self) -> Sequence[str]:
        return ["sh", "-c", "exit 3"]

    @pytest.fixture
    def absent(self) -> Sequence[str]:
        return ["./no-such-program"]

    @pytest.fixture
    def endless(self) -> Sequence[str]:
        return ["sleep", "600"]


def run(commands: LocalCommands, *words: str, stdin: bytes = b"{}\n", seconds: float = 30) -> CommandEnd:
    return commands.run(CommandOrder(words, stdin, seconds, "7f3c-w0-after-1"))


def script(folder: Path, text: str, name: str = "smoke.sh", mode: int = 0o755) -> str:
    (folder / name).write_text(text)
    (folder / name).chmod(mode)
    return f"./{name}"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_it_runs_in_the_folder_with_its_words_as_they_are(commands: LocalCommands, folder: Path) -> None:
    """No shell looks at them."""
    program = script(folder, '#!/bin/sh\npwd; printf "%s|" "$@"; cat\n')
    end = run(commands, program, "a b", "$HOME", "*", "; rm -rf /", stdin=b'{"wave":"pilot"}\n')
    assert (end.code, end.tail) == (0, f'{folder}\na b|$HOME|*|; rm -rf /|{{"wave":"pilot"}}\n')


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("#!/bin/sh\n", 0o644, "permission denied"),
        ("no program\n", 0o755, "exec format error"),
        ("#!/no/such/shell\n", 0o755, "no such file or directory"),
    ],
)
def test_what_cannot_be_run(commands: LocalCommands, folder: Path, text: str, mode: int, reason: str) -> None:
    end = run(commands, script(folder, text, mode=mode))
    assert (end.code, end.reason) == (None, f"it cannot be run: {reason}")


def test_a_word_that_no_program_can_be_given(commands: LocalCommands) -> None:
    end = run(commands, "echo", "a\0b")
    assert (end.code, end.reason) == (None, "it cannot be run: embedded null byte")


def test_a_folder_that_has_gone(tmp_path: Path) -> None:
    end = run(LocalCommands(tmp_path / "gone", tmp_path / "logs"), "true")
    assert (end.code, end.reason) == (None, "it cannot be run: no such file or directory")


def test_a_signal_is_told(commands: LocalCommands) -> None:
    assert run(commands, "sh", "-c", "kill -SEGV $$").code == -signal.SIGSEGV


def test_nobody_has_to_read_what_is_told(commands: LocalCommands) -> None:
    assert run(commands, "true", stdin=b"x" * 5_000_000).code == 0
    assert run(commands, "wc", "-c", stdin=b"x" * 5_000_000).tail == "5000000\n"


def test_of_much_output_the_end_is_kept(commands: LocalCommands) -> None:
    began = time.monotonic()
    end = run(commands, "sh", "-c", "yes 0123456789 | head -c 30000000; echo; echo the end >&2")
    assert time.monotonic() - began < 20
    assert (end.code, len(end.tail)) == (0, TAIL_BYTES)
    assert end.tail.endswith("\nthe end\n")
    log = Path(end.log)
    assert (log.stat().st_size, log.stat().st_mode & 0o777) == (LOG_BYTES, 0o600)
    assert log.name == "7f3c-w0-after-1.log"
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_where_nothing_is_written_there_is_no_log(commands: LocalCommands, tmp_path: Path) -> None:
    assert run(commands, "true").log == ""
    assert not (tmp_path / ".fleet").exists()


def test_old_logs_go(commands: LocalCommands, tmp_path: Path) -> None:
    logs = tmp_path / ".fleet/gates"
    logs.mkdir(parents=True)
    for at in range(250):
        (logs / f"{at:03d}.log").write_text("old")
        os.utime(logs / f"{at:03d}.log", (at, at))
    run(commands, "echo", "new")
    names = sorted(path.name for path in logs.iterdir())
    assert (len(names), names[0], names[-1]) == (200, "051.log", "7f3c-w0-after-1.log")


def test_what_opens_vaults_is_not_in_its_environment(commands: LocalCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "FLEET_VAULT_PASSWORD",
        "FLEET_VAULT_PASSWORD_FILE",
        "ANSIBLE_VAULT_PASSWORD_FILE",
        "ANSIBLE_BECOME_PASS",
    ):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("SMOKE_URL", "http://x")
    said = run(commands, "env").tail.splitlines()
    assert "SMOKE_URL=http://x" in said
    assert [line for line in said if "hunter2" in line] == []


def test_it_gets_nothing_of_ours_but_three_files(commands: LocalCommands) -> None:
    end = run(commands, sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])")
    assert end.tail == "['0', '1', '2']\n"


# What it leaves behind


def test_a_daemon_that_keeps_its_output_open_holds_nobody_up(commands: LocalCommands, tmp_path: Path) -> None:
    """And it does not stay: neither a session of its own, nor an empty environment, nor deafness keeps it."""
    began = time.monotonic()
    end = run(commands, sys.executable, "-c", DAEMON, str(tmp_path / "pid"))
    assert (end.code, end.reason, time.monotonic() - began < 15) == (0, "", True)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_forks_that_hang_end_with_it(commands: LocalCommands, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = f"for i in 1 2 3; do (trap '' TERM; echo $BASHPID >> {pids}; while :; do sleep 1; done) & done; wait"
    end = run(commands, "bash", "-c", hanging, seconds=1.5)
    assert (end.code, end.is_late, end.reason) == (None, True, "it did not end within 1.5 s")
    assert end.seconds < 10
    found = [int(line) for line in pids.read_text().split()]
    assert [is_alive(pid) for pid in found] == [False] * 3


def test_who_ends_when_it_is_asked_to_may_tidy_up(commands: LocalCommands, tmp_path: Path) -> None:
    tidy = f"trap 'touch {tmp_path}/tidy; exit 0' TERM; while :; do sleep 0.1; done"
    end = run(commands, "bash", "-c", tidy, seconds=0.7)
    assert (end.is_late, end.code) == (True, None)
    assert (tmp_path / "tidy").exists()


def test_one_that_goes_on_making_children(commands: LocalCommands) -> None:
    end = run(commands, "bash", "-c", "trap '' TERM; while :; do sleep 60 & sleep 0.01; done", seconds=0.5)
    assert (end.is_late, end.seconds < 15) == (True, True)
    assert not [pid for pid in _sleeping("60") if is_alive(pid)]


def _sleeping(seconds: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


CONTROLLER = """\
import sys
from pathlib import Path
from fleet.adapters.gates import LocalCommands
from fleet.model.inquiry import CommandOrder
LocalCommands(Path(sys.argv[1]), Path(sys.argv[1])).run(CommandOrder(tuple(sys.argv[2:]), b"", 600, "x"))
"""


@pytest.mark.parametrize("who", ["controller", "keeper"])
def test_it_does_not_outlive_who_started_it(folder: Path, tmp_path: Path, who: str) -> None:
    """kill -9, of the controller or of the keeper in between."""
    pid_file = tmp_path / "pid"
    words = ["bash", "-c", f"echo $$ $PPID > {pid_file}; exec sleep 601"]
    controller = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(folder), *words], cwd=ROOT)
    try:
        until(lambda: pid_file.exists() and len(pid_file.read_text().split()) == 2)
        command, keeper = map(int, pid_file.read_text().split())
        assert is_alive(command)
        os.kill(controller.pid if who == "controller" else keeper, signal.SIGKILL)
        until(lambda: not is_alive(command))
        until(lambda: not is_alive(keeper))
    finally:
        controller.kill()
        controller.wait()


def test_a_keeper_that_was_ended_is_told(commands: LocalCommands, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    end = run(commands, "bash", "-c", f"echo so far; echo $PPID > {pid_file}; kill -9 $PPID; sleep 600")
    assert (end.code, end.reason, end.tail) == (None, "somebody else ended it", "so far\n")


def test_no_file_is_left_open(commands: LocalCommands) -> None:
    run(commands, "true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for words in (["true"], ["./no-such-program"], ["sh", "-c", "exit 3"]):
        run(commands, *words)
    run(commands, "sleep", "600", seconds=0.2)
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


def test_json_is_what_it_reads(commands: LocalCommands) -> None:
    told = json.dumps({"nodes": [{"name": "lyon-1"}]}).encode()
    reading = "import json, sys; print(json.load(sys.stdin)['nodes'][0]['name'])"
    assert run(commands, sys.executable, "-c", reading, stdin=told).tail == "lyon-1\n"
