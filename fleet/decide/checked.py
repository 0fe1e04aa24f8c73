"""`evolve`, of gates: what is true after they were asked and answered, and after nodes went back because of them."""

from __future__ import annotations

from msgspec.structs import replace

from fleet.decide.layout import bits
from fleet.model import event as ev
from fleet.model.rollout import RolloutState, RunningBatch, RunningCheck


def gates_asked(state: RolloutState, event: ev.GatesAsked) -> RolloutState:
    check = RunningCheck(event.check_id, event.phase, event.index)
    asking = unproven(state, event.index) if event.phase == "after" else 0
    return replace(state, checking=check, checks=state.checks + 1, asking=asking)


def unproven(state: RolloutState, index: int) -> int:
    """Nodes of the waves up to `index` that were applied, and about which no gate was asked since: what goes on beside the
    next wave is asked about after that one.
    """
    return state.layout.begun[index] & state.applied & ~state.proven


def gates_passed(state: RolloutState, event: ev.GatesPassed) -> RolloutState:
    place = RunningCheck(event.check_id, event.phase, event.index).place
    return replace(
        state,
        checking=None,
        asking=0,
        proven=state.proven | state.asking,
        gated=place,
        doubted=-1 if state.doubted == place else state.doubted,
        unready=_unready(state, event),
    )


def _unready(state: RolloutState, event: ev.GatesPassed | ev.GatesFailed) -> tuple[str, ...]:
    """As it was before the last wave of each cluster: who comes late belongs to an earlier one."""
    if event.phase == "after":
        return state.unready
    measured = {node.cluster for node in state.order.waves[event.index].nodes}
    earlier = {name for name in state.unready if name.partition("/")[0] not in measured}
    return tuple(sorted(earlier.union(*(answer.unready for answer in event.answers))))


def gates_failed(state: RolloutState, event: ev.GatesFailed) -> RolloutState:
    place = RunningCheck(event.check_id, event.phase, event.index).place
    gated, proven = (place, state.proven | state.asking) if event.is_borne else (state.gated, state.proven)
    unready = _unready(state, event)
    return replace(state, checking=None, asking=0, doubted=place, gated=gated, proven=proven, unready=unready)


def returning(state: RolloutState) -> int:
    """Nodes on their way back."""
    return bits(state.layout.index[name] for batch in state.running if batch.is_back for name in batch.nodes)


def under_way(state: RolloutState) -> int:
    """How many nodes are, forward or back."""
    return (state.in_flight | returning(state)).bit_count()


def rolling_back(state: RolloutState, event: ev.NodesRollingBack) -> RolloutState:
    batch = RunningBatch(event.batch_id, event.nodes, event.at, is_back=True)
    return replace(state, batches=state.batches + 1, running=(*state.running, batch))


def rolled_back(state: RolloutState, event: ev.NodeRolledBack) -> RolloutState:
    return replace(state, undone=state.undone | 1 << state.layout.index[event.node])


def not_rolled_back(state: RolloutState, event: ev.NodeNotRolledBack) -> RolloutState:
    return replace(state, stuck=state.stuck | 1 << state.layout.index[event.node])
