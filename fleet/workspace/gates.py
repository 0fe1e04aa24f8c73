"""Gates of a fleet folder, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.operations.intent import Intent
    from fleet.ports.gates import Gates
    from fleet.wiring import Wiring


def gates_of(wiring: Wiring, intent: Intent, forks: int, *, cluster: bool) -> Gates:
    """For one rollout: what was told to stop asks nothing any more. Without `cluster`, Kubernetes is not talked to. Nothing is
    opened before a gate is asked.
    """
    from fleet.operations.gating.gates import FleetGates, GateHands
    from fleet.operations.preparing import project_writer
    from fleet.workspace.clusters import cluster_of

    web = wiring.web()
    writer = project_writer(intent, wiring.folder, wiring.shipped, wiring.records)
    hands = GateHands(
        web=web,
        metrics=wiring.metrics(web),
        commands=wiring.commands(),
        hand=wiring.hand(writer, forks),
        records=wiring.records,
        clock=wiring.clock,
        cluster_of=cluster_of(wiring, intent) if cluster else None,
    )
    return FleetGates(intent, hands)
