"""A rollout rehearsed: planned as `apply` would, and gone through with pretend nodes, once for each share of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fleet.model.simulation import Simulation

if TYPE_CHECKING:
    from fleet.model.plan import Plan, Scope
    from fleet.model.simulation import Rehearsal, RehearsalOrder, SimulatedRun
    from fleet.operations.intent import Intent
    from fleet.operations.upkeep import UpkeepWish
    from fleet.wiring import Wiring


def simulate(wiring: Wiring, intent: Intent, rehearsal: Rehearsal, scope: Scope) -> Simulation:
    from fleet.operations.apply import ApplyOptions
    from fleet.operations.simulate import everything, rehearsal_of
    from fleet.operations.upkeep import UpkeepWish

    wish = UpkeepWish(rehearsal.world.begins_at)
    plan = everything(intent, scope) if rehearsal.everything else _planned(wiring, intent, scope, wish)
    made = rehearsal_of(intent, plan, wiring.records, ApplyOptions(rehearsal.forks, wish=wish), rehearsal.nodes)
    order = made.order
    return Simulation(
        fleet=order.fleet,
        commit=order.commit,
        policy=order.policy,
        nodes=len(order.nodes),
        sites=len({node.site for node in order.nodes}),
        copies=made.copies,
        forks=order.forks,
        batch_size=order.batch_size,
        world=rehearsal.world,
        operator=rehearsal.operator,
        notes=made.notes,
        runs=tuple(_run(wiring, made, rehearsal, failures) for failures in rehearsal.failures),
    )


def _planned(wiring: Wiring, intent: Intent, scope: Scope, wish: UpkeepWish) -> Plan:
    from fleet.operations.plan import plan

    return plan(intent, wiring.records, scope, wish)


def _run(wiring: Wiring, made: RehearsalOrder, rehearsal: Rehearsal, failures: float) -> SimulatedRun:
    from fleet.simulator import Stage, VirtualClock, rehearse

    world = msgspec.structs.replace(rehearsal.world, failures=failures)
    clock = VirtualClock(world.begins_at)
    with wiring.passing_journal(clock) as journal:
        return rehearse(made, world, rehearsal.operator, Stage(journal, clock))
