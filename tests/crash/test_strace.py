"""Lines as strace writes them, and what they mean; what is not understood is never passed over."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.crash.lines import calls, written
from tests.crash.strace import Handle, NotUnderstood, after, read, record, split, vector

RAW = (
    rb"4711 openat(AT_FDCWD<\x2f\x74>, "
    rb'"\x61\x2c\x22\x29\x20\x3d\x20\x35", O_WRONLY|O_CREAT, 0600) = 3<\x2f\x74\x2f\x61\x2c\x22\x29\x20\x3d\x20\x35>'
)


def test_a_name_that_looks_like_punctuation_of_straces_own() -> None:
    (call,) = read(RAW)
    assert (call.pid, call.name, call.result, call.error) == (4711, "openat", 3, "")
    assert call.args == (Handle(-100, "/t"), b'a,") = 5', "O_WRONLY|O_CREAT", "0600")
    assert call.handle == Handle(3, '/t/a,") = 5')


def test_a_call_that_failed() -> None:
    (call,) = calls('unlinkat(5</t>, "x", 0) = -1 ENOENT (No such file or directory)')
    assert (call.result, call.error, call.handle) == (-1, "ENOENT", None)
    assert str(call) == "unlinkat(/t, b'x', 0) = ENOENT"


def test_a_file_that_has_no_name_any_more() -> None:
    (call,) = calls('write(3</t/x>(deleted), "abc", 3) = 3')
    assert call.args[0] == Handle(3, "/t/x", deleted=True)


def test_calls_of_two_processes_at_once_come_in_the_order_in_which_they_ended() -> None:
    first, second = calls(
        """
        7 fsync(3</t/x> <unfinished ...>
        8 write(4</t/y>, "b", 1 <unfinished ...>
        8 <... write resumed>) = 1
        7 <... fsync resumed>) = 0
        """
    )
    assert (first.pid, first.name, first.began, first.ended) == (8, "write", 1, 2)
    assert (second.pid, second.name, second.began, second.ended) == (7, "fsync", 0, 3)
    assert second.args == (Handle(3, "/t/x"),)


def test_what_is_no_call_is_left_out() -> None:
    text = """
    --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=8, si_uid=0, si_status=0} ---
    8 +++ exited with 0 +++
    9 +++ killed by SIGKILL +++
    exit_group(0) = ?
    write(3</t/x>, "a", 1 <unfinished ...>) = ?
    fsync(3</t/x>) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
    """
    assert calls(text) == []


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("umask(022) = 022", 18),
        ("mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0a1c000000", 0x7F0A1C000000),
        ("lseek(3</t/x>, 0, SEEK_CUR) = 0", 0),
        ("clone3({flags=CLONE_VM|CLONE_FILES, exit_signal=0} => {parent_tid=[9]}, 88) = 9", 9),
        ('execve("/bin/sh", ["sh", "-c"], ["A=1"]) = 0', 0),
        ("wait4(9, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 9", 9),
        ("poll([{fd=3</t/x>, events=POLLIN}], 1, 50) = 0 (Timeout)", 0),
        ("getpid() = 7", 7),
    ],
)
def test_results(line: str, result: int) -> None:
    (call,) = calls(line)
    assert call.result == result


@pytest.mark.parametrize(
    "line",
    [
        rb'7 write(3<\x2f\x74>, "\x61"..., 4096) = 4096',
        rb'7 write(3<\x2f\x74>, "a", 1) = 1',
        b"7 <... fsync resumed>) = 0",
        b"7 ????",
        b"strace: Process 9 attached",
    ],
    ids=["cut off", "not in hexadecimal", "never begun", "no call", "of something else"],
)
def test_what_is_not_understood_is_an_error(line: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read(line)


def test_arguments_are_split_outside_of_brackets() -> None:
    assert split(b"[{a, b}, c], d, {e=[f, (g, h)]}") == [b"[{a, b}, c]", b"d", b"{e=[f, (g, h)]}"]
    assert split(b"") == []


def test_what_writev_writes() -> None:
    (call,) = calls('writev(3</t/x>, [{iov_base="ab", iov_len=2}, {iov_base="c", iov_len=1}], 2) = 3')
    assert vector(str(call.args[1])) == b"abc"
    with pytest.raises(NotUnderstood):
        vector("0x7ffc")


def test_a_second_recording_comes_after_the_first() -> None:
    one = calls("fsync(3</t/x>) = 0\ngetpid() = 7")
    joined = after(one, one)
    assert [(call.began, call.ended) for call in joined] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_real_program(tmp_path: Path) -> None:
    """A name with a quote, a bracket and an end of a line; text that is none; another process."""
    odd = tmp_path / 'a"> b\n'
    code = f"import os, subprocess\nopen({str(odd)!r}, 'wb').write(bytes(range(256)))\nsubprocess.run(['true'])\nprint('x')"
    seen, said = record([sys.executable, "-c", code], tmp_path / "log", trace="openat,write,execve")
    written_to = [call for call in seen if call.name == "write" and call.args[0] == Handle(3, str(odd))]
    assert [call.args[1] for call in written_to] == [bytes(range(256))]
    assert any(call.name == "execve" and call.pid != written_to[0].pid for call in seen)
    assert said == "x\n"


def test_lines_for_tests_are_as_strace_writes_them() -> None:
    assert written('4711 openat(AT_FDCWD</t>, "a", O_RDONLY) = 3</t/a>') == (
        rb'4711 openat(AT_FDCWD<\x2f\x74>, "\x61", O_RDONLY) = 3<\x2f\x74\x2f\x61>'
    )
