"""What drives rollouts: the one decision core, with a journal on this machine or on a workflow server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fleet.model.event import Event
from fleet.model.rollout import RolloutOrder


class Engine(Protocol):
    """Events are yielded after they are kept. Closing a generator early is `stop`: it returns when what ran is over."""

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        """Carries out a new rollout, to its end or to a pause."""
        ...

    def resume(self, rollout_id: str) -> Iterator[Event]:
        """Goes on with a rollout that was paused or whose controller died. Raises `UsageError` when it has ended."""
        ...

    def stop(self) -> None:
        """Once: no new batch, and a pause when the running ones are over. Twice: ends the running ones now."""
        ...
