"""The journal in SQLite: what a decision led to goes to the disk in one transaction, fenced by the lease."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import msgspec

from fleet.adapters.sqlite.database import LOST, Database
from fleet.adapters.sqlite.lease import Leases, check
from fleet.decide import decode_snapshot, encode_snapshot
from fleet.errors import UnavailableError, UsageError
from fleet.model.effect import Effect
from fleet.model.event import STATUS_AFTER, BatchEnded, BatchRequeued, Event, decode_event
from fleet.model.rollout import RolloutOrder, RolloutSummary
from fleet.model.signal import Request
from fleet.ports.clock import Clock
from fleet.ports.journal import LEASE_SECONDS, Entry, Kept, Lease, Posted, Step

T = TypeVar("T")

_BATCH_STARTED, _BATCH_ENDED = b'{"event":"BatchStarte', b'{"event":"BatchEnded"'
"""How these events begin, to the same length: to decode all others takes ten times as long."""
_ALL = 2**62


class SqliteJournal(Leases):
    """Implements `fleet.ports.journal.Journal`; the lease's part is in `Leases`."""

    def __init__(self, database: Database, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        super().__init__(database, clock, lease_seconds)
        self._encoder = msgspec.json.Encoder()

    def begin(self, lease: Lease, order: RolloutOrder) -> None:
        body = zlib.compress(self._encoder.encode(order), 1)
        count = sum(len(wave.nodes) for wave in order.waves)
        now = self._clock.now()
        with self._database.writing() as connection:
            check(connection, lease)
            if connection.execute("SELECT 1 FROM rollouts WHERE id = ?", (order.id,)).fetchone():
                raise UsageError(f"there is a rollout {order.id} already")
            connection.execute(
                "INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, 'new', ?, ?)",
                (order.id, order.fleet, order.commit, order.controller, count, now, now),
            )
            connection.execute("INSERT INTO orders VALUES (?, ?)", (order.id, body))

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._database.writing():
            yield

    def append(self, lease: Lease, rollout_id: str, step: Step) -> tuple[Entry, ...]:
        encode, now = self._encoder.encode, self._clock.now()
        with self._database.writing() as connection:
            check(connection, lease)
            (last,) = connection.execute("SELECT max(seq) FROM events WHERE rollout = ?", (rollout_id,)).fetchone()
            entries = tuple(Entry(seq, now, event) for seq, event in enumerate(step.events, (last or 0) + 1))
            connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?)",
                [(rollout_id, entry.seq, now, encode(entry.event)) for entry in entries],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO effects VALUES (?, ?, ?)",
                [(rollout_id, effect.order.batch_id, encode(effect)) for effect in step.effects],
            )
            over = [e.batch_id for e in step.events if isinstance(e, BatchEnded | BatchRequeued)]
            connection.executemany(
                "DELETE FROM effects WHERE rollout = ? AND batch = ?", [(rollout_id, batch) for batch in over]
            )
            connection.executemany("DELETE FROM inbox WHERE id = ?", [(handled,) for handled in step.handled])
            _touch(connection, rollout_id, step, now)
            if step.snapshot:
                connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
                    (rollout_id, (last or 0) + len(entries), zlib.compress(encode_snapshot(step.snapshot), 1)),
                )
        return entries

    def order(self, rollout_id: str) -> RolloutOrder:
        with self._database.reading() as connection:
            _known(connection, rollout_id)
            (body,) = connection.execute("SELECT body FROM orders WHERE rollout = ?", (rollout_id,)).fetchone()
        return self._decoded(zlib.decompress(body), RolloutOrder)

    def kept(self, rollout_id: str) -> Kept | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT seq, body FROM snapshots WHERE rollout = ?", (rollout_id,)).fetchone()
        return Kept(row[0], decode_snapshot(zlib.decompress(row[1]))) if row else None

    def read(self, rollout_id: str, after: int = 0) -> Sequence[Entry]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, at, body FROM events WHERE rollout = ? AND seq > ? ORDER BY seq", (rollout_id, after)
            ).fetchall()
        return [Entry(seq, at, decode_event(body)) for seq, at, body in rows]

    def batches(self, rollout_id: str) -> Sequence[Entry]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, at, body FROM events WHERE rollout = ? AND substr(body, 1, ?) IN (?, ?) ORDER BY seq",
                (rollout_id, len(_BATCH_STARTED), _BATCH_STARTED, _BATCH_ENDED),
            ).fetchall()
        return [Entry(seq, at, decode_event(body)) for seq, at, body in rows]

    def picked(
        self, rollout_id: str, kinds: Sequence[type[Event]] = (), node: str = "", until: int = 0
    ) -> Sequence[Entry]:
        # Events begin with their tag, and names hold nothing that JSON would escape.
        beginnings = [f'{{"event":"{kind.__name__}"'.encode() for kind in kinds]
        one_of = " OR ".join("substr(body, 1, ?) = ?" for _ in kinds) or "1"
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, at, body FROM events WHERE rollout = ? AND seq <= ? AND instr(body, ?) "  # noqa: S608 - only `?`
                f"AND ({one_of}) ORDER BY seq",
                (
                    rollout_id,
                    until or _ALL,
                    f'"{node}"'.encode() if node else b'"',
                    *(value for beginning in beginnings for value in (len(beginning), beginning)),
                ),
            ).fetchall()
        return [Entry(seq, at, decode_event(body)) for seq, at, body in rows]

    def last(self, rollout_id: str) -> Entry | None:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT seq, at, body FROM events WHERE rollout = ? ORDER BY seq DESC LIMIT 1", (rollout_id,)
            ).fetchone()
        return Entry(row[0], row[1], decode_event(row[2])) if row else None

    def open_effects(self, rollout_id: str) -> Sequence[Effect]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT body FROM effects WHERE rollout = ? ORDER BY batch", (rollout_id,)
            ).fetchall()
        return [self._decoded(body, Effect) for (body,) in rows]

    def rollouts(self) -> Sequence[RolloutSummary]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, fleet, commit_id, controller, nodes, status, started_at, updated_at"
                " FROM rollouts ORDER BY rowid DESC"
            ).fetchall()
        return [RolloutSummary(*row) for row in rows]

    def post(self, rollout_id: str, request: Request) -> None:
        with self._database.writing() as connection:
            _known(connection, rollout_id)
            connection.execute(
                "INSERT INTO inbox (rollout, body) VALUES (?, ?)", (rollout_id, self._encoder.encode(request))
            )

    def posted(self, rollout_id: str) -> Sequence[Posted]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, body FROM inbox WHERE rollout = ? ORDER BY id", (rollout_id,)
            ).fetchall()
        return [Posted(row_id, _requests().decode(body)) for row_id, body in rows]

    def _decoded(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"{self._database.path} is damaged: {error}", hint=LOST) from error


def _touch(connection: sqlite3.Connection, rollout_id: str, step: Step, now: float) -> None:
    connection.execute("UPDATE rollouts SET updated_at = ? WHERE id = ?", (now, rollout_id))
    for event in step.events:
        if type(event) in STATUS_AFTER:
            connection.execute("UPDATE rollouts SET status = ? WHERE id = ?", (STATUS_AFTER[type(event)], rollout_id))


def _known(connection: sqlite3.Connection, rollout_id: str) -> None:
    if connection.execute("SELECT 1 FROM rollouts WHERE id = ?", (rollout_id,)).fetchone():
        return
    newest = [row[0] for row in connection.execute("SELECT id FROM rollouts ORDER BY rowid DESC LIMIT 5")]
    raise UsageError(
        f"there is no rollout {rollout_id} in this folder",
        hint=f"The newest are {', '.join(newest)}." if newest else "None was started here yet.",
    )


@cache
def _requests() -> msgspec.json.Decoder[Request]:
    return msgspec.json.Decoder(Request)
