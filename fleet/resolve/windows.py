"""What the fleet's rollout policy says of time and of draining, with every default."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from fleet.model.drain import DrainRule
from fleet.model.spec.document import Spec
from fleet.model.spec.policy import RolloutPolicySpec
from fleet.model.window import DEFAULT_PROGRESS_DEADLINE, SITE_ZONE, Freeze, Schedule, Timing

DEFAULT_OFFLINE_AFTER = "24h"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def said_policy(spec: Spec) -> RolloutPolicySpec | None:
    """What people wrote of the policy that the fleet names; None where it names none."""
    name = spec.fleet.spec.rollout_policy
    document = None if isinstance(name, UnsetType) else spec.policies.get(name)
    return None if document is None else document.spec


def schedule(spec: Spec) -> Schedule | None:
    """The window of reboots; None where the fleet's policy has no updateSchedule."""
    policy = said_policy(spec)
    if policy is None or isinstance(policy.update_schedule, UnsetType):
        return None
    return _schedule(policy)


def timing(policy: RolloutPolicySpec) -> Timing:
    rate = policy.exponential_rate
    factor = UNSET if isinstance(rate, UnsetType) else rate.increment_factor
    return Timing(
        schedule=_schedule(policy),
        soak=0.0 if isinstance(policy.min_success_time, UnsetType) else seconds(policy.min_success_time),
        rate=0.0 if isinstance(rate, UnsetType) else rate.base_rate_per_minute,
        rate_factor=1.0 if isinstance(factor, UnsetType) else factor,
        deadline=_deadline(policy),
        offline_after=seconds_of(policy.offline_after, DEFAULT_OFFLINE_AFTER),
    )


def _schedule(policy: RolloutPolicySpec) -> Schedule | None:
    """With freezes alone, a window that is open but for them."""
    said = policy.update_schedule
    freezes = () if isinstance(policy.freezes, UnsetType) else policy.freezes
    days = tuple(Freeze(one.from_, one.to, _or(one.reason, "")) for one in freezes)
    if isinstance(said, UnsetType):
        return Schedule("", 0.0, needed=_deadline(policy), freezes=days) if days else None
    return Schedule(said.at, seconds(said.duration), _or(said.time_zone, SITE_ZONE), _deadline(policy), days)


def _deadline(policy: RolloutPolicySpec) -> float:
    return seconds_of(policy.progress_deadline, DEFAULT_PROGRESS_DEADLINE)


def seconds_of(said: str | UnsetType, default: str) -> float:
    return seconds(_or(said, default))


def _or(said: str | UnsetType, default: str) -> str:
    return default if isinstance(said, UnsetType) else said


def drain_rule(spec: Spec) -> DrainRule:
    policy = said_policy(spec)
    said = UNSET if policy is None else policy.drain
    if isinstance(said, UnsetType):
        return DrainRule()
    timeout = DrainRule().timeout if isinstance(said.timeout, UnsetType) else seconds(said.timeout)
    return DrainRule(timeout, force=not isinstance(said.force, UnsetType) and said.force)


def seconds(duration: str) -> float:
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
