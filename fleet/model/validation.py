"""What `validate` says of a spec without a mistake."""

from __future__ import annotations

import msgspec

from fleet.model.problem import Problem


class Validation(msgspec.Struct, frozen=True):
    """A spec without a mistake: how much of everything it holds, and what is doubtful in it."""

    fleet: str
    documents: int
    others: int
    sites: int
    nodes: int
    clusters: int
    warnings: tuple[Problem, ...]
    unlocked: tuple[str, ...]
