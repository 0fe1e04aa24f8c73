"""Users' programs on the controller."""

from __future__ import annotations

from typing import Protocol

from fleet.model.inquiry import CommandEnd, CommandOrder


class Commands(Protocol):
    """For any number of threads."""

    def run(self, order: CommandOrder) -> CommandEnd:
        """Runs a program to its end, and ends all that it has started and left behind, also what made itself a daemon. So it
        does when this process ends in whatever way. Raises nothing for what goes wrong with the program.
        """
        ...

    def stop_now(self) -> None:
        """What runs is ended by force, and nothing is begun any more."""
        ...
