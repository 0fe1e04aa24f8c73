"""What asks gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fleet.model.gate import GateAnswer, GateOrder


class Gates(Protocol):
    def ask(self, order: GateOrder) -> Sequence[GateAnswer]:
        """An answer for each gate, in their order, when all have been asked. A gate that cannot be asked is `unknown`, with
        the reason, and not an error.

        Before a wave, gates that ask each node are not asked: what a change is to mend would keep it from coming.
        """
        ...

    def stop_now(self) -> None:
        """What is being asked is ended at once, also a command, and nothing is asked any more; its gates are `unknown`."""
        ...
