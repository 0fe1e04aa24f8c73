"""The fleet's rollout policy with every default."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import UnsetType

from fleet.model.policy import Amount, DisruptionBudget, PolicyWave, RolloutPolicy
from fleet.model.spec.document import Spec
from fleet.model.spec.policy import BudgetSpec, WaveSpec
from fleet.resolve.gates import gates
from fleet.resolve.windows import said_policy, timing

DEFAULT_SUCCESS_THRESHOLD = "95%"
DEFAULT_MIN_FINISHED = "50%"
DEFAULT_BATCH_SIZE = 50
DEFAULT_ON_FAILURE: Literal["pause"] = "pause"


def policy(spec: Spec) -> RolloutPolicy | None:
    """None where the fleet names no policy: then all nodes go in one wave."""
    said = said_policy(spec)
    if said is None:
        return None
    threshold = _percent(said.success_threshold, DEFAULT_SUCCESS_THRESHOLD)
    finished = _percent(said.min_finished, DEFAULT_MIN_FINISHED)
    waves = () if isinstance(said.waves, UnsetType) else said.waves
    return RolloutPolicy(
        name=str(spec.fleet.spec.rollout_policy),
        unit="cluster" if isinstance(said.unit, UnsetType) else said.unit,
        waves=tuple(_wave(wave, threshold, finished) for wave in waves),
        success_threshold=threshold,
        min_finished=finished,
        batch_size=DEFAULT_BATCH_SIZE if isinstance(said.batch_size, UnsetType) else said.batch_size,
        budget=None if isinstance(said.disruption_budget, UnsetType) else _budget(said.disruption_budget),
        max_failures=_amount(said.max_failures),
        on_failure=DEFAULT_ON_FAILURE if isinstance(said.on_failure, UnsetType) else said.on_failure,
        offline="count" if said.offline_policy == "count" else "defer",
        timing=timing(said),
        gates=gates(said),
        approvers=() if isinstance(said.approvers, UnsetType) else tuple(said.approvers),
    )


def _wave(said: WaveSpec, threshold: Decimal, finished: Decimal) -> PolicyWave:
    return PolicyWave(
        name=said.name,
        selector=None if isinstance(said.selector, UnsetType) else said.selector,
        limit=_amount(said.limit),
        success_threshold=threshold
        if isinstance(said.success_threshold, UnsetType)
        else _number(said.success_threshold),
        min_finished=finished if isinstance(said.min_finished, UnsetType) else _number(said.min_finished),
        needs_approval=said.approval is True,
    )


def _budget(said: BudgetSpec) -> DisruptionBudget:
    return DisruptionBudget(
        group_by=() if isinstance(said.group_by, UnsetType) else tuple(said.group_by),
        min_available=_amount(said.min_available),
        max_unavailable=_amount(said.max_unavailable),
    )


def _amount(said: int | str | UnsetType) -> Amount | None:
    if isinstance(said, UnsetType):
        return None
    return Amount(_number(said), is_share=True) if isinstance(said, str) else Amount(Decimal(said))


def _percent(said: str | UnsetType, default: str) -> Decimal:
    return _number(default if isinstance(said, UnsetType) else said)


def _number(percentage: str) -> Decimal:
    """Exact: a tenth of 30 nodes is 3 of them, and not a little more."""
    return Decimal(percentage.removesuffix("%"))
