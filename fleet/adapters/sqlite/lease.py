"""The controller's lease: one row whose epoch fences every write."""

from __future__ import annotations

import sqlite3

import msgspec

from fleet.adapters.sqlite.database import Database
from fleet.adapters.sqlite.holder import Holder, this_process
from fleet.errors import BusyError
from fleet.ports.clock import Clock
from fleet.ports.journal import LEASE_SECONDS, Lease


class _Row(msgspec.Struct, frozen=True):
    epoch: int = 0
    controller: str = ""
    holder: Holder = Holder("", 0, 0)
    expires: float = 0.0

    def lives(self, now: float) -> bool:
        return bool(self.controller) and now < self.expires and not self.holder.is_gone


class Leases:
    """The lease's part of `fleet.ports.journal.Journal`."""

    def __init__(self, database: Database, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._seconds = lease_seconds

    def acquire(self, controller: str) -> Lease:
        now, me = self._clock.now(), this_process()
        with self._database.writing() as connection:
            row = _row(connection)
            if is_held := row.lives(now):
                # No renewal reaches further than this: the clock was set back since, and a dead holder must not keep
                # its lease for all that time. One that lives renews it.
                row = msgspec.structs.replace(row, expires=min(row.expires, now + self._seconds))
                connection.execute("UPDATE lease SET expires = ?", (row.expires,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (row.epoch + 1, controller, me.machine, me.pid, me.born, now + self._seconds),
                )
        if is_held:
            raise BusyError(
                f"{row.controller} (process {row.holder.pid}) is rolling out from this folder",
                hint=f"Wait for it. If it is dead, its lease ends by itself within {row.expires - now:.0f} s.",
            )
        return Lease(row.epoch + 1, controller)

    def holder(self) -> Lease | None:
        with self._database.reading() as connection:
            row = _row(connection)
        return Lease(row.epoch, row.controller) if row.lives(self._clock.now()) else None

    def renew(self, lease: Lease) -> None:
        with self._database.writing() as connection:
            check(connection, lease)
            connection.execute("UPDATE lease SET expires = ?", (self._clock.now() + self._seconds,))

    def release(self, lease: Lease) -> None:
        with self._database.writing() as connection:
            connection.execute("UPDATE lease SET controller = '', expires = 0 WHERE epoch = ?", (lease.epoch,))


def _row(connection: sqlite3.Connection) -> _Row:
    found = connection.execute("SELECT epoch, controller, machine, pid, born, expires FROM lease").fetchone()
    return _Row(found[0], found[1], Holder(found[2], found[3], found[4]), found[5]) if found else _Row()


def check(connection: sqlite3.Connection, lease: Lease) -> None:
    """Raises `BusyError` when `lease` is not the newest: what it would write is refused."""
    epoch, holder = connection.execute("SELECT epoch, controller FROM lease").fetchone() or (0, "")
    if epoch != lease.epoch:
        raise BusyError(
            f"{holder or 'another controller'} has taken over (epoch {epoch}, ours was {lease.epoch})",
            hint="Nothing was written. See fleet rollout list for how far it has come.",
        )
    if not holder:
        raise BusyError(f"the lease of epoch {epoch} was released", hint="Take a new one.")
