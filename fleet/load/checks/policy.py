"""Checks of a RolloutPolicy: waves, budgets, gates, windows and freezes."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter

from msgspec import UNSET, UnsetType

from fleet.load.checks.site import selector_flaws
from fleet.load.checks.texts import cron_fault, date_fault, label_fault, seconds, time_zones
from fleet.load.flaw import Flaw, twice
from fleet.load.words import near, one_of
from fleet.model.problem import type_path
from fleet.model.spec.policy import (
    BudgetSpec,
    CommandGate,
    Gate,
    HttpGate,
    PrometheusGate,
    RolloutPolicySpec,
    ScheduleSpec,
    WaveSpec,
)
from fleet.model.spec.selector import Selector
from fleet.model.window import DEFAULT_PROGRESS_DEADLINE

_IN_URL = ("node.name", "node.address", "node.site", "wave")
_ON_STDIN = "It reads the nodes of the wave from its standard input, as JSON."
_DAY = 86_400.0


def policy_flaws(spec: RolloutPolicySpec) -> Iterator[Flaw]:
    waves = [] if isinstance(spec.waves, UnsetType) else spec.waves
    yield from twice(("spec", "waves"), [wave.name for wave in waves], "the wave")
    for at, wave in enumerate(waves):
        yield from _wave(("spec", "waves", at), wave, is_last=at == len(waves) - 1)
    if isinstance(spec.disruption_budget, BudgetSpec):
        yield from _budget(("spec", "disruptionBudget"), spec.disruption_budget)
    for at, gate in enumerate([] if isinstance(spec.gates, UnsetType) else spec.gates):
        yield from _gate(("spec", "gates", at), gate)
    if isinstance(spec.update_schedule, ScheduleSpec):
        yield from _schedule(("spec", "updateSchedule"), spec.update_schedule, spec.progress_deadline)
    for at, freeze in enumerate([] if isinstance(spec.freezes, UnsetType) else spec.freezes):
        path: type_path = ("spec", "freezes", at)
        faults = {"from": date_fault(freeze.from_), "to": date_fault(freeze.to)}
        yield from (Flaw((*path, field), fault) for field, fault in faults.items() if fault)
        if not any(faults.values()) and freeze.to < freeze.from_:
            yield Flaw((*path, "to"), f"{freeze.to} is before {freeze.from_}", others=((*path, "from"),))
    for field, value in (("progressDeadline", spec.progress_deadline), ("offlineAfter", spec.offline_after)):
        if isinstance(value, str) and seconds(value) <= 0:
            yield Flaw(("spec", field), "must be longer than nothing")


def _wave(path: type_path, wave: WaveSpec, *, is_last: bool) -> Iterator[Flaw]:
    if isinstance(wave.selector, Selector):
        yield from selector_flaws((*path, "selector"), wave.selector)
    if wave.limit in (0, "0%"):
        yield Flaw((*path, "limit"), "a wave of nothing never ends", "Leave the wave out.")
    if wave.selector in (UNSET, Selector()) and wave.limit is UNSET and not is_last:
        yield Flaw(
            path, "takes every unit that is left, so the waves behind it are empty", "Give it a selector or a limit."
        )


def _budget(path: type_path, budget: BudgetSpec) -> Iterator[Flaw]:
    if budget.min_available is UNSET and budget.max_unavailable is UNSET:
        yield Flaw(path, "expected minAvailable or maxUnavailable, found none")
    if budget.max_unavailable in (0, "0%"):
        yield Flaw((*path, "maxUnavailable"), "lets no node ever change")
    if budget.min_available == "100%":
        yield Flaw((*path, "minAvailable"), "lets no node ever change")
    groups = [] if isinstance(budget.group_by, UnsetType) else budget.group_by
    for at, label in enumerate(groups):
        if fault := label_fault(label, None):
            yield Flaw((*path, "groupBy", at), fault)
    yield from twice((*path, "groupBy"), groups, "the label", "")


def _gate(path: type_path, gate: Gate) -> Iterator[Flaw]:
    if isinstance(gate, HttpGate):
        yield from _placeholders((*path, "url"), gate.url, _IN_URL)
    if isinstance(gate, CommandGate):
        for at, word in enumerate(gate.command):
            if "{node." in word:
                yield Flaw((*path, "command", at), "is run once for all nodes, so {node.…} is not filled in", _ON_STDIN)
    if isinstance(gate, PrometheusGate):
        if gate.max is UNSET and gate.min is UNSET:
            yield Flaw(path, "expected max, min or both, found none")
        elif not isinstance(gate.max, UnsetType) and not isinstance(gate.min, UnsetType) and gate.min > gate.max:
            yield Flaw((*path, "min"), f"{gate.min:g} is above max {gate.max:g}", others=((*path, "max"),))
    if isinstance(gate.timeout, str) and seconds(gate.timeout) <= 0:
        yield Flaw((*path, "timeout"), "must be longer than nothing")


def _placeholders(path: type_path, text: str, known: tuple[str, ...]) -> Iterator[Flaw]:
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        yield Flaw(path, "has a brace without its other half", "Write {{ or }} for a brace.")
        return
    for name in names:
        if name not in known:
            yield Flaw(path, f"expected {one_of(f'{{{each}}}' for each in known)}, found {{{name}}}", near(name, known))


def _schedule(path: type_path, schedule: ScheduleSpec, said: str | UnsetType) -> Iterator[Flaw]:
    """`said` is the policy's progressDeadline."""
    is_default = isinstance(said, UnsetType)
    deadline = DEFAULT_PROGRESS_DEADLINE if isinstance(said, UnsetType) else said
    if fault := cron_fault(schedule.at):
        yield Flaw((*path, "at"), fault.rstrip())
    if not 0 < seconds(schedule.duration) <= 7 * _DAY:
        yield Flaw((*path, "duration"), f"expected more than nothing and at most 168h, found `{schedule.duration}`")
    elif seconds(schedule.duration) < seconds(deadline):
        what = f"{'the default ' if is_default else ''}progressDeadline {deadline}"
        yield Flaw(
            (*path, "duration"),
            f"is shorter than {what}: what could not end inside the window never begins",
            "Make it longer, or progressDeadline shorter.",
        )
    zone = schedule.time_zone
    if isinstance(zone, str) and zone != "site" and zone not in time_zones():
        yield Flaw((*path, "timeZone"), f"no time zone `{zone}` in the IANA database", near(zone, time_zones()))
