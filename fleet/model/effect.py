"""Effects: work that a decision asks for. Kept in the journal until an event says how it ended."""

from __future__ import annotations

import msgspec

from fleet.model.batch import BatchOrder
from fleet.model.event import Event
from fleet.model.gate import GateOrder


class RunBatch(msgspec.Struct, frozen=True, tag=True, tag_field="effect"):
    order: BatchOrder


Effect = RunBatch


class Decision(msgspec.Struct, frozen=True):
    """`effects` may be carried out only after `events` are in the journal. At `wake_at` (seconds since 1970) more happens
    by itself, if a `Tick` tells of it; None: nothing does. `gates` are to be asked: that changes nothing, so no journal has
    to remember it, and who takes over asks again.
    """

    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake_at: float | None = None
    gates: GateOrder | None = None
