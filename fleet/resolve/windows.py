"""What the fleet's rollout policy says of time and of draining, with every default."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from fleet.model.drain import DrainRule
from fleet.model.spec.document import Spec
from fleet.model.window import SITE_ZONE, Freeze, Schedule
from fleet.resolve.policy import said_policy

DEFAULT_PROGRESS_DEADLINE = "30m"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def schedule(spec: Spec) -> Schedule | None:
    """None where the fleet's policy has no updateSchedule."""
    policy = said_policy(spec)
    if policy is None or isinstance(policy.update_schedule, UnsetType):
        return None
    said = policy.update_schedule
    deadline = (
        DEFAULT_PROGRESS_DEADLINE if isinstance(policy.progress_deadline, UnsetType) else policy.progress_deadline
    )
    freezes = () if isinstance(policy.freezes, UnsetType) else policy.freezes
    return Schedule(
        at=said.at,
        seconds=_seconds(said.duration),
        zone=SITE_ZONE if isinstance(said.time_zone, UnsetType) else said.time_zone,
        needed=_seconds(deadline),
        freezes=tuple(
            Freeze(one.from_, one.to, "" if isinstance(one.reason, UnsetType) else one.reason) for one in freezes
        ),
    )


def drain_rule(spec: Spec) -> DrainRule:
    policy = said_policy(spec)
    said = UNSET if policy is None else policy.drain
    if isinstance(said, UnsetType):
        return DrainRule()
    timeout = DrainRule().timeout if isinstance(said.timeout, UnsetType) else _seconds(said.timeout)
    return DrainRule(timeout, force=not isinstance(said.force, UnsetType) and said.force)


def _seconds(duration: str) -> float:
    """A Go-style duration (`1h30m`) whose form load checked."""
    total, number, at = 0.0, "", 0
    while at < len(duration):
        if duration[at] in "0123456789.":
            number += duration[at]
            at += 1
            continue
        unit = "ms" if duration.startswith("ms", at) else duration[at]
        total += float(number) * _UNITS[unit]
        number, at = "", at + len(unit)
    return total
