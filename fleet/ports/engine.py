"""What drives rollouts: the one decision core, with a journal on this machine or on a workflow server."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import msgspec

from fleet.model.event import Event
from fleet.model.rollout import RolloutOrder, RolloutStatus, RolloutSummary
from fleet.model.signal import Request
from fleet.ports.journal import Entry


class Answer(msgspec.Struct, frozen=True):
    """What becomes of a request. `driver` is the controller that hears it, within seconds: the one that drives the rollout,
    or, of a cancel, the one that drives another. Empty: there is none, and unless `is_done` the request waits for whoever
    resumes it.

    `status` is the rollout's now; `under_way` counts nodes whose batch has not ended as far as anybody knows.
    """

    rollout_id: str
    driver: str
    is_done: bool
    status: RolloutStatus
    under_way: int = 0


class Rollouts(Protocol):
    """What anybody may ask of rollouts, and tell them, from any process. All raise `UsageError` for a rollout that is not
    known, naming the newest ones.
    """

    def signal(self, rollout_id: str, request: Request) -> Answer:
        """Tells a rollout something. A cancel of one that nobody drives is carried out at once, by this process or by the
        controller that drives another rollout meanwhile.

        Raises `UsageError` for what would change nothing (a pause of a paused one), saying what is possible now.
        """
        ...

    def events_after(self, rollout_id: str, seq: int = 0) -> Sequence[Entry]:
        """What has happened since the entry `seq`, in order."""
        ...

    def last(self, rollout_id: str) -> Entry | None:
        """The newest of them; None for a rollout that has not begun."""
        ...

    def driver(self, rollout_id: str) -> str:
        """The controller that drives a rollout now; empty for none: it has ended, is paused, or its controller died."""
        ...

    def holder(self) -> str:
        """The controller that may drive rollouts now, whichever; empty where the next one may."""
        ...

    def is_ending(self, rollout_id: str) -> bool:
        """Whether it has ended, or will as soon as it is known how far its open batches came: it was cancelled or superseded,
        or that is what its inbox says.
        """
        ...

    def list(self) -> Sequence[RolloutSummary]:
        """Newest first."""
        ...


class Engine(Rollouts, Protocol):
    """Events are yielded after they are kept. Closing a generator early is `stop`: it returns when what ran is over."""

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        """Carries out a new rollout, to its end or to a pause."""
        ...

    def resume(self, rollout_id: str) -> Iterator[Event]:
        """Goes on with a rollout that was paused or whose controller died. Raises `UsageError` when it has ended."""
        ...

    def roll_back(self, rollout_id: str, only: Collection[str] = ()) -> Iterator[Event]:
        """Brings back what a rollout brought, by another one: to the nodes `only`, to all where there are none. Raises `UsageError` for one that is not known, `BusyError`
        while a controller drives any.
        """
        ...

    def stop(self) -> None:
        """Once: no new batch, and a pause when the running ones are over. Twice: ends the running ones now."""
        ...
