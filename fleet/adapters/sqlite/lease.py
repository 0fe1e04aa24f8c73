"""The controller's lease: one row whose epoch fences every write."""

from __future__ import annotations

import sqlite3

from fleet.adapters.sqlite.database import Database
from fleet.adapters.sqlite.holder import Holder, this_process
from fleet.errors import BusyError
from fleet.ports.clock import Clock
from fleet.ports.journal import LEASE_SECONDS, Lease


class Leases:
    """The lease's part of `fleet.ports.journal.Journal`."""

    def __init__(self, database: Database, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._seconds = lease_seconds

    def acquire(self, controller: str) -> Lease:
        now, me = self._clock.now(), this_process()
        with self._database.writing() as connection:
            row = connection.execute("SELECT epoch, controller, machine, pid, born, expires FROM lease").fetchone()
            epoch, holder, expires = (row[0], row[1], row[5]) if row else (0, "", 0.0)
            is_held = holder and now < expires and not Holder(row[2], row[3], row[4]).is_gone
            if is_held:
                # No renewal reaches further than this: the clock was set back since, and a dead holder must not keep
                # its lease for all that time. One that lives renews it.
                expires = min(expires, now + self._seconds)
                connection.execute("UPDATE lease SET expires = ?", (expires,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?, ?, ?, ?)",
                    (epoch + 1, controller, me.machine, me.pid, me.born, now + self._seconds),
                )
        if is_held:
            raise BusyError(
                f"{holder} (process {row[3]}) is rolling out from this folder",
                hint=f"Wait for it. If it is dead, its lease ends by itself within {expires - now:.0f} s.",
            )
        return Lease(epoch + 1, controller)

    def renew(self, lease: Lease) -> None:
        with self._database.writing() as connection:
            check(connection, lease)
            connection.execute("UPDATE lease SET expires = ?", (self._clock.now() + self._seconds,))

    def release(self, lease: Lease) -> None:
        with self._database.writing() as connection:
            connection.execute("UPDATE lease SET controller = '', expires = 0 WHERE epoch = ?", (lease.epoch,))


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
