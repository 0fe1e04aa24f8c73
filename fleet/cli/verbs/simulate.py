"""`fleet simulate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleet.cli.command import verb
from fleet.cli.face import Face
from fleet.cli.narrowing import narrowing, scope_of
from fleet.cli.options import forks_option, json_option, sandbox_option
from fleet.cli.quantities import Duration, Factor, Hours, Percent, When
from fleet.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from fleet.model.simulation import Rehearsal

F = TypeVar("F", bound=Callable[..., Any])

_WORLD = (
    click.option("--failures", default="2%", show_default=True, type=Percent(), metavar="SHARE",
                 help="The share of nodes that fail in the second run; in the first one none does. 0%: one run."),
    click.option("--offline", default="0%", show_default=True, type=Percent(), metavar="SHARE",
                 help="The share of nodes that never answer, and that nobody knows of."),
    click.option("--known-offline", is_flag=True,
                 help="It is known who never answers, as after `fleet plan --refresh`."),
    click.option("--flapping", default="0%", show_default=True, type=Percent(), metavar="SHARE",
                 help="The share of nodes that come and go: away for a third of 10 to 30 minutes."),
    click.option("--lying", default="0%", show_default=True, type=Percent(), metavar="SHARE",
                 help="The share of nodes that say they are done and are not, or the other way round."),
    click.option("--closed", type=Hours(), metavar="HOURS",
                 help="Nodes but servers are switched off in these hours, by their site's clock, as in `22-6`."),
    click.option("--latency", default="60s", show_default=True, type=Duration(least=1), metavar="TIME",
                 help="How long a node takes: half of them longer."),
    click.option("--spread", default="1.5", show_default=True, type=Factor(), metavar="FACTOR",
                 help="One node in six takes longer than FACTOR times the latency."),
    click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), metavar="N",
                 help="All that chance decides follows from it and from the names of nodes."),
    click.option("--at", "begins_at", default="2026-01-05T08:00", show_default=True, type=When(), metavar="TIME",
                 help="When it begins, in UTC unless TIME says otherwise; `now` is a time too."),
)  # fmt: skip


def _world_options(function: F) -> F:
    for option in reversed(_WORLD):
        function = option(function)
    return function


@verb(
    "simulate",
    examples=[
        "fleet simulate",
        "fleet simulate --all --svg timeline.svg",
        "fleet simulate --all --failures 5% --offline 3% --forks 200",
        "fleet simulate --all --nodes 100000 --resume 30m",
        "fleet simulate --json | jq '.runs[] | {failures, outcome, seconds}'",
    ],
)
@narrowing
@sandbox_option
@click.option("--all", "everything", is_flag=True,
              help="Every node changes, in a fleet that runs already; else those that `fleet apply` would change.")  # fmt: skip
@click.option("--nodes", "number", type=click.IntRange(1, 1_000_000), metavar="N",
              help="N nodes, in copies of the whole fleet, rounded up.")  # fmt: skip
@forks_option
@_world_options
@click.option("--resume", "resumes_after", type=Duration(), metavar="TIME",
              help="After a pause somebody goes on, TIME later; without it a run ends there.")  # fmt: skip
@click.option("--approve", "approves_after", default="0s", show_default=True, type=Duration(), metavar="TIME",
              help="Where the policy wants an approval, it comes TIME after it was asked for.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it, too.")
@json_option
@click.pass_obj
def command(
    face: Face, /, *, sites: tuple[str, ...], selector: str, nodes: tuple[str, ...], limit: int | None, sandbox: str,
    svg: Path | None, as_json: bool, **said: Any,
) -> int:  # fmt: skip
    """Rehearse a rollout with pretend nodes, before anything is touched.

    The order is the one that `fleet apply` would start, and what decides is what decides there; nodes and time are pretended.
    It says how long it takes in how many waves, how many nodes of a site or of a budget's group are away at once, and
    where it stops. The same seed and spec give the same answer. Nothing of the fleet is written.
    """
    from fleet.report.simulation_svg import simulation_svg
    from fleet.report.simulation_text import simulation_lines

    if svg is not None and not svg.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {svg.parent} for the picture", f"mkdir {svg.parent}")
    workspace = face.workspace(sandbox, may_ask=False)
    with face.diagnostics.stage("simulate"):
        found = workspace.simulate(_rehearsal(**said), scope_of(sites, selector, nodes, limit))
    if svg is not None:
        from fleet.adapters.disk import write_atomic

        write_atomic(svg, simulation_svg(found).encode(), 0o644)
    if as_json:
        face.print_json("simulation", found)
        return EXIT_DONE
    face.out.lines(simulation_lines(found, face.out.width))
    face.out.line("")
    drawn = f"{svg} shows it" if svg is not None else "--svg FILE draws it"
    face.out.line(f"nothing was touched; {drawn}; {face.again('plan')} shows what would change", "next")
    return EXIT_DONE


def _rehearsal(
    *, everything: bool, number: int | None, forks: int, failures: float, offline: float, known_offline: bool,
    flapping: float, lying: float, closed: tuple[int, int] | None, latency: float, spread: float, seed: int,
    begins_at: float, resumes_after: float | None, approves_after: float,
) -> Rehearsal:  # fmt: skip
    from fleet.model.simulation import Operator, Rehearsal, World

    world = World(
        seed=seed,
        begins_at=begins_at,
        latency=latency,
        spread=spread,
        offline=offline,
        flapping=flapping,
        lying=lying,
        closed=closed,
        is_offline_known=known_offline,
    )
    runs = (0.0, failures) if failures else (0.0,)
    return Rehearsal(world, Operator(resumes_after, approves_after), runs, everything, number or 0, forks)
