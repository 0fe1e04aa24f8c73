"""What of the fleet's RolloutPolicy its nodes make pointless: allowed, and hardly meant."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.formats.words import count, some
from fleet.model.fleet import ResolvedFleet
from fleet.model.problem import Mistake
from fleet.model.spec.document import Spec
from fleet.resolve.budgets import budgets
from fleet.resolve.waves import matches_nothing


def doubts(spec: Spec, fleet: ResolvedFleet) -> Iterator[Mistake]:
    """Warnings, placed in the policy's document."""
    policy, nodes = fleet.policy, len(fleet.nodes)
    if policy is None or not nodes:
        return
    place = spec.policies[policy.name].place("spec")
    idle = matches_nothing(fleet)
    for at, wave in enumerate(policy.waves):
        if wave.name in idle:
            yield Mistake(
                place.at("waves", at, "selector"),
                "no node of the fleet is what it asks for, so the wave is empty",
                "fleet node list --selector tries one.",
                severity="warning",
            )
    most = policy.max_failures
    if most is not None and not most.is_share and most.number > nodes:
        told = f"{most.number:,} is more than the {count(nodes, 'node')} of the fleet, so it never pauses a rollout"
        yield Mistake(place.at("maxFailures"), told, "A percentage grows with the rollout.", severity="warning")
    groups = budgets(fleet, {node.name for node in fleet.nodes}, ())
    if stuck := [group.name for group in groups if not group.allowed]:
        told = f"lets no node of {some(stuck)} ever change: as many have to be available as there are"
        yield Mistake(
            place.at("disruptionBudget"), told, "maxUnavailable: 1 lets one go at a time.", severity="warning"
        )
