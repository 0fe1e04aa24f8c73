"""Gates: asked before a wave begins and once it has soaked; the rollout goes on when they have passed.

Before a wave nothing asks its nodes: one that is ill would keep the change away that is to mend it. After it a node that is
ill counts as failed, and the wave's threshold judges that; a gate that asks the fleet as a whole fails the wave.
"""

from __future__ import annotations

from msgspec.structs import replace

from fleet.decide.checked import unproven
from fleet.decide.course import Course, block, fail_wave, pause
from fleet.decide.layout import members, waiting_behind
from fleet.formats.words import some
from fleet.model import event as ev
from fleet.model.gate import Gate, GateAnswer, GateOrder, Phase, asks_each_node
from fleet.model.rollout import RolloutState, RunningCheck
from fleet.model.signal import GatesAnswered


def gates_hold(course: Course, phase: Phase) -> bool:
    """Whether the gates let the rollout go on: before its next wave, or after the one that runs. Asks them if nobody has.

    Where nothing was applied there is nothing to show, and a wave that has failed needs no more.
    """
    state = course.state
    check = RunningCheck(f"{state.order.id}-gates-{state.checks + 1:04d}", phase, state.wave + (phase == "before"))
    if state.gated >= check.place or not _asked(state, check):
        return True
    if phase == "after" and state.has_failed:
        return True
    if state.checking is None and state.status == "running":
        wave = state.order.waves[check.index].name
        course.add(ev.GatesAsked(check.check_id, phase, wave, check.index))
        ask_again(course)
    return False


def ask_again(course: Course) -> None:
    """Asks what is being asked. Who has taken over cannot know how far that came."""
    state = course.state
    check = state.checking
    if check is None:
        return
    course.gates = GateOrder(
        check_id=check.check_id,
        rollout_id=state.order.id,
        epoch=state.epoch,
        phase=check.phase,
        wave=state.order.waves[check.index].name,
        nodes=tuple(state.layout.nodes[i].name for i in members(_those(state, check))),
        gates=_asked(state, check),
        unready=state.unready if check.phase == "after" else (),
    )


def hear_answers(course: Course, signal: GatesAnswered) -> bool:
    """False where nobody asked, or nobody wants to know any more."""
    state = course.state
    check = state.checking
    if check is None or check.check_id != signal.check_id:
        return False
    wave = state.order.waves[check.index].name
    for answer in signal.answers:
        for name, reason in answer.ill.items():
            _mark_unhealthy(course, check, name, f"{answer.gate}: {reason}")
    told = tuple(replace(answer, ill={}) for answer in signal.answers)
    reasons = [_reason(answer) for answer in signal.answers if answer.outcome != "passed" and not answer.ill]
    if len(signal.answers) < len(_asked(state, check)):
        reasons.append("not every gate has answered")
    if not reasons:
        course.add(ev.GatesPassed(check.check_id, check.phase, wave, check.index, told))
        return True
    reason, is_borne = some(reasons), state.order.on_failure == "continue"
    course.add(ev.GatesFailed(check.check_id, check.phase, wave, check.index, reason, told, is_borne))
    if check.phase == "after":
        fail_wave(course, reason)
    elif not is_borne:
        pause(course, f"the gates before wave {wave} do not let it begin")
    return True


def _asked(state: RolloutState, check: RunningCheck) -> tuple[Gate, ...]:
    if not _those(state, check):
        return ()
    return tuple(gate for gate in state.order.gates if check.phase == "after" or not asks_each_node(gate))


def _those(state: RolloutState, check: RunningCheck) -> int:
    if check.phase == "before":
        return state.layout.waves[check.index]
    return state.asking if state.checking else unproven(state, check.index)


def _mark_unhealthy(course: Course, check: RunningCheck, name: str, reason: str) -> None:
    """What came after it was begun when it was well, and goes on; what was not begun, does not begin."""
    state = course.state
    index = course.layout.index.get(name, -1)
    if index < 0 or not state.applied >> index & 1:
        return
    node = course.layout.nodes[index]
    course.add(ev.NodeUnhealthy(node.name, node.site, check.check_id, reason))
    untouched = [i for i in waiting_behind(course.layout, index) if not (state.finals | state.in_flight) >> i & 1]
    for i in untouched:
        block(course, i, node.name, f"server {node.name} is not healthy: {reason}")


def _reason(answer: GateAnswer) -> str:
    return f"{answer.gate}: {answer.reason or answer.outcome}"
