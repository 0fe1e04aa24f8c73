from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from fleet.errors import BusyError, UsageError
from fleet.model.effect import Effect
from fleet.model.event import STATUS_AFTER, BatchEnded, BatchRequeued, BatchStarted, Event
from fleet.model.rollout import RolloutOrder, RolloutSummary
from fleet.model.signal import Request
from fleet.ports.clock import Clock
from fleet.ports.journal import LEASE_SECONDS, Entry, Kept, Lease, Posted, Step


class _Rollout(msgspec.Struct):
    order: RolloutOrder
    summary: RolloutSummary
    entries: list[Entry] = msgspec.field(default_factory=list)
    effects: dict[str, Effect] = msgspec.field(default_factory=dict)
    kept: Kept | None = None


class MemoryJournal:
    """A journal that is gone with the process. `steps` holds every step that was appended, in order."""

    def __init__(self, clock: Clock) -> None:
        self.steps: list[Step] = []
        self._clock = clock
        self._lock = threading.RLock()
        self._lease = Lease(0, "")
        self._expires = 0.0
        self._rollouts: dict[str, _Rollout] = {}
        self._inbox: dict[int, tuple[str, Request]] = {}
        self._posts = 0

    def acquire(self, controller: str) -> Lease:
        with self._lock:
            if self.holder():
                self._expires = min(self._expires, self._clock.now() + LEASE_SECONDS)
                raise BusyError(f"{self._lease.controller} is rolling out from this journal")
            self._lease = Lease(self._lease.epoch + 1, controller)
            self._expires = self._clock.now() + LEASE_SECONDS
            return self._lease

    def renew(self, lease: Lease) -> None:
        with self._lock:
            self.check(lease)
            self._expires = self._clock.now() + LEASE_SECONDS

    def release(self, lease: Lease) -> None:
        with self._lock:
            if lease.epoch == self._lease.epoch:
                self._lease = Lease(lease.epoch, "")

    def holder(self) -> Lease | None:
        with self._lock:
            return self._lease if self._lease.controller and self._clock.now() < self._expires else None

    def begin(self, lease: Lease, order: RolloutOrder) -> None:
        with self._lock:
            self.check(lease)
            if order.id in self._rollouts:
                raise UsageError(f"there is a rollout {order.id} already")
            now = self._clock.now()
            self._rollouts[order.id] = _Rollout(
                order,
                RolloutSummary(
                    order.id, order.fleet, order.commit, order.controller, len(order.nodes), "new", now, now
                ),
            )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Nothing here fails half way."""
        with self._lock:
            yield

    def append(self, lease: Lease, rollout_id: str, step: Step) -> tuple[Entry, ...]:
        with self._lock:
            self.check(lease)
            rollout = self._known(rollout_id)
            now, last = self._clock.now(), len(rollout.entries)
            entries = tuple(Entry(seq, now, event) for seq, event in enumerate(step.events, last + 1))
            self.steps.append(step)
            rollout.entries.extend(entries)
            rollout.effects.update({effect.order.batch_id: effect for effect in step.effects})
            for event in step.events:
                if isinstance(event, BatchEnded | BatchRequeued):
                    rollout.effects.pop(event.batch_id, None)
                status = STATUS_AFTER.get(type(event), rollout.summary.status)
                rollout.summary = replace(rollout.summary, status=status, updated_at=now)
            if step.snapshot:
                rollout.kept = Kept(len(rollout.entries), step.snapshot)
            for handled in step.handled:
                self._inbox.pop(handled, None)
            return entries

    def order(self, rollout_id: str) -> RolloutOrder:
        return self._known(rollout_id).order

    def kept(self, rollout_id: str) -> Kept | None:
        return self._known(rollout_id).kept

    def read(self, rollout_id: str, after: int = 0) -> Sequence[Entry]:
        with self._lock:
            return tuple(self._known(rollout_id).entries[after:])

    def batches(self, rollout_id: str) -> Sequence[Entry]:
        return [entry for entry in self.read(rollout_id) if isinstance(entry.event, BatchStarted | BatchEnded)]

    def picked(
        self, rollout_id: str, kinds: Sequence[type[Event]] = (), node: str = "", until: int = 0
    ) -> Sequence[Entry]:
        with self._lock:
            rollout = self._rollouts.get(rollout_id)
            entries = tuple(rollout.entries) if rollout else ()
        return [
            entry
            for entry in entries
            if (not kinds or isinstance(entry.event, tuple(kinds)))
            and (not until or entry.seq <= until)
            and (not node or f'"{node}"'.encode() in msgspec.json.encode(entry.event))
        ]

    def last(self, rollout_id: str) -> Entry | None:
        entries = self.read(rollout_id)
        return entries[-1] if entries else None

    def open_effects(self, rollout_id: str) -> Sequence[Effect]:
        with self._lock:
            return tuple(self._known(rollout_id).effects.values())

    def rollouts(self) -> Sequence[RolloutSummary]:
        with self._lock:
            return tuple(rollout.summary for rollout in reversed(self._rollouts.values()))

    def post(self, rollout_id: str, request: Request) -> None:
        with self._lock:
            self._known(rollout_id)
            self._posts += 1
            self._inbox[self._posts] = (rollout_id, request)

    def posted(self, rollout_id: str) -> Sequence[Posted]:
        with self._lock:
            return tuple(Posted(key, request) for key, (to, request) in self._inbox.items() if to == rollout_id)

    def _known(self, rollout_id: str) -> _Rollout:
        if rollout_id not in self._rollouts:
            newest = ", ".join(list(reversed(self._rollouts))[:5])
            raise UsageError(
                f"there is no rollout {rollout_id} in this journal",
                hint=f"The newest are {newest}." if newest else "None was started here yet.",
            )
        return self._rollouts[rollout_id]

    def check(self, lease: Lease) -> None:
        """Raises `BusyError` when `lease` is not the newest: for records that are kept beside this journal."""
        if lease != self._lease:
            raise BusyError(f"{self._lease.controller or 'nobody'} has the lease now (epoch {self._lease.epoch})")
