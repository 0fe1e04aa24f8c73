"""Stops a process of `fleet` at one of its points, for somebody else to kill it there. Nothing of the product knows of it.

It is the text of a `sitecustomize`, so each Python that inherits PYTHONPATH runs it first: the controller, its children,
Ansible, and its modules in a sandbox. KILLS_LOG is a file to which every point adds a line, KILLS_AT is the point to stop at
(`artifact after 3`), KILLS_RUN is a word for the lines. Points, each before and after:

- commit: a transaction of state.db
- intent, pid, artifact: the rename that puts intent.json, child.json or done.json of a batch in its place
- spawn: a child is started; with the living processes that carry the mark of its batch at that moment
- ansible: the child starts ansible-playbook
- answer: the child adds what a node answered to results.jsonl
- record: fleet_bundle puts a node's record in its place, the first one that claims nothing, and the last one

The standard library and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHILD = "fleet.adapters.ansible.child"
PAPERS = {"intent.json": "intent", "child.json": "pid", "done.json": "artifact", "record.json": "record"}


def reach(kind: str, when: str, **more: Any) -> None:
    """Adds the line, and stops the whole process where this is the one."""
    handle = os.open(os.environ["KILLS_LOG"], os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # controller and children count together
        with open(handle, "rb", closefd=False) as file:
            lines = [json.loads(line) for line in file]
        run = os.environ["KILLS_RUN"]
        number = 1 + sum((line["run"], line["kind"], line["when"]) == (run, kind, when) for line in lines)
        is_last = os.environ.get("KILLS_AT") == f"{kind} {when} {number}"
        line = {"run": run, "kind": kind, "when": when, "number": number, "pid": os.getpid(), "stops": is_last, **more}
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)
    if is_last:
        signal.raise_signal(signal.SIGSTOP)  # to this very thread: with kill(2) it could go on for a moment


@contextmanager
def point(kind: str, **more: Any) -> Iterator[None]:
    reach(kind, "before", **more)
    yield
    reach(kind, "after", **more)


def size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def arm_commits() -> None:
    """`wal` is the size of the log before and after: a transaction that nobody counted would show there."""
    real = sqlite3.connect

    class Connection(sqlite3.Connection):
        wal = ""

        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if not self.wal or sql.strip().upper() != "COMMIT":
                return super().execute(sql, *arguments)
            reach("commit", "before", wal=size_of(self.wal))
            cursor = super().execute(sql, *arguments)
            reach("commit", "after", wal=size_of(self.wal))
            return cursor

    def connect(database: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = real(database, *arguments, **{**named, "factory": Connection})
        if os.path.basename(os.fspath(database)) == "state.db":
            connection.wal = f"{os.fspath(database)}-wal"  # type: ignore[attr-defined]
        return connection

    sqlite3.connect = connect  # type: ignore[assignment]


def arm_renames() -> None:
    """However a file gets its name."""

    def armed(name: str) -> None:
        real = getattr(os, name)

        def wrapped(source: Any, target: Any, **named: Any) -> None:
            folder, base = os.path.split(os.fspath(target))
            if base not in PAPERS:
                return real(source, target, **named)
            with point(PAPERS[base], batch=os.path.basename(folder or os.environ["FLEET_RUN"])):
                return real(source, target, **named)

        setattr(os, name, wrapped)

    for name in ("rename", "replace"):
        armed(name)


def arm_spawns() -> None:
    real = subprocess.Popen.__init__

    def wrapped(self: Any, command: Any, *arguments: Any, **named: Any) -> None:
        if not any(CHILD in str(word) for word in command):
            return real(self, command, *arguments, **named)
        folder = str(command[-1])
        with point("spawn", batch=os.path.basename(folder), beside=marked(folder)):
            return real(self, command, *arguments, **named)

    subprocess.Popen.__init__ = wrapped  # type: ignore[method-assign]


def arm_answers() -> None:
    opened, closed, answers = os.open, os.close, set[int]()

    def wrapped(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        is_answer = os.path.basename(os.fspath(path)) == "results.jsonl" and flags & os.O_APPEND
        if is_answer:
            reach("answer", "before")
        handle = opened(path, flags, *arguments, **named)
        if is_answer:
            answers.add(handle)
        return handle

    def over(handle: int) -> None:
        closed(handle)
        if handle in answers:
            answers.remove(handle)
            reach("answer", "after")

    os.open, os.close = wrapped, over


def arm_ansible() -> None:
    real = os.forkpty

    def wrapped() -> tuple[int, int]:
        reach("ansible", "before")
        forked = real()
        if forked[0]:
            reach("ansible", "after")
        return forked

    os.forkpty = wrapped


def marked(folder: str) -> list[int]:
    """Living processes of this run of Ansible, by what is in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/stat") as stat:
                is_marked = f"FLEET_RUN={folder}".encode() in environ.read().split(b"\0")
                if is_marked and stat.read().rpartition(")")[2].split()[0] not in "ZX":
                    found.append(int(pid))
        except OSError:
            continue  # it has ended
    return found


if "KILLS_LOG" in os.environ:
    words = sys.orig_argv
    arm_renames()
    if any(CHILD in word for word in words):
        arm_answers()
        arm_ansible()
    elif any(os.path.basename(word) == "fleet" for word in words[1:2]):
        arm_commits()
        arm_spawns()
