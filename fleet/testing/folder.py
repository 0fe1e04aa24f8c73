"""Pretend nodes as files, for tests that kill the controller: what was done outlives it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fleet.errors import StoppedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.record import Record


class Line(msgspec.Struct, frozen=True):
    """One line of the log: `did` is start, apply (a node changed), or end."""

    did: str
    batch_id: str
    epoch: int
    node: str = ""


class FolderApplier:
    """`FOLDER/nodes/NODE` holds a node's digest, `FOLDER/batches/ID` a finished artifact, `FOLDER/log` what was done.

    Keeps the contract of `run_batch`: a finished artifact is returned and not run again, and a node that already holds
    what is wanted is not applied twice. A batch runs in the controller's process, and dies with it.
    """

    def __init__(self, folder: Path, wanted: Mapping[str, str], seconds_per_node: float = 0.0) -> None:
        self._folder = folder
        self._wanted = wanted
        self._seconds = seconds_per_node
        self._stopped = False
        for part in ("nodes", "batches"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def run_batch(self, order: BatchOrder) -> BatchResult:
        artifact = self._folder / "batches" / order.batch_id
        if artifact.exists():
            return msgspec.json.decode(artifact.read_bytes(), type=BatchResult)
        self._log(Line("start", order.batch_id, order.epoch))
        result = BatchResult(order.batch_id, tuple(self._bring(order, node) for node in order.nodes))
        self._write(artifact, msgspec.json.encode(result))
        self._log(Line("end", order.batch_id, order.epoch))
        return result

    def stop_now(self) -> None:
        self._stopped = True

    def digests(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="ascii") for path in (self._folder / "nodes").iterdir()}

    def log(self) -> list[Line]:
        text = (self._folder / "log").read_bytes()
        return [msgspec.json.decode(line, type=Line) for line in text.splitlines()]

    def _bring(self, order: BatchOrder, node: str) -> NodeResult:
        if self._stopped:
            raise StoppedError(f"batch {order.batch_id} was ended")
        time.sleep(self._seconds)
        file, wanted = self._folder / "nodes" / node, order.undo.get(node) or self._wanted[node]
        held = file.read_text(encoding="ascii") if file.exists() else ""
        if held not in {wanted, *order.expect[node].split(",")}:
            return NodeResult(node, "failed", reason=f"it holds {held}, expected {order.expect[node] or 'nothing'}")
        if held != wanted:
            self._log(Line("apply", order.batch_id, order.epoch, node))
            self._write(file, wanted.encode())
        record = Record(node, "fleet", f"machine-of-{node}", wanted, controller="folder", epoch=order.epoch)
        return NodeResult(node, "applied", changed=int(held != wanted), digest=wanted, record=record)

    def _write(self, file: Path, content: bytes) -> None:
        beside = self._folder / f"{file.name}.{threading.get_ident()}"
        beside.write_bytes(content)
        beside.rename(file)

    def _log(self, line: Line) -> None:
        # One write to a file opened for appending: lines of several threads, and of a killed process, stay whole.
        descriptor = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(line) + b"\n")
        finally:
            os.close(descriptor)
