"""A RolloutPolicy: how a change goes out, as it was meant. Total: every default applied, nothing left to look up."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Literal

import msgspec

from fleet.model.gate import Gate
from fleet.model.spec.selector import Selector
from fleet.model.window import Timing


class Amount(msgspec.Struct, frozen=True):
    """A count, or with `is_share` a percentage (0 to 100) of something."""

    number: Decimal
    is_share: bool = False

    def of(self, total: int) -> int:
        """How many of `total`. A share is rounded up."""
        return math.ceil(self.number * total / 100) if self.is_share else int(self.number)


class PolicyWave(msgspec.Struct, frozen=True):
    """`selector` None: all that are left; `limit` None: no limit. The last two are percentages."""

    name: str
    selector: Selector | None
    limit: Amount | None
    success_threshold: Decimal
    min_finished: Decimal
    needs_approval: bool = False


class DisruptionBudget(msgspec.Struct, frozen=True):
    """How many nodes of a group may be away at once. Nodes with equal values of the labels `group_by` are a group."""

    group_by: tuple[str, ...]
    min_available: Amount | None
    max_unavailable: Amount | None

    def allowed(self, total: int) -> int:
        """How many of a group of `total` nodes may be away. 0: none of them can ever change."""
        least = self.min_available.of(total) if self.min_available else 0
        most = self.max_unavailable.of(total) if self.max_unavailable else total
        return max(0, min(most, total - least))


class RolloutPolicy(msgspec.Struct, frozen=True):
    """`waves` in their order; the two percentages are those of the last wave, which takes what no wave names. `timing` has
    no zones: they are the sites'.
    """

    name: str
    unit: Literal["cluster", "node"]
    waves: tuple[PolicyWave, ...]
    success_threshold: Decimal
    min_finished: Decimal
    batch_size: int
    budget: DisruptionBudget | None
    max_failures: Amount | None
    on_failure: Literal["pause", "rollback", "continue"]
    offline: Literal["defer", "count"] = "defer"
    timing: Timing = Timing()
    gates: tuple[Gate, ...] = ()
    approvers: tuple[str, ...] = ()


class Wave(msgspec.Struct, frozen=True):
    """What a wave took of the changing nodes: whole units, by name, in the order in which nodes were given."""

    name: str
    nodes: tuple[str, ...]
    units: int
    success_threshold: Decimal | None = None
    min_finished: Decimal | None = None
    """Percentages; None where no policy asks for any."""
    needs_approval: bool = False


class NodeGroup(msgspec.Struct, frozen=True):
    """Nodes of which at most `allowed` are away at once. `lacking` are labels of the budget that they do not have;
    `is_quorum`: the servers of a cluster.
    """

    name: str
    nodes: tuple[str, ...]
    allowed: int
    lacking: tuple[str, ...] = ()
    is_quorum: bool = False
