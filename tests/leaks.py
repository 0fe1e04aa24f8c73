"""Looks for secrets where none may be: in files, databases, outputs, and in what /proc shows of every process.

    python tests/leaks.py FOLDER... < values        one value a line; exit code 1 where one is found
    python tests/leaks.py --processes < values      JSON, one line; looks at processes until its input ends, then says
                                                    what it saw, as JSON. `Watcher` starts it, on any machine

A value is looked for as it is, as a part of a URL, escaped as in JSON, in hex, and in base64 at each of the three places
where it may begin in a longer text. Packed contents are unpacked. Imports nothing of fleet, and of others nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Bytes: anything shorter is found everywhere by chance, and its search proves nothing."""
_NAP = 0.004
_LOOKS = "looking\n"
_LARGE = 4 * 1024 * 1024
_PACKED = (b"\x1f\x8b", b"SQLite format 3\0")
_BREAK = re.compile(rb"[\r\n]+[ \t]*")


@dataclass(frozen=True, order=True)
class Leak:
    """`where` is a path, a process, or the name of an output; `form` says how the secret stood there."""

    where: str
    secret: str
    form: str


class Search:
    """For `values`, by name. Raises ValueError for one that is too short to be looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.forms: dict[bytes, tuple[str, str]] = {}
        for name, value in values.items():
            if len(value.encode()) < SHORTEST:
                raise ValueError(f"{name}: {SHORTEST} bytes are the least that can be looked for")
            for form, text in forms_of(value):
                self.forms.setdefault(text, (name, form))

    def in_bytes(self, data: bytes, where: str) -> set[Leak]:
        """Also where it is broken into lines, as base64 is."""
        joined = data.translate(None, b"\r\n") if b"\0" in data else _BREAK.sub(b"", data) if b"\n" in data else b""
        return {Leak(where, *said) for form, said in self.forms.items() if form in data or form in joined}

    def in_file(self, path: Path) -> set[Leak]:
        """As it is, and unpacked; also in its name. A file that went meanwhile holds nothing."""
        with suppress(FileNotFoundError):
            if path.stat().st_size > _LARGE and not self._may_be_in(path):
                return self.in_bytes(os.fsencode(path), str(path))
            data = path.read_bytes()
            texts = [os.fsencode(path), data, *unpacked(path, data)]
            return {leak for text in texts for leak in self.in_bytes(text, str(path))}
        return set()

    def _may_be_in(self, path: Path) -> bool:
        """grep reads large files faster; in these a copy that is broken into lines is not found."""
        with path.open("rb") as file:
            if file.read(16).startswith(_PACKED):
                return True
        words = b"\n".join(max(form.split(b"\n"), key=len) for form in self.forms)
        argv = ["grep", "-qaF", "-f", "-", "--", str(path)]
        return subprocess.run(argv, input=words, check=False, env={"LC_ALL": "C"}).returncode != 1

    def in_folders(self, *folders: Path) -> set[Leak]:
        """Every regular file below, however hidden; links are followed nowhere, and their targets are looked at."""
        return {leak for folder in folders for path in files_below(folder) for leak in self._at(path)}

    def _at(self, path: Path) -> set[Leak]:
        if path.is_symlink():
            return self.in_bytes(os.fsencode(path) + b"\0" + os.fsencode(path.readlink()), str(path))
        return self.in_file(path)


def forms_of(value: str) -> Iterator[tuple[str, bytes]]:
    """Each way of writing a value that is looked for, the same text at most once."""
    data = value.encode()
    yield "plain", data
    for text in {quote(data, safe=""), quote(data), quote_plus(data)} - {value}:
        yield "URL", text.encode()
        yield "URL", re.sub("%..", lambda found: found[0].lower(), text).encode()
    for text in {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]} - {value}:
        yield "escaped", text.encode()
    yield "hex", data.hex().encode()
    for shift in range(3):
        yield from ((f"base64, at {shift}", text) for text in base64_within(data, shift))


def base64_within(data: bytes, shift: int) -> Iterator[bytes]:
    """What is the same in every base64 of a text in which `data` begins `shift` bytes after a multiple of three."""
    coded = base64.b64encode(bytes(shift) + data)
    first = (shift * 8 + 5) // 6
    last = (shift + len(data)) * 8 // 6
    text = coded[first:last]
    yield text
    if url := text.translate(bytes.maketrans(b"+/", b"-_")):
        yield url


def unpacked(path: Path, data: bytes) -> Iterator[bytes]:
    """What is inside a file that is packed: gzip, or a database of SQLite whose cells may be packed by zlib."""
    if data.startswith(_PACKED[0]):
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(data)
    if data.startswith(_PACKED[1]):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for cell in (cell for row in connection.execute(f'SELECT * FROM "{table}"') for cell in row):
                    text = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield text
                    with suppress(zlib.error):
                        yield zlib.decompress(text)


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files and links, in no order; a path that is one of these itself. A folder that goes meanwhile is left."""
    if folder.is_symlink() or folder.is_file():
        yield folder
        return
    for parent, folders, names in os.walk(folder):
        for name in [*names, *(one for one in folders if (Path(parent) / one).is_symlink())]:
            path = Path(parent) / name
            with suppress(FileNotFoundError):
                if stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFLNK):
                    yield path


def readable_by_others(leaks: Iterable[Leak]) -> set[str]:
    """Of leaks in files, those in files that not only their owner may read."""
    found = set()
    for leak in leaks:
        with suppress(FileNotFoundError):
            if Path(leak.where).lstat().st_mode & 0o077:
                found.add(leak.where)
    return found


@dataclass
class Processes:
    """A context in which /proc/*/cmdline and environ of every process are looked at again and again.

    `rounds` and `seen` tell how closely: how often all were looked at, and how many processes there were; `longest` is the
    longest time between two looks, in seconds.
    """

    search: Search
    leaks: set[Leak] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    rounds: int = 0
    longest: float = 0.0
    _known: set[bytes] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(_NAP):
            self.look()
            now = time.monotonic()
            self.longest, before = max(self.longest, now - before), now

    def look(self) -> None:
        for pid in (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
            for part in ("cmdline", "environ"):
                with suppress(OSError):  # it has ended, or is another user's
                    text = Path(f"/proc/{pid}/{part}").read_bytes()
                    self.seen.add(pid)
                    if text in self._known:  # most are as they were at the look before
                        continue
                    self._known.add(text)
                    self.leaks |= self.search.in_bytes(text, f"/proc/{pid}/{part} of {text.split(bytes(1))[0]!r}")
        self.rounds += 1


class Watcher:
    """A context in which a program of its own looks at the processes of a machine; `command` starts a Python there that
    has this file. After it, `leaks`, `rounds`, `seen` (a count) and `longest` are those of `Processes`.
    """

    def __init__(self, command: list[str], values: Mapping[str, str]) -> None:
        self._command, self._values = [*command, "--processes"], values

    def __enter__(self) -> Self:
        self._running = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._running.stdin is not None
        self._running.stdin.write(json.dumps(self._values) + "\n")
        self._running.stdin.flush()
        assert self._running.stdout is not None
        assert self._running.stdout.readline() == _LOOKS, "it does not look"
        return self

    def __exit__(self, *_: object) -> None:
        said, _ = self._running.communicate(timeout=30)
        found = json.loads(said)
        self.leaks = {Leak(*leak) for leak in found["leaks"]}
        self.rounds, self.seen, self.longest = found["rounds"], found["seen"], found["longest"]


def watch_processes() -> int:
    with Processes(Search(json.loads(sys.stdin.readline()))) as watched:
        watched.look()
        print(_LOOKS, end="", flush=True)
        sys.stdin.read()
    leaks = sorted((leak.where, leak.secret, leak.form) for leak in watched.leaks)
    print(json.dumps({"leaks": leaks, "rounds": watched.rounds, "seen": len(watched.seen), "longest": watched.longest}))
    return 0


def main(folders: list[str]) -> int:
    if folders == ["--processes"]:
        return watch_processes()
    values = {f"line {number}": line for number, line in enumerate(sys.stdin.read().splitlines(), 1) if line}
    leaks = sorted(Search(values).in_folders(*map(Path, folders)))
    for leak in leaks:
        print(f"{leak.where}: {leak.secret}, {leak.form}")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
