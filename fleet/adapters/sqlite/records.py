"""The controller's copy of what nodes hold."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.adapters.sqlite.database import LOST, Database
from fleet.errors import UnavailableError
from fleet.model.learned import LearnedCluster
from fleet.model.record import HeldBack, Record, Silence, Updates

if TYPE_CHECKING:
    from fleet.ports.journal import Lease

LEVEL = 1
"""Of zlib: 10,000 manifests are 80 MB, and the higher levels cost three times the CPU for a tenth less space."""


COLUMNS = "node, fleet, machine_id, digest, commit_id, controller, epoch, arch, at, base, differs, waiting, updates, learned, wanted"
"""As `record_of` takes them."""


class SqliteRecords:
    """Implements `fleet.ports.records.Records`."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def all(self) -> Mapping[str, Record]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM records"  # noqa: S608 - names of ours
            ).fetchall()
        return {row[0]: record_of(*row) for row in rows}

    def manifests(self, digests: Iterable[str]) -> Mapping[str, str]:
        return {key: body.decode() for key, body in self._objects(digests).items()}

    def save(self, records: Iterable[Record], lease: Lease | None = None) -> None:
        those = list(records)
        with self._database.writing() as connection:
            _fence(connection, lease)
            connection.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(r.node, r.fleet, r.machine_id, r.digest, r.commit, r.controller, r.epoch, r.arch, r.at),
                        *(r.base, _text(r.differs), _text(r.waiting), _text(r.updates), _text(r.learned), r.wanted),
                    )
                    for r in those
                ],
            )
            at = self._now()
            connection.executemany("INSERT OR REPLACE INTO contacts VALUES (?, ?)", [(r.node, at) for r in those])
            for table in ("unanswered", "silent"):
                connection.executemany(f"DELETE FROM {table} WHERE node = ?", [(r.node,) for r in those])  # noqa: S608
            # Of a bundle that came in half, too: K3s may have given its Node labels that it names.
            named = ((r.digest or r.wanted, r.manifest) for r in those)
            _keep(connection, {digest: text.encode() for digest, text in named if digest and text})

    def learned(self, nodes: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT node, learned FROM records WHERE learned != '' AND node IN (SELECT value FROM json_each(?))",
                (_array(nodes),),
            ).fetchall()
        return {node: msgspec.json.decode(text, type=dict[str, str]) for node, text in rows}

    def forget(self, nodes: Iterable[str]) -> None:
        with self._database.writing() as connection:
            names = [(node,) for node in nodes]
            for table in ("records", "contacts", "unanswered", "silent", "held_back"):
                connection.executemany(f"DELETE FROM {table} WHERE node = ?", names)  # noqa: S608 - names of ours

    def contacts(self) -> Mapping[str, float]:
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT node, at FROM contacts").fetchall())

    def note_unanswered(self, sent: Mapping[str, str], lease: Lease | None = None) -> None:
        with self._database.writing() as connection:
            _fence(connection, lease)
            connection.executemany("INSERT OR IGNORE INTO unanswered VALUES (?, ?)", sent.items())

    def unanswered(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        with self._database.reading() as connection:
            for node, digest in connection.execute("SELECT node, digest FROM unanswered ORDER BY node, digest"):
                found[node] = (*found.get(node, ()), digest)
        return found

    def note_silent(self, asked: Iterable[Silence]) -> None:
        at = self._now()
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO silent VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (node) DO UPDATE SET site = excluded.site, at = excluded.at, reason = excluded.reason",
                [(each.node, each.site, at, at, each.reason) for each in asked],
            )

    def silent(self) -> Mapping[str, Silence]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT node, site, reason, since, at FROM silent").fetchall()
        return {row[0]: Silence(*row) for row in rows}

    def hold_back(self, bundles: Mapping[str, str], rollout_id: str, lease: Lease | None = None) -> None:
        rows = [(node, digest, rollout_id) for node, digest in bundles.items()]
        with self._database.writing() as connection:
            _fence(connection, lease)
            connection.executemany("INSERT OR REPLACE INTO held_back VALUES (?, ?, ?)", rows)

    def held_back(self) -> Mapping[str, HeldBack]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT node, digest, rollout FROM held_back").fetchall()
        return {node: HeldBack(digest, rollout) for node, digest, rollout in rows}

    def let_go(self, rollout_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM held_back WHERE rollout = ?", (rollout_id,))

    def blobs(self, shas: Iterable[str]) -> Mapping[str, bytes]:
        return self._objects(shas)

    def keep_blobs(self, blobs: Mapping[str, bytes]) -> None:
        with self._database.writing() as connection:
            _keep(connection, blobs)

    def clusters(self) -> Mapping[str, LearnedCluster]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT cluster, existed, datastore FROM clusters").fetchall()
        return {cluster: LearnedCluster(bool(existed), store) for cluster, existed, store in rows}

    def learn_clusters(self, clusters: Mapping[str, LearnedCluster]) -> None:
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO clusters VALUES (?, ?, ?)",
                [(name, c.existed, c.datastore) for name, c in clusters.items()],
            )

    def _objects(self, keys: Iterable[str]) -> dict[str, bytes]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT key, body FROM objects WHERE key IN (SELECT value FROM json_each(?))", (_array(keys),)
            ).fetchall()
        try:
            return {key: zlib.decompress(body) for key, body in rows}
        except zlib.error as error:
            raise UnavailableError(f"{self._database.path} is damaged: {error}", hint=LOST) from error


def _fence(connection: sqlite3.Connection, lease: Lease | None) -> None:
    if lease:
        from fleet.adapters.sqlite.lease import check  # brings all of rollouts with it

        check(connection, lease)


def record_of(*row: Any) -> Record:
    *told, base, differs, waiting, updates, learned, wanted = row
    paths = (msgspec.json.decode(text, type=tuple[str, ...]) if text else () for text in (differs, waiting))
    kept_up = msgspec.json.decode(updates, type=Updates) if updates else None
    known = msgspec.json.decode(learned, type=dict[str, str]) if learned else {}
    values = (*told, "", base, *paths, kept_up, known, wanted)
    return Record(*values)


def _text(value: tuple[str, ...] | dict[str, str] | Updates | None) -> str:
    return msgspec.json.encode(value).decode() if value else ""


def _array(keys: Iterable[str]) -> str:
    """As SQLite's json_each reads them."""
    return msgspec.json.encode([*keys]).decode()


def _keep(connection: sqlite3.Connection, objects: Mapping[str, bytes]) -> None:
    """Objects never change: what is there already is not compressed again."""
    rows = connection.execute(
        "SELECT key FROM objects WHERE key IN (SELECT value FROM json_each(?))", (_array(objects),)
    )
    there = {key for (key,) in rows}
    connection.executemany(
        "INSERT INTO objects VALUES (?, ?)",
        [(key, zlib.compress(body, LEVEL)) for key, body in objects.items() if key not in there],
    )
