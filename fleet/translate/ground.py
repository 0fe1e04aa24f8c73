"""What every step of a translation stands on."""

from __future__ import annotations

import msgspec

from fleet.translate.facts import Effective, Facts
from fleet.translate.notes import Notes


class Ground(msgspec.Struct, frozen=True, eq=False):
    """What the inventory says, what holds for each host, and the report while it is written."""

    facts: Facts
    effective: Effective
    notes: Notes
