"""A Plan as text: the answer first, groups instead of lists, the next command last (cli.md, A plan)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.formats.words import count, duration, moment, size, some
from fleet.model.plan import Forecast, Plan, PlannedBudget, PlannedTime, PlannedWave
from fleet.model.window import SITE_ZONE
from fleet.report.groups import group_lines
from fleet.report.line import Line, line
from fleet.report.verdicts import headline, verdict_lines


def plan_lines(plan: Plan) -> tuple[Line, ...]:
    """All lines of a plan, without colour or line ends."""
    return tuple(_lines(plan))


def _lines(plan: Plan) -> Iterator[Line]:
    yield line(_head(plan))
    yield line("")
    yield line(_answer(plan), "answer")
    yield from group_lines(plan.groups)
    yield from _left_alone(plan)
    if plan.nodes:
        if plan.policy:
            yield _labelled("Policy", f"{plan.policy}, for this plan alone")
        yield _labelled("Waves", ", ".join([*_waves(plan.waves), "servers before agents"]))
        yield from _no_match(plan.waves)
        yield from _budget(plan.budget)
        yield from _time(plan.time)
        yield from _proof(plan)
        yield from _forecast(plan.forecast)
        if plan.draining:
            servers = f"{count(len(plan.draining), 'server')} ({some(plan.draining)})"
            yield _labelled("Drained", f"{servers} before K3s is exchanged there, one at a time in each cluster")
        yield from _confirming(plan.confirming)
        yield _labelled("Risk", _risk(plan))
    yield from _verdicts(plan)
    if plan.nodes:
        yield _labelled("Estimate", _estimate(plan))
    for name, number in sorted(plan.pending.items()):
        nodes = count(number, "node")
        yield _labelled("Pending", f"{name} of {nodes} is known only after a first contact: plan again then")
    if plan.unenforced:
        yield _labelled("Declared", f"but not enforced yet: {', '.join(plan.unenforced)}")
    if tail := _next(plan):
        yield line("")
        yield line(tail, "next")


def _left_alone(plan: Plan) -> Iterator[Line]:
    """What does not become as git wants it, or not at once."""
    if plan.removed:
        yield line(f"  ! gone from the spec and left as they are: {some(plan.removed)}")
    if plan.adopting:
        yield line(f"  ! being adopted and left as they are: {some(plan.adopting)} (fleet node adopt shows what waits)")
    for rollout, names in plan.held_back.items():
        many = f"{count(len(names), 'node')} ({some(names)})"
        yield line(f"  ! held back on {many}, until it changes in git: rollout {rollout} was rolled back")
        yield line(f"    fleet rollout retry {rollout} brings it all the same", "next")
    if plan.rebooting_later:
        opens = f"the first opens {moment(plan.next_window)}" if plan.next_window else "none ever opens"
        yield line(f"  ! to be rebooted in their window ({opens}): {some(plan.rebooting_later)}")
    for (step, wanted), clusters in sorted(_walks(plan).items()):
        many = f"{count(len(clusters), 'cluster')} ({some(clusters)})"
        yield line(f"  ! K3s goes to {step} first, then on to {wanted}, in {many}: fleet apply takes each step")


def _waves(waves: Sequence[PlannedWave]) -> Iterator[str]:
    """What is counted is said once: pilot 12 nodes, ramp 311. A plan that an older fleet saved has none."""
    for at, wave in enumerate(waves):
        approval = " (after an approval)" if wave.needs_approval and wave.nodes else ""
        yield f"{wave.name} {f'{wave.nodes:,}' if at else count(wave.nodes, 'node')}{approval}"


def _no_match(waves: Sequence[PlannedWave]) -> Iterator[Line]:
    if names := [wave.name for wave in waves if wave.matches_nothing]:
        whose = "wave" if len(names) == 1 else "waves"
        yield line(f"  ! no node of the fleet is what the selector of {whose} {some(names)} asks for", "warning")


def _time(time: PlannedTime) -> Iterator[Line]:
    if time.window or time.shut:
        yield _labelled("Windows", f"{_window(time)}{_opens(time)}")
    pace = [f"each wave soaks for {duration(int(time.soak))}"] if time.soak else []
    pace += [f"at most {time.rate:g} nodes a minute in the first wave"] if time.rate else []
    if pace:
        yield _labelled("Pace", "; ".join(pace))


def _forecast(it: Forecast | None) -> Iterator[Line]:
    if it is None:
        return
    if not it.seconds:
        yield _labelled("Time", f"none of {count(it.left, 'node')} can begin")
        return
    approvals = f", plus {count(it.approvals, 'approval')}" if it.approvals else ""
    known = f"the median of {it.measured:,}" if it.measured > 1 else "as the last one" if it.measured else "assumed"
    how = f"{count(it.forks, 'node')} at once, {duration(round(it.batch_seconds))} a batch ({known})"
    left = f"; {count(it.left, 'node')} cannot begin" if it.left else ""
    yield _labelled("Time", f"{_long(it)}{approvals}: {how}{left}")


def _long(it: Forecast) -> str:
    if it.windows:
        many = count(it.windows, "night" if it.at_night else "window")
        return f"about {many}, until {moment(it.ends)}"
    return f"about {duration(round(it.seconds))}"


def _proof(plan: Plan) -> Iterator[Line]:
    """What a wave has to show, and what happens where it does not."""
    if plan.gates:
        yield _labelled("Gates", f"{some(plan.gates)}: before each wave and after it")
    if plan.rolls_back:
        upgraded = plan.radius.clusters_upgraded
        apart = f"; K3s of {count(upgraded, 'cluster')} does not go back: it never does" if upgraded else ""
        yield _labelled("Failure", f"rolls back what the rollout brought{apart}")


def _window(time: PlannedTime) -> str:
    if not time.window:
        return "every moment that is not frozen"
    zone = "each site's own time" if time.zone == SITE_ZONE else time.zone
    return f"{time.window} for {duration(int(time.window_seconds))}, {zone}"


def _opens(time: PlannedTime) -> str:
    if not time.shut:
        return "; open now"
    opens = f"the first opens {moment(time.opens)}" if time.opens else "none ever opens"
    return f"; shut for {count(time.shut, 'node')}{f' ({time.freeze})' if time.freeze else ''}, {opens}"


def _budget(budget: PlannedBudget) -> Iterator[Line]:
    if not budget.groups:
        return
    alone = [f"{count(number, 'node')} without {label}" for label, number in sorted(budget.lacking.items())]
    apart = f"; on their own: {', '.join(alone)}" if alone else ""
    yield _labelled("Budget", f"{count(budget.groups, 'group')}{apart}")
    if budget.stuck:
        yield line(f"  ! whose budget lets no node change: {some(budget.stuck)}", "warning")


def _confirming(nodes: Sequence[str]) -> Iterator[Line]:
    if nodes:
        are = "is" if len(nodes) == 1 else "are"
        who = f"{count(len(nodes), 'node')} {are} confirmed over a new connection"
        yield _labelled("Way in", f"{who}, or put back what changes there")


def _walks(plan: Plan) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for walk in plan.walking:
        found.setdefault((walk.step, walk.wanted), []).append(walk.cluster)
    return found


def _labelled(label: str, text: str) -> Line:
    return line(f"{label:<8} {text}", "label")


def _head(plan: Plan) -> str:
    revision = plan.revision
    about = [revision.branch] if revision.branch else []
    if revision.signer:
        about.append(f"signed by {revision.signer}")
    git = f"{revision.short} ({', '.join(about)})" if about else revision.short
    told = f"against what {plan.reported:,} of {count(plan.total, 'node')} last reported"
    if not plan.reported:
        told = f"against {count(plan.total, 'node')} of which none has reported yet"
    sandbox = f", in the sandbox {plan.sandbox}" if plan.sandbox else ""
    return f"fleet {plan.fleet} at {git} {told}{_scope(plan)}{sandbox}"


def _scope(plan: Plan) -> str:
    scope = plan.scope
    parts = []
    if scope.sites:
        parts.append(f"{'site' if len(scope.sites) == 1 else 'sites'} {some(scope.sites)}")
    if scope.selector:
        parts.append(f"selector {scope.selector}")
    if scope.nodes:
        parts.append(f"{'node' if len(scope.nodes) == 1 else 'nodes'} {some(scope.nodes)}")
    if scope.limit:
        parts.append(f"at most {count(scope.limit, 'node')}")
    return f", only {'; '.join(parts)}" if parts else ""


def _answer(plan: Plan) -> str:
    if not plan.nodes and not plan.removed and not plan.adopting:
        back = sum(len(nodes) for nodes in plan.held_back.values())
        apart = f", {back:,} {'is' if back == 1 else 'are'} held back" if back else ""
        return f"Nothing to do: {count(plan.staying - back, 'node')} {_hold(plan.staying - back)} what git wants{apart}"
    changing = len(plan.nodes)
    verb = "changes" if changing == 1 else "change"
    return f"{count(changing, 'node')} {verb}, {plan.staying:,} stay, {len(plan.removed):,} go"


def _hold(number: int) -> str:
    return "holds" if number == 1 else "hold"


def _risk(plan: Plan) -> str:
    radius = plan.radius
    upgrades = (
        f"{count(radius.clusters_upgraded, 'cluster')} {'upgrades' if radius.clusters_upgraded == 1 else 'upgrade'}"
    )
    lose = f"{radius.quorum_lost:,} {'loses' if radius.quorum_lost == 1 else 'lose'} quorum"
    where = (
        f"{count(radius.sites, 'site')}, {count(radius.clusters, 'cluster')}, {count(radius.servers, 'server')} touched"
    )
    return f"{upgrades}, {lose}; {where}"


def _verdicts(plan: Plan) -> Iterator[Line]:
    refused = plan.refused
    if refused:
        yield line(f"{'Refused':<8} {headline(refused)}", "refused")
        yield from verdict_lines(refused, "refused")
    elif plan.nodes:
        yield _labelled("Refused", "nothing")
    warnings = [verdict for verdict in plan.verdicts if verdict.outcome == "warning"]
    if warnings:
        yield line(f"{'Warned':<8} {'once' if len(warnings) == 1 else f'{len(warnings):,} times'}", "warning")
        yield from verdict_lines(warnings, "warning")


def _estimate(plan: Plan) -> str:
    radius = plan.radius
    fetched = f"{size(radius.mirror_bytes)} from mirrors" if radius.mirror_bytes else "nothing from mirrors"
    if not radius.downtime_sites:
        return f"{fetched}; no site's API is down"
    sites = count(radius.downtime_sites, "single-server site")
    each = "each of " if radius.downtime_sites > 1 else ""
    return f"{fetched}; about {duration(radius.downtime_seconds)} without API at {each}{sites}, none elsewhere"


def _next(plan: Plan) -> str:
    if plan.refused:
        return "Nothing is applied while a change is refused. Mend it, then: fleet plan"
    if not plan.nodes:
        return ""
    flag = " --unenforced" if plan.unenforced else ""
    return f"fleet plan --out .fleet/plan.json saves exactly this; fleet apply .fleet/plan.json{flag} carries it out."
