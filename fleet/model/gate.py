"""Gates: what must hold before a wave begins, and after it, for the rollout to go on."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["before", "after"]


class _Gate(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """`timeout` in seconds: what has not passed by then has not passed. Of a gate that asks each node it holds for each of
    them: an HTTP gate counts it from when it asks the node first, a node gate from when all have been asked once.
    """

    timeout: float


class NodeGate(_Gate, frozen=True, tag="node"):
    """The unit of the node's role is active, users' units are and do not restart, and the Kubernetes Node is Ready."""


class ClusterGate(_Gate, frozen=True, tag="cluster"):
    """The Kubernetes Nodes of the wave's clusters are there, and as Ready as before it."""


class HttpGate(_Gate, frozen=True, tag="http"):
    """`url` answers with the status `expect` and, where `contains` is not empty, with that text. The URL may hold {node.name}, {node.address}, {node.site} and {wave}; with one of a
    node, each node is asked.
    """

    url: str
    expect: int = 200
    contains: str = ""


class PrometheusGate(_Gate, frozen=True, tag="prometheus"):
    """The one number that `query` gives is at least `least` and at most `most`."""

    url: str
    query: str
    least: float | None = None
    most: float | None = None


class CommandGate(_Gate, frozen=True, tag="command"):
    """The command ends with 0. Its arguments may hold {wave}."""

    command: tuple[str, ...]


Gate = NodeGate | ClusterGate | HttpGate | PrometheusGate | CommandGate


def asks_each_node(gate: Gate) -> bool:
    """Whether it is left out before a wave: what a change is to mend would keep it from coming."""
    return isinstance(gate, NodeGate) or (isinstance(gate, HttpGate) and "{node." in gate.url)


class GateOrder(msgspec.Struct, frozen=True):
    """Gates to be asked at one moment of a rollout. `check_id` is unique in the fleet; asking twice is harmless.

    `nodes` are names: before a wave those that it will change, after it those that were changed and not asked about.
    `unready` are the Kubernetes Nodes (`CLUSTER/NAME`) that were not Ready, or not there, before the wave.
    """

    check_id: str
    rollout_id: str
    epoch: int
    phase: Phase
    wave: str
    nodes: tuple[str, ...]
    gates: tuple[Gate, ...]
    unready: tuple[str, ...] = ()


class GateAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one gate. `gate` names it ("http https://shop.example/healthz"), `measured` is what was found ("503 in
    0.2 s"), `reason` why it did not pass; one line each, without a secret.

    `unknown`: it could not be asked, and that is no pass. `ill` are the nodes that did not pass a gate that asks each of
    them, with their reasons; the others did. `unready` as in `GateOrder`, found by a cluster gate before the wave.
    """

    gate: str
    outcome: Literal["passed", "failed", "unknown"]
    measured: str = ""
    reason: str = ""
    ill: dict[str, str] = {}
    unready: tuple[str, ...] = ()
