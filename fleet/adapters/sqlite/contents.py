"""What must hold of the rows of a journal, whichever way they came: each rollout told by its events alone and by its
snapshot is the same, and everything beside agrees with it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator

import msgspec

from fleet.adapters.sqlite.image import EXPORT
from fleet.decide import decode_snapshot, evolve_all, initial, restore
from fleet.errors import FleetError
from fleet.formats.words import some
from fleet.model.diagnosis import Diagnosis
from fleet.model.effect import Effect
from fleet.model.event import STATUS_AFTER, Event, decode_event
from fleet.model.rollout import RolloutOrder, RolloutState
from fleet.model.signal import Request
from fleet.ports.journal import LEASE_SECONDS

ANEW = "fleet rollout resume cannot go on with it. Start a new one: fleet plan --refresh asks the nodes what they hold."
RECORDS = "fleet plan --refresh brings records and their manifests anew from the nodes."


def contents(connection: sqlite3.Connection, now: float) -> Iterator[Diagnosis]:
    """Every row that is not as it should be. `now` is seconds since 1970."""
    known = [row[0] for row in connection.execute("SELECT id FROM rollouts ORDER BY rowid")]
    for rollout_id in known:
        yield from _rollout(connection, rollout_id)
    for table in ("orders", "events", "effects", "snapshots", "inbox"):
        yield from _strangers(connection, table, known)
    yield from _lease(connection, now)
    yield from _objects(connection)


def _rollout(connection: sqlite3.Connection, rollout_id: str) -> Iterator[Diagnosis]:
    try:
        order = _order(connection, rollout_id)
    except (zlib.error, msgspec.DecodeError, TypeError) as error:
        yield _wrong("order", f"the order of rollout {rollout_id} is lost: {_why(error)}", rollout_id)
        return
    events, holes, undecoded = _events(connection, rollout_id)
    if holes:
        yield _wrong("events", f"rollout {rollout_id} lacks events: {some([str(seq) for seq in holes])}", rollout_id)
    yield from (_wrong("events", f"event {seq} of rollout {rollout_id}: {why}", rollout_id) for seq, why in undecoded)
    if not holes and not undecoded:
        yield from _replayed(connection, order, events)


def _order(connection: sqlite3.Connection, rollout_id: str) -> RolloutOrder:
    row = connection.execute("SELECT body FROM orders WHERE rollout = ?", (rollout_id,)).fetchone()
    if row is None:
        raise TypeError("it is not there")
    order = msgspec.json.decode(zlib.decompress(row[0]), type=RolloutOrder)
    if order.id != rollout_id:
        raise TypeError(f"it is that of rollout {order.id}")
    return order


def _events(connection: sqlite3.Connection, rollout_id: str) -> tuple[list[Event], list[int], list[tuple[int, str]]]:
    """The events, the numbers that are missing, and why each other one cannot be read."""
    rows = connection.execute("SELECT seq, body FROM events WHERE rollout = ? ORDER BY seq", (rollout_id,)).fetchall()
    there = {seq for seq, _ in rows}
    events, undecoded = [], []
    for seq, body in rows:
        try:
            events.append(decode_event(body))
        except FleetError as error:
            undecoded.append((seq, error.message))
    return events, sorted(set(range(1, max(there, default=0) + 1)) - there), undecoded


def _replayed(connection: sqlite3.Connection, order: RolloutOrder, events: list[Event]) -> Iterator[Diagnosis]:
    try:
        state = evolve_all(initial(order), events)
    except (FleetError, LookupError) as error:
        yield _wrong("events", f"the events of rollout {order.id} are not of its order: {_why(error)}", order.id)
        return
    yield from _snapshot(connection, order, events, state)
    rows = connection.execute("SELECT batch, body FROM effects WHERE rollout = ?", (order.id,)).fetchall()
    bad = [batch for batch, body in rows if not _is_effect(body, batch)]
    if bad:
        yield _wrong("effects", f"an open batch of rollout {order.id} cannot be read: {some(bad)}", order.id)
    running, open_ = {batch.batch_id for batch in state.running}, {batch for batch, _ in rows}
    if running != open_:
        message = f"of rollout {order.id}, events and open batches do not agree on {some(sorted(running ^ open_))}"
        yield _wrong("effects", message, order.id)
    (kept,) = connection.execute("SELECT status FROM rollouts WHERE id = ?", (order.id,)).fetchone()
    told = next((STATUS_AFTER[type(event)] for event in reversed(events) if type(event) in STATUS_AFTER), "new")
    if kept != told:
        message = f"rollout {order.id} is listed as {kept}, by its events it is {told}"
        yield Diagnosis("status", "wrong", message, "What counts is the events: fleet rollout show.", (order.id,))


def _snapshot(
    connection: sqlite3.Connection, order: RolloutOrder, events: list[Event], state: RolloutState
) -> Iterator[Diagnosis]:
    row = connection.execute("SELECT seq, body FROM snapshots WHERE rollout = ?", (order.id,)).fetchone()
    if row is None:
        return
    seq, body = row
    try:
        kept = restore(order, decode_snapshot(zlib.decompress(body)))
        is_same = seq <= len(events) and evolve_all(kept, events[seq:]) == state
    except (FleetError, zlib.error, LookupError, ValueError) as error:
        yield _wrong("snapshot", f"the snapshot of rollout {order.id} cannot be read: {_why(error)}", order.id)
        return
    if not is_same:
        message = f"the snapshot of rollout {order.id} at event {seq} is not what its events lead to"
        yield _wrong("snapshot", message, order.id)


def _is_effect(body: bytes, batch: str) -> bool:
    try:
        return msgspec.json.decode(body, type=Effect).order.batch_id == batch
    except msgspec.DecodeError:
        return False


def _strangers(connection: sqlite3.Connection, table: str, known: list[str]) -> Iterator[Diagnosis]:
    """Rows of a rollout that is not listed, and requests that nobody can read."""
    named = {row[0] for row in connection.execute(f"SELECT DISTINCT rollout FROM {table}")}  # noqa: S608 - our own names
    lost = sorted(named.difference(known))
    if lost:
        yield Diagnosis(table, "wrong", f"{table} name rollouts that are not listed: {some(lost)}", EXPORT, tuple(lost))
    if table == "inbox":
        for number, rollout_id, body in connection.execute("SELECT id, rollout, body FROM inbox"):
            try:
                msgspec.json.decode(body, type=Request)
            except msgspec.DecodeError as error:
                message = f"request {number} to rollout {rollout_id} cannot be read: {error}"
                yield Diagnosis("inbox", "wrong", message, "Ask again in a folder of its own.", (rollout_id,))


def _lease(connection: sqlite3.Connection, now: float) -> Iterator[Diagnosis]:
    row = connection.execute("SELECT epoch, controller, expires FROM lease").fetchone()
    (begun,) = connection.execute("SELECT count(*) FROM rollouts").fetchone()
    if row is None:
        if begun:
            yield Diagnosis("lease", "wrong", "there are rollouts, and nobody ever had the lease", EXPORT)
        return
    epoch, holder, expires = row
    used = max((epoch for (epoch,) in connection.execute("SELECT epoch FROM records")), default=0)
    if epoch < 1:
        yield Diagnosis("lease", "wrong", f"its epoch is {epoch}, and it counts from 1", EXPORT)
    elif epoch < used:
        message = f"its epoch is {epoch}, and a node was written to under {used}"
        hint = "The file is older than what was done since, or another controller works here: fleet plan --refresh."
        yield Diagnosis("lease", "warning", message, hint)
    if holder and expires > now + LEASE_SECONDS + 1:
        message = (
            f"that of {holder} ends in {expires - now:,.0f} s, and none is given for more than {LEASE_SECONDS:.0f} s"
        )
        yield Diagnosis("lease", "warning", message, "The clock was set back since. Whoever rolls out next mends it.")


def _objects(connection: sqlite3.Connection) -> Iterator[Diagnosis]:
    """Contents are named by their sha256, manifests by the digest of their bundle, which a node itself has told."""
    bad: list[str] = []
    told: list[str] = []
    for key, body in connection.execute("SELECT key, body FROM objects"):
        try:
            sha = hashlib.sha256(zlib.decompress(body)).hexdigest()
        except zlib.error:
            bad.append(key)
            continue
        if key in (sha, f"b1:{sha}"):
            continue
        (told if key.startswith("b1:") else bad).append(key)
    if bad:
        yield Diagnosis("objects", "wrong", f"contents are not what their names say: {some(bad)}", RECORDS, tuple(bad))
    if told:
        message = f"manifests are not those of their digests, as nodes told them: {some(told)}"
        yield Diagnosis("objects", "warning", message, RECORDS, tuple(told))


def _wrong(check: str, message: str, rollout_id: str) -> Diagnosis:
    return Diagnosis(check, "wrong", message, ANEW, (rollout_id,))


def _why(error: Exception) -> str:
    return error.message if isinstance(error, FleetError) else str(error)
