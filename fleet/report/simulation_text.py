"""A rehearsed rollout as text: how long, in which waves, who was away, where it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fleet.formats.words import count, duration, moment, some
from fleet.model.rollout import RolloutCounts
from fleet.model.simulation import (
    Operator,
    Quiet,
    SimulatedGroup,
    SimulatedRun,
    SimulatedWave,
    Simulation,
    Why,
    World,
)
from fleet.report.line import Line, line
from fleet.report.table import Column, table_lines

_WAVES = (Column("  WAVE", is_name=True), Column("NODES"), Column("BEGINS"), Column("TAKES"), Column("OUTCOME"))
_PAUSES = 3
_WHY: dict[Why, str] = {
    "window": "window shut",
    "rate": "rate",
    "soak": "soak",
    "gates": "asking gates",
    "approval": "waiting for approval",
    "pause": "pause",
    "nothing": "nothing to be done",
}


def simulation_lines(simulation: Simulation, width: int = 0) -> Iterator[Line]:
    """`width` is in characters; 0 means as wide as it gets."""
    yield line(_head(simulation))
    for run in simulation.runs:
        yield line("")
        yield from _run_lines(run, width)
    yield line("")
    yield _labelled("Nodes", _world(simulation.world))
    yield _labelled("Operator", _operator(simulation.operator, max(run.approvals for run in simulation.runs)))
    for note in simulation.notes:
        yield _labelled("Note", note)


def run_headline(run: SimulatedRun) -> str:
    """`2% failures: finished after 3 h 5 min, 10,000 applied`."""
    verb = {"halted": "ended", "waiting": "stuck"}.get(run.outcome, run.outcome)
    return f"{percent(run.failures)} failures: {verb} after {duration(round(run.seconds))}, {counted(run.counts)}"


def percent(share: float) -> str:
    return f"{share:g}%"


def counted(counts: RolloutCounts) -> str:
    """What is zero is left out, but for the applied ones."""
    rest = {
        "failed": counts.failed,
        "offline": counts.unreachable,
        "blocked": counts.blocked,
        "not begun": counts.waiting,
    }
    return ", ".join(
        [f"{counts.applied:,} applied", *(f"{number:,} {name}" for name, number in rest.items() if number)]
    )


def _head(simulation: Simulation) -> str:
    commit = simulation.commit[:7] or "a folder outside git"
    copies = f" ({simulation.copies:,} copies of the fleet)" if simulation.copies > 1 else ""
    policy = f"RolloutPolicy {simulation.policy}" if simulation.policy else "no RolloutPolicy"
    return (
        f"fleet {simulation.fleet} at {commit}, rehearsed: {count(simulation.nodes, 'pretend node')} at"
        f" {count(simulation.sites, 'site')}{copies}, {policy}, {simulation.forks:,} at once"
    )


def _run_lines(run: SimulatedRun, width: int) -> Iterator[Line]:
    yield line(run_headline(run), "answer")
    for why in _reasons(run):
        yield line(f"  because {why}", "warning")
    yield from table_lines(_WAVES, [_wave(wave) for wave in run.waves], width)
    yield from _away_lines(run)
    for pause in run.pauses[:_PAUSES] if run.outcome != "paused" else ():
        on = "" if pause.resumed_at is None else f", resumed after {duration(round(pause.resumed_at - pause.at))}"
        yield _labelled("  Paused", f"after {duration(round(pause.at))}: {pause.reason}{on}")
    if len(run.pauses) > _PAUSES:
        yield _labelled("  Paused", f"{count(len(run.pauses), 'time')} in all: --json lists them")
    if run.quiet:
        yield _labelled("  Quiet", f"nothing was under way for {_quiet(run.quiet)}")
    if run.lies:
        yield _labelled("  Lies", f"{run.lies:,} told by nodes of themselves, {run.believed:,} believed")


def _reasons(run: SimulatedRun) -> Iterator[str]:
    failed = [f"wave {wave.name} failed: {wave.reason}" for wave in run.waves if wave.reason]
    if run.reason and not any(told.startswith(run.reason) for told in failed):
        yield run.reason
    yield from failed


def _quiet(quiet: Sequence[Quiet]) -> str:
    waited: Counter[str] = Counter()
    for each in quiet:
        waited[_WHY[each.why]] += round(each.ends - each.begins)
    return ", ".join(f"{duration(seconds)} ({why})" for why, seconds in waited.most_common())


def _wave(wave: SimulatedWave) -> tuple[str, ...]:
    begins = "" if wave.begins is None else "at once" if not wave.begins else f"after {duration(round(wave.begins))}"
    takes = "" if wave.begins is None or wave.ends is None else duration(round(wave.ends - wave.begins))
    told = f"{wave.outcome}: {counted(wave.counts)}" if wave.begins is not None else wave.outcome
    return f"  {wave.name}", f"{wave.nodes:,}", begins, takes, told


def _away_lines(run: SimulatedRun) -> Iterator[Line]:
    if run.groups:
        yield _labelled("  Away", f"at most {_worst(run.groups)}")
        over = [group.name for group in run.groups if group.allowed is not None and group.away > group.allowed]
        if over:
            told = f"{count(len(over), 'group')} had more away than their budget allows ({some(over)})"
            yield line(
                f"  ! {told}: nodes that never answer, and nobody had asked (fleet plan --refresh does)", "warning"
            )
    if run.sites and _sizes(run.groups) != _sizes(run.sites):
        yield _labelled("  Sites" if run.groups else "  Away", f"at most {_worst(run.sites)}")


def _sizes(groups: Sequence[SimulatedGroup]) -> list[tuple[int, int]]:
    """Equal where both are the same nodes under two names."""
    return sorted((group.nodes, group.away) for group in groups)


def _worst(groups: Sequence[SimulatedGroup]) -> str:
    """The groups of which most are away, measured by their budget, or by their size where they have none."""
    worst = max(groups, key=_pressure)
    alike = [group for group in groups if _pressure(group) == _pressure(worst)]
    more = f" and {len(alike) - 1:,} more" if len(alike) > 1 else ""
    budget = "" if worst.allowed is None else f"; its budget allows {worst.allowed:,}"
    return f"{worst.away:,} of {count(worst.nodes, 'node')} at once ({worst.name}{more}){budget}"


def _pressure(group: SimulatedGroup) -> tuple[float, float]:
    return (group.away - (group.allowed or 0), group.away / max(group.nodes, 1))


def _world(world: World) -> str:
    latency = f"{duration(round(world.latency))} each, one in six over {duration(round(world.latency * world.spread))}"
    shares = {"offline": world.offline, "flapping": world.flapping, "lying": world.lying}
    told = [f"{percent(share)} {name}" for name, share in shares.items() if share]
    if world.closed:
        told.append(f"switched off from {world.closed[0]} to {world.closed[1]} o'clock but for servers")
    return ", ".join([latency, *told, f"seed {world.seed}, from {moment(world.begins_at)}"])


def _operator(operator: Operator, approvals: int) -> str:
    told = "stays away: a run ends at its first pause (--resume TIME)"
    if operator.resumes_after is not None:
        told = f"goes on {duration(round(operator.resumes_after))} after each pause"
    if not approvals:
        return told
    wait = f"{duration(round(operator.approves_after))} after it asked" if operator.approves_after else "at once"
    return f"{told}; approves of a wave {wait}"


def _labelled(label: str, text: str) -> Line:
    return line(f"{label:<8} {text}", "label")
