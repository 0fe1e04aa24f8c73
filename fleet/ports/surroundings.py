"""The machine that fleet runs on, as far as `fleet doctor` asks for it."""

from __future__ import annotations

from typing import Protocol

from fleet.model.diagnosis import Surroundings


class Machine(Protocol):
    def look(self) -> Surroundings: ...
