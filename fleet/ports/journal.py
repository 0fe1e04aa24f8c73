"""What happened, kept so that a controller that dies loses nothing: the local engine's memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from fleet.model.effect import Effect
from fleet.model.event import Event
from fleet.model.rollout import RolloutOrder, RolloutSummary
from fleet.model.signal import Request
from fleet.model.snapshot import RolloutSnapshot

LEASE_SECONDS = 30.0
"""A lease that was not renewed for so long may be taken over."""


class Lease(msgspec.Struct, frozen=True):
    """The right to drive rollouts. `epoch` grows with each new lease and never comes back."""

    epoch: int
    controller: str


class Entry(msgspec.Struct, frozen=True):
    """An event as kept. `seq` counts from 1 within its rollout, without holes; `at` is seconds since 1970."""

    seq: int
    at: float
    event: Event


class Step(msgspec.Struct, frozen=True):
    """What is kept together. `snapshot` is the state after `events`; `handled` are ids of the inbox that led to them.

    An effect is open from here until the event that ends its batch.
    """

    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    snapshot: RolloutSnapshot | None = None
    handled: tuple[int, ...] = ()


class Kept(msgspec.Struct, frozen=True):
    """The newest snapshot of a rollout: its state after entry `seq`."""

    seq: int
    snapshot: RolloutSnapshot


class Posted(msgspec.Struct, frozen=True):
    id: int
    request: Request


class Journal(Protocol):
    """All that writes raises `BusyError` when the lease is no longer the newest: a newer controller has taken over.

    Raises `UsageError` or `UnavailableError` when the journal cannot be read or written.
    """

    def acquire(self, controller: str) -> Lease:
        """A lease with a new epoch. Raises `BusyError` naming the holder while another one lives.

        One lives until it is released, has not been renewed for `LEASE_SECONDS`, or its process, on this machine,
        is gone. A clock that is set back makes it live `LEASE_SECONDS` from then on, at most; one that is set forward may
        end it early: the holder is fenced then.
        """
        ...

    def renew(self, lease: Lease) -> None: ...

    def release(self, lease: Lease) -> None:
        """Does nothing when a newer controller has taken over."""
        ...

    def holder(self) -> Lease | None:
        """The lease that lives now, as `acquire` has it; None where anybody may take one."""
        ...

    def begin(self, lease: Lease, order: RolloutOrder) -> None:
        """Keeps a new rollout's order, before its first event."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """What is appended inside, and what records of the same store are kept, is on disk when the block ends, or nothing."""
        ...

    def append(self, lease: Lease, rollout_id: str, step: Step) -> tuple[Entry, ...]:
        """All of the step, on disk when this returns, or nothing. Stamps the events with the time."""
        ...

    def order(self, rollout_id: str) -> RolloutOrder:
        """Raises `UsageError` for a rollout that is not known, naming the newest ones."""
        ...

    def kept(self, rollout_id: str) -> Kept | None: ...

    def read(self, rollout_id: str, after: int = 0) -> Sequence[Entry]:
        """The entries with a `seq` above `after`, in order."""
        ...

    def batches(self, rollout_id: str) -> Sequence[Entry]:
        """Those that begin and end batches, in order."""
        ...

    def picked(
        self, rollout_id: str, kinds: Sequence[type[Event]] = (), node: str = "", until: int = 0
    ) -> Sequence[Entry]:
        """Those of these `kinds` (none: any), that name the `node` (empty: any), with a `seq` up to `until` (0: all), in
        order. Nothing else is decoded: a question about one node costs a look at its own events.
        """
        ...

    def last(self, rollout_id: str) -> Entry | None:
        """The newest entry; None for a rollout without any."""
        ...

    def open_effects(self, rollout_id: str) -> Sequence[Effect]: ...

    def rollouts(self) -> Sequence[RolloutSummary]:
        """Newest first."""
        ...

    def post(self, rollout_id: str, request: Request) -> None:
        """Puts a request into the inbox of a rollout. Needs no lease. Raises `UsageError` for an unknown rollout."""
        ...

    def posted(self, rollout_id: str) -> Sequence[Posted]:
        """What is in the inbox and not yet handled, oldest first."""
        ...
