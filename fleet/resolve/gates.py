"""The gates of the fleet's rollout policy, with every default."""

from __future__ import annotations

from typing import assert_never

from msgspec import UnsetType

from fleet.model import gate as total
from fleet.model.spec import policy as said
from fleet.model.spec.policy import RolloutPolicySpec
from fleet.resolve.windows import seconds_of

DEFAULT_EXPECT = 200
DEFAULT_TIMEOUT = "5m"
DEFAULT_QUERY_TIMEOUT = "30s"
"""Of an answer by HTTP, which comes at once or not at all."""


def gates(policy: RolloutPolicySpec) -> tuple[total.Gate, ...]:
    """In their order."""
    return () if isinstance(policy.gates, UnsetType) else tuple(_gate(each) for each in policy.gates)


def _gate(gate: said.Gate) -> total.Gate:
    match gate:
        case said.NodeGate():
            return total.NodeGate(timeout=seconds_of(gate.timeout, DEFAULT_TIMEOUT))
        case said.ClusterGate():
            return total.ClusterGate(timeout=seconds_of(gate.timeout, DEFAULT_TIMEOUT))
        case said.HttpGate():
            return total.HttpGate(
                timeout=seconds_of(gate.timeout, DEFAULT_QUERY_TIMEOUT),
                url=gate.url,
                expect=DEFAULT_EXPECT if isinstance(gate.expect, UnsetType) else gate.expect,
                contains="" if isinstance(gate.contains, UnsetType) else gate.contains,
            )
        case said.PrometheusGate():
            return total.PrometheusGate(
                timeout=seconds_of(gate.timeout, DEFAULT_QUERY_TIMEOUT),
                url=gate.url,
                query=gate.query,
                least=_bound(gate.min),
                most=_bound(gate.max),
            )
        case said.CommandGate():
            return total.CommandGate(timeout=seconds_of(gate.timeout, DEFAULT_TIMEOUT), command=tuple(gate.command))
        case _:
            assert_never(gate)


def _bound(value: float | UnsetType) -> float | None:
    return None if isinstance(value, UnsetType) else value
