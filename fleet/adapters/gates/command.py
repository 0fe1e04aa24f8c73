"""LocalCommands: users' programs, each under a keeper of its own (keeper.py)."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec

from fleet.adapters.disk import make_private_folder, write_atomic
from fleet.errors import FleetError
from fleet.model.inquiry import CommandEnd, CommandOrder

TAIL_BYTES = 2_048
LOG_BYTES = 64 * 1024
"""The end of what a program writes; what came before is not kept."""
_LOGS = 200
_KEEPER = Path(__file__).with_name("keeper.py")
_KEEPER_SECONDS = 20.0
"""What the keeper takes at most to end what does not want to end."""
_SECRET = re.compile(r"(FLEET|ANSIBLE)_.*(PASS|VAULT)")
_STOPPED = CommandEnd(reason="it was stopped")


class _Said(msgspec.Struct, frozen=True):
    how: str
    code: int | None = None
    reason: str = ""


class LocalCommands:
    """Fills `ports.Commands`. `root` is the fleet's folder, in which programs run; what they write goes below `logs`."""

    def __init__(self, root: Path, logs: Path) -> None:
        self._root, self._logs = root, logs
        self._lock = threading.Lock()
        self._live: set[int] = set()
        self._is_stopped = False

    def run(self, order: CommandOrder) -> CommandEnd:
        began = time.monotonic()
        heard, control = os.pipe2(os.O_CLOEXEC)
        with self._lock:
            if self._is_stopped:
                os.close(heard)
                os.close(control)
                return _STOPPED
            self._live.add(control)
        try:
            with _Kept(order, self._root, heard) as kept:
                said, written = kept.end()
        except (OSError, ValueError) as error:  # ValueError: a word that no program can be given
            return CommandEnd(reason=f"it cannot be run: {_plain(getattr(error, 'strerror', '') or str(error))}")
        finally:
            with self._lock:
                self._live.discard(control)
                os.close(control)
        log = self._keep(order.log, written) if written else ""
        return _ended(said, order, time.monotonic() - began, written, log)

    def stop_now(self) -> None:
        with self._lock:
            self._is_stopped = True
            for control in self._live:
                with contextlib.suppress(OSError):
                    os.write(control, b"x")

    def _keep(self, name: str, written: bytes) -> str:
        """The path of the log; empty where the disk does not take it: what the gate found counts all the same."""
        path = self._logs / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.log"
        try:
            make_private_folder(self._logs)
            write_atomic(path, written, sync=False)
            old = sorted(self._logs.glob("*.log"), key=lambda each: each.stat().st_mtime_ns)[:-_LOGS]
            for each in old:
                each.unlink(missing_ok=True)
        except (FleetError, OSError):
            return ""
        return str(path)


class _Kept:
    """A program that runs under its keeper. `heard` is where the keeper hears of us; it is closed here."""

    def __init__(self, order: CommandOrder, root: Path, heard: int) -> None:
        self._seconds = order.seconds
        self._written = bytearray()
        with ExitStack() as ours, ExitStack() as theirs:
            theirs.callback(os.close, heard)
            self._output, output = _pipe(ours, theirs)
            self._status, status = _pipe(ours, theirs)
            # A file in memory: who does not read it keeps nobody waiting.
            stdin = os.memfd_create("fleet-gate", os.MFD_CLOEXEC)
            theirs.callback(os.close, stdin)
            with os.fdopen(os.dup(stdin), "wb") as file:
                file.write(order.stdin)
            os.lseek(stdin, 0, os.SEEK_SET)
            told = (str(heard), str(status), str(order.seconds), *order.command)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), *told],
                stdin=stdin, stdout=output, stderr=output, cwd=root, env=environment(), pass_fds=(heard, status),
                start_new_session=True,
            )  # fmt: skip
            ours.pop_all()
        self._reader = threading.Thread(target=self._read, name="fleet-gate", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._status)

    def end(self) -> tuple[_Said | None, bytes]:
        """How it ended, None where its keeper did not say, and the end of what it wrote."""
        try:
            self._process.wait(self._seconds + _KEEPER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)  # nobody is left who could write, but for what waits in the kernel
        os.set_blocking(self._status, False)
        with contextlib.suppress(BlockingIOError, msgspec.DecodeError):
            return msgspec.json.decode(os.read(self._status, 65_536), type=_Said), bytes(self._written)
        return None, bytes(self._written)

    def _read(self) -> None:
        with os.fdopen(self._output, "rb", buffering=0) as output:
            while data := output.read(65_536):
                self._written += data
                del self._written[:-LOG_BYTES]


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    """Its two ends, each closed with its stack."""
    read, write = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, read)
    theirs.callback(os.close, write)
    return read, write


def environment() -> dict[str, str]:
    """Ours, without what opens vaults or sudo."""
    return {name: value for name, value in os.environ.items() if not _SECRET.match(name)}


def _ended(said: _Said | None, order: CommandOrder, seconds: float, written: bytes, log: str) -> CommandEnd:
    tail = written[-TAIL_BYTES:].decode("utf-8", errors="replace")
    end = CommandEnd(seconds=seconds, tail=tail, log=log)
    match said:
        case _Said(how="exit", code=int()):
            return msgspec.structs.replace(end, code=said.code)
        case _Said(how="unable"):
            return msgspec.structs.replace(end, reason=f"it cannot be run: {_plain(said.reason)}")
        case _Said(how="late"):
            reason = f"it did not end within {order.seconds:g} s"
            return msgspec.structs.replace(end, reason=reason, is_late=True)
        case _Said(how="stopped"):
            return msgspec.structs.replace(end, reason=_STOPPED.reason)
        case _:
            return msgspec.structs.replace(end, reason="somebody else ended it")


def _plain(reason: str) -> str:
    return f"{reason[:1].lower()}{reason[1:]}"
