"""A controller of pretend nodes, for benchmarks: `rolling.py roll|kill|resume FOLDER NODES [ROLLOUTS FORKS CHECKPOINT]`, one JSON line as its answer.

The real engine and the real journal, on the real disk; what a batch does is nothing. `kill` ends itself with SIGKILL half way,
`resume` stops at its first new batch.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fleet.adapters.clock import SystemClock
from fleet.adapters.sqlite import Database, SqliteJournal, SqliteRecords
from fleet.engine.local import LocalEngine
from fleet.model.event import BatchEnded, BatchStarted, Event, NodeApplied
from fleet.model.record import Record
from fleet.model.rollout import RolloutOrder
from fleet.testing import MemoryApplier
from fleet.testing.orders import plain, rollout, wanted


def order(nodes: int, number: int, forks: int) -> RolloutOrder:
    return rollout(plain(*(f"node-{at:06d}" for at in range(nodes))), forks=forks, batch_size=50, id=f"{number:04x}")


def written() -> int:
    """Bytes that this process has given to write(2) and the like, whatever of them was new."""
    words = Path("/proc/self/io").read_text().split()
    return int(words[words.index("wchar:") + 1])


def roll(folder: Path, nodes: int, rollouts: int, forks: int, checkpoint: int) -> dict[str, float]:
    """Nodes have a record each from before. `checkpoint`: after so many pages the WAL is copied into the file, 0 for never."""
    database = Database(folder)
    with database.writing() as connection:
        connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint}")
    journal, records = SqliteJournal(database, SystemClock()), SqliteRecords(database)
    held = order(nodes, 0, forks)
    records.save(Record(node.name, "acme", f"machine-of-{node.name}", "b1:before") for node in held.nodes)
    seconds = cpu = 0.0
    size = applied = steps = 0
    for number in range(rollouts):
        task = order(nodes, number, forks)
        events = LocalEngine(journal, MemoryApplier(wanted(task)), records).roll(task)
        next(events)  # its order is kept, and its first batches
        begun = time.perf_counter(), time.process_time(), written()
        for event in events:
            applied += isinstance(event, NodeApplied)
            steps += isinstance(event, BatchEnded)
        seconds += time.perf_counter() - begun[0]
        cpu += time.process_time() - begun[1]
        size += written() - begun[2]
    return {"seconds": seconds, "cpu": cpu, "nodes": applied, "bytes": size / steps}


def kill(folder: Path, nodes: int) -> None:
    applied = 0
    for event in events_of(folder, nodes, is_new=True):
        applied += isinstance(event, NodeApplied)
        if applied >= nodes // 2:
            os.kill(os.getpid(), signal.SIGKILL)


def resume(folder: Path, nodes: int) -> dict[str, float]:
    """CPU since the process began, so that starting Python and reading the code count."""
    next(event for event in events_of(folder, nodes, is_new=False) if isinstance(event, BatchStarted))
    return {"cpu": time.process_time()}


def events_of(folder: Path, nodes: int, *, is_new: bool) -> Iterator[Event]:
    database, task = Database(folder), order(nodes, 0, forks=max(1, nodes // 10))
    engine = LocalEngine(
        SqliteJournal(database, SystemClock()), MemoryApplier(wanted(task)), SqliteRecords(database), poll_seconds=0.05
    )
    return engine.roll(task) if is_new else engine.resume(task.id)


def main(verb: str, folder: str, nodes: str, *more: str) -> None:
    if verb == "kill":
        kill(Path(folder), int(nodes))
    told = roll(Path(folder), int(nodes), *map(int, more)) if verb == "roll" else resume(Path(folder), int(nodes))
    print(json.dumps(told), flush=True)
    os._exit(0)  # batches that were begun by `resume` are left to themselves


if __name__ == "__main__":
    main(*sys.argv[1:])
