"""A controller to be killed: rolls FOLDER/order.json out (or resumes it), and kills itself with SIGKILL when told to.

    controller.py FOLDER roll|resume WHERE NUMBER [STOP_AFTER] [NAME=VALUE...]

WHERE: `before` the NUMBERth append to the journal (with its records written, and not yet sure) or `after` all of it is on
disk, `node`: when it is about to bring the NUMBERth node forward, or `never`. STOP_AFTER: asks the engine to stop when so many batches have ended. Names: `lease`, how many seconds it lasts; `node`, how
many each node takes; `clock`, by how many its clock is ahead; `room`, to how many bytes a file may grow; `uid`, who it is.
"""

from __future__ import annotations

import codecs
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.engine.local import LocalEngine
from fleet.model.event import BatchEnded
from fleet.model.rollout import RolloutOrder
from fleet.ports.journal import LEASE_SECONDS, Entry, Lease, Step
from fleet.testing import FolderApplier
from fleet.testing.orders import wanted


class Fuse:
    """Burns down by one with each call of `burn`; the last one is the end of the process."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._lock = threading.Lock()

    def burn(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)


class DoomedJournal(SqliteJournal):
    before = Fuse(0)
    after = Fuse(0)

    @contextmanager
    def together(self) -> Iterator[None]:
        with super().together():
            yield
        self.after.burn()

    def append(self, lease: Lease, rollout_id: str, step: Step) -> tuple[Entry, ...]:
        self.before.burn()
        return super().append(lease, rollout_id, step)


class DoomedApplier(FolderApplier):
    """Burns when a node has been announced in the log and before it is changed: the worst moment there is."""

    node = Fuse(0)

    def _log(self, line: object) -> None:
        super()._log(line)  # type: ignore[arg-type] # whatever it is, it is passed on
        if getattr(line, "did", "") == "apply":
            self.node.burn()


class WallClock:
    def __init__(self, ahead: float) -> None:
        self._ahead = ahead

    def now(self) -> float:
        return time.time() + self._ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def main() -> None:
    folder, verb, where, number = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    words = [word.partition("=") for word in sys.argv[5:]]
    stop_after = next((int(name) for name, equals, _ in words if not equals), 0)
    told = {name: float(value) for name, equals, value in words if equals}
    if "room" in told:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(told["room"]), int(told["room"])))
    order = msgspec.json.decode((folder / "order.json").read_bytes(), type=RolloutOrder)
    database = Database(folder / ".fleet")
    lease = told.get("lease", LEASE_SECONDS)
    journal = DoomedJournal(database, WallClock(told.get("clock", 0.0)), lease)
    applier = DoomedApplier(folder / "world", wanted(order), seconds_per_node=told.get("node", 0.002))
    fuses = {"before": (journal, "before"), "after": (journal, "after"), "node": (applier, "node")}
    if where in fuses:
        setattr(*fuses[where], Fuse(number))
    engine = LocalEngine(journal, applier, SqliteRecords(database), poll_seconds=0.02, beat_seconds=lease / 3)
    if "uid" in told and os.geteuid() == 0:
        codecs.lookup("ascii")  # Python's own files may be nothing that this user can read
        os.setgid(int(told["uid"]))
        os.setuid(int(told["uid"]))
    ended = 0
    for event in engine.roll(order) if verb == "roll" else engine.resume(order.id):
        print(type(event).__name__, flush=True)
        ended += isinstance(event, BatchEnded)
        if ended == stop_after and isinstance(event, BatchEnded):
            engine.stop()


if __name__ == "__main__":
    main()
