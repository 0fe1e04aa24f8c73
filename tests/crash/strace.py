"""What a program asked of the kernel: recorded by strace, and read from what strace wrote.

    calls = record([sys.executable, "x.py"], log)
    calls = read(log.read_bytes())

Every text is recorded in hexadecimal (-xx), so that no name and no content can look like strace's own punctuation.
A line that is not understood, or a text that was cut off, is an error: a call that is overlooked could be the one.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LONGEST = 64 * 1024 * 1024
CHANGING = (
    "open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,copy_file_range,"
    "sendfile,splice,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utime,utimes,futimesat,utimensat,setxattr,"
    "lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr"
)
SYNCING = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"
KNOWING = "read,readv,lseek,dup,dup2,dup3,fcntl,close,chdir,fchdir,umask,clone,clone3,fork,vfork,execve,mmap"
"""What tells whose file it is, where in it, below which folder."""
TRACED = f"{CHANGING},{SYNCING},{KNOWING}"

_LINE = re.compile(rb"(\d+) +(.*)", re.DOTALL)
_CALL = re.compile(rb"(\w+)\((.*)\) += (0x[0-9a-f]+|-?\d+|\?)(?!\w)(<[^>]*>)?(\(deleted\))?(?: (E\w+))?.*", re.DOTALL)
_BEGUN = re.compile(rb"(\w+)\((.*) <unfinished \.\.\.>")
_RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_ABOUT = re.compile(rb"(\+\+\+|---) .* (\+\+\+|---)")
_HANDLE = re.compile(rb"(\d+|AT_FDCWD)<([^>]*)>(\(deleted\))?")
_MARKS = re.compile(rb"[,()\[\]{}]")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


class NotUnderstood(Exception):  # noqa: N818 - it says what is the matter
    """A line of strace's that means nothing here."""


@dataclass(frozen=True)
class Handle:
    """A descriptor as an argument, with the path that it has at the time. AT_FDCWD has number -100."""

    number: int
    path: str
    deleted: bool = False


@dataclass(frozen=True)
class Call:
    """`began` and `ended` are numbers of lines. An argument is a text (bytes), a handle, or as strace wrote it (str)."""

    pid: int
    name: str
    args: tuple[bytes | str | Handle, ...]
    result: int
    error: str
    began: int
    ended: int
    handle: Handle | None = None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_shown, self.args))}) = {self.error or self.result}"


def _shown(arg: bytes | str | Handle) -> str:
    return arg.path if isinstance(arg, Handle) else repr(arg[:40]) if isinstance(arg, bytes) else arg


def record(
    command: Sequence[str],
    log: Path,
    *,
    trace: str = TRACED,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    code: int = 0,
) -> tuple[list[Call], str]:
    """The calls and the standard output of a command, which ends with `code`."""
    quick = [] if trace == "all" else ["--seccomp-bpf"]
    strace = ["strace", "-f", "-y", "-xx", "-v", "-s", str(LONGEST), *quick, "-o", str(log), "-e", f"trace={trace}"]
    done = subprocess.run(
        [*strace, "--", *command],
        cwd=cwd, env=env, input=stdin, capture_output=True, text=True, timeout=300, check=False, umask=0o022,
    )  # fmt: skip
    assert done.returncode == code, f"ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return read(log.read_bytes()), done.stdout


def read(text: bytes) -> list[Call]:
    """In the order in which they ended."""
    calls, begun = [], {}
    for number, line in enumerate(text.splitlines()):
        if not (found := _LINE.fullmatch(line)):
            raise NotUnderstood(f"line {number + 1}: {line[:200]!r}")
        pid, rest = int(found[1]), found[2]
        if _ABOUT.fullmatch(rest):
            continue
        if half := _BEGUN.fullmatch(rest):
            begun[pid] = (number, half[1], half[2])
            continue
        began = number
        if half := _RESUMED.fullmatch(rest):
            if pid not in begun or begun[pid][1] != half[1]:
                raise NotUnderstood(f"line {number + 1}: resumes what has not begun: {line[:200]!r}")
            began, name, head = begun.pop(pid)
            rest = name + b"(" + head + half[2]
        if not (whole := _CALL.fullmatch(rest)):
            raise NotUnderstood(f"line {number + 1}: {line[:200]!r}")
        if whole[3] != b"?":  # else the process ended in it, and it has no result
            calls.append(_call(pid, whole, began, number))
    return calls


def _call(pid: int, whole: re.Match[bytes], began: int, ended: int) -> Call:
    handle = None
    result = number_of(whole[3].decode())
    if whole[4] and result >= 0:
        handle = Handle(result, _path(whole[4][1:-1]), bool(whole[5]))
    args = tuple(_argument(one) for one in split(whole[2]))
    return Call(pid, whole[1].decode(), args, result, (whole[6] or b"").decode(), began, ended, handle)


def after(calls: list[Call], later: list[Call]) -> list[Call]:
    """Calls of one recording, and then those of another one that was made later."""
    lines = calls[-1].ended + 1 if calls else 0
    return calls + [replace(call, began=call.began + lines, ended=call.ended + lines) for call in later]


def number_of(text: str) -> int:
    """As C writes numbers: strace shows a mode or a umask in octal, an address in hexadecimal."""
    digits = text.lstrip("-")
    return int(text, 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10)


def split(text: bytes) -> list[bytes]:
    """Arguments, at commas outside of brackets. Texts hold neither, being hexadecimal."""
    found, depth, start = [], 0, 0
    for mark in _MARKS.finditer(text):
        if mark[0] in b"([{":
            depth += 1
        elif mark[0] in b")]}":
            depth -= 1
        elif depth == 0:
            found.append(text[start : mark.start()].strip())
            start = mark.end()
    rest = text[start:].strip()
    return [*found, rest] if rest or found else []


def _argument(text: bytes) -> bytes | str | Handle:
    if found := _TEXT.fullmatch(text):
        return _bytes(found[1])
    if text.startswith(b'"'):
        raise NotUnderstood(f"a text that is cut off, or not in hexadecimal: {text[:80]!r}")
    if found := _HANDLE.fullmatch(text):
        number = -100 if found[1] == b"AT_FDCWD" else int(found[1])
        return Handle(number, _path(found[2]), bool(found[3]))
    return text.decode()


def _bytes(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


def _path(text: bytes) -> str:
    """Of a file, or "pipe:[7]" and the like."""
    return os.fsdecode(re.sub(rb"(?:\\x[0-9a-f]{2})+", lambda found: _bytes(found[0]), text))


def vector(text: str) -> bytes:
    """The content of an iovec, as writev has it."""
    if re.fullmatch(r'\[(\{iov_base="(\\x[0-9a-f]{2})*", iov_len=\d+\}(, )?)*\]', text) is None:
        raise NotUnderstood(f"a vector: {text[:80]}")
    return b"".join(_bytes(one.encode()) for one in re.findall(r'iov_base="([^"]*)"', text))
