"""Breaks the decider on purpose, one way at a time: its tests must see each.

    python tests/property/decide/mutants.py [NAME ...]

copies fleet/ and the tests into a folder of its own, and says which mutants live. test_mutants.py holds that each still
fits the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
TESTS = {
    "decide": ("tests/unit/decide", "tests/property/decide/test_policies.py"),
    "resolve": ("tests/unit/resolve/test_waves.py", "tests/unit/resolve/test_budgets.py"),
    "model": ("tests/unit/resolve/test_waves.py", "tests/unit/resolve/test_policy.py"),
}


class Mutant(NamedTuple):
    """`text` occurs once in `file`, and becomes `other`."""

    name: str
    file: str
    text: str
    other: str


WAVE, BUDGET, SCHEDULE = "decide/wave.py", "decide/budget.py", "decide/schedule.py"
PICKING, LAYOUT, EVOLUTION = "decide/picking.py", "decide/layout.py", "decide/evolution.py"
SNAPSHOT, WAVES, BUDGETS = "decide/snapshot.py", "resolve/waves.py", "resolve/budgets.py"
COURSE, GATING, UNDOING = "decide/course.py", "decide/gating.py", "decide/undoing.py"
WAY_BACK, CHECKED = "decide/way_back.py", "decide/checked.py"
WAITING, WINDOWS, DECISION = "decide/waiting.py", "decide/windows.py", "decide/decision.py"
MUTANTS = (
    Mutant("a budget off by one", BUDGET, "self._used_of(number) >= group", "self._used_of(number) > group"),
    Mutant("who failed uses no budget", BUDGET, "state.in_flight | (state.failed & ~state.undone) |", "state.in_flight |"),
    Mutant("who is offline uses no budget", BUDGET, "~state.undone) | state.unreachable |", "~state.undone) |"),
    Mutant("who was away before uses no budget", BUDGET, "state.unreachable | self._before", "state.unreachable"),
    Mutant("who is away for ever", BUDGET, "state.layout.away & ~(state.applied | state.undone)", "state.layout.away"),
    Mutant("others that are away do not count", BUDGET, "len(self._outside(group)) + self", "self"),
    Mutant("a batch is not counted", BUDGET, "self._used_of(number) + 1", "self._used_of(number) + 0"),
    Mutant("who was away is tried with all others", PICKING, "elif budgets.waits_its_turn(index) or", "elif"),
    Mutant("one group of two is looked at", BUDGET, "in self._layout.member_of[index]:\n            group",
           "in self._layout.member_of[index][:1]:\n            group"),
    Mutant("a wide group hides who is away", BUDGET, "~(those << shift) | self._counted(group)", "~(those << shift)"),
    Mutant("one download too many", PICKING, ">= self._crowds[number].most", "> self._crowds[number].most"),
    Mutant("downloads of this batch alone count", PICKING, "self._in_flight >> shift & those", "self._in_flight & 0"),
    Mutant("a site's line is not looked at", LAYOUT, "order.downloads.per_site:", "order.downloads.per_site < 0:"),
    Mutant("a mirror is not looked at", LAYOUT, "order.downloads.per_mirror:", "order.downloads.per_mirror < 0:"),
    Mutant("what is taken downloads nothing", PICKING, "self._count(number) + 1", "self._count(number)"),
    Mutant("a crowd just as large is left alone", LAYOUT, "if len(those) > most]", "if len(those) > most + 1]"),
    Mutant("a threshold just met is missed", WAVE, "(succeeded + left) < threshold", "(succeeded + left) <= threshold"),
    Mutant("a threshold just met waits", WAVE, "100 * succeeded >= threshold", "100 * succeeded > threshold"),
    Mutant("a wave passes while it may fail", WAVE, "threshold * (finished + left) and", "threshold * finished and"),
    Mutant("minFinished takes hope for truth", WAVE, "100 * finished >=", "100 * (finished + left) >="),
    Mutant("minFinished is skipped", WAVE, "if 100 * (finished + left) < least * total:", "if total < 0:"),
    Mutant("offline is a failure", WAVE, "(state.failed & those)", "((state.failed | state.unreachable) & those)"),
    Mutant("nothing is forgiven", WAVE, "[state.wave] & ~state.forgiven", "[state.wave]"),
    Mutant("every pause forgives", EVOLUTION, "if not state.is_held:", "if state.version == 0:"),
    Mutant("a wave that failed goes on", COURSE, "if must_stop(state):", "if state.version == 0:"),
    Mutant("continue pauses", COURSE, 'state.order.on_failure != "continue" and', ""),
    Mutant("one failure too many", SCHEDULE, ">= state.order.stop_at", "> state.order.stop_at"),
    Mutant("failures count for ever", SCHEDULE, "(state.failed & ~state.forgiven)", "state.failed"),
    Mutant("the next wave does not wait", SCHEDULE, 'outcome == "passed" and not', 'outcome != "failed" and not'),
    Mutant("the last wave leaves others behind", SCHEDULE, "not (_left(state) if is_last else", "not (0 if is_last else"),
    Mutant("what is stuck stays", SCHEDULE, "        block_behind(course, index, by, reason)\n    return", "    return"),
    Mutant("a pause is nobody's", COURSE, ", by_policy=True)", ")"),
    Mutant("waves that passed are forgotten", LAYOUT, "tuple(accumulate(waves, or_))", "waves"),
    Mutant("servers go at once", LAYOUT, "in pairwise(chain):", "in pairwise(chain[:1]):"),
    Mutant("agents do not wait", LAYOUT, 'node.role == "agent" and node.cluster in servers', 'node.role == "x"'),
    Mutant("blocked nodes start", EVOLUTION, "ready=state.ready & ~bit,\n        blocked=", "blocked="),
    Mutant("what a forgiven node blocks counts", EVOLUTION, "forgiven=state.forgiven | borne", "forgiven=state.forgiven"),
    Mutant("a failed wave fails the next", EVOLUTION, "wave=event.index, has_failed=False", "wave=event.index"),
    Mutant("who goes on is not believed", EVOLUTION, "is_held=False, has_failed=False, forgiven", "is_held=False, forgiven"),
    Mutant("a node between two windows is lost", PICKING, "ready >> end << end", "ready >> end + 1 << end + 1"),
    Mutant("more than forks", PICKING, "size, state.order.forks - ", "size, state.order.forks + 1 - "),
    Mutant("a snapshot forgets who was forgiven", SNAPSHOT, '"forgiven", "lapsed"', '"lapsed"'),
    Mutant("a snapshot forgets the pause", SNAPSHOT, '"is_held", ', ""),
    Mutant("a soak is skipped", SCHEDULE, "return course.now >= course.state.soaks_until", "return True"),
    Mutant("a soak takes no time", SCHEDULE, "course.now + seconds", "course.now"),
    Mutant("a soak starts again and again", SCHEDULE, "if not state.soaks_until:", "if True:"),
    Mutant("an approval is skipped", SCHEDULE, "wave.nodes and state.approved < index", "wave.nodes and index < 0"),
    Mutant("an approval of another wave", DECISION, 'if signal.wave in ("", wave.name) and', "if wave.name and"),
    Mutant("anybody approves", DECISION, " and state.order.may_approve(signal.by):", ":"),
    Mutant("an approval in advance", DECISION, "or state.asked <= state.approved", "or state.asked < -1"),
    Mutant("windows are not looked at", PICKING, "[state.wave] & ~closed", "[state.wave]"),
    Mutant("windows are all in Greenwich", LAYOUT, "order.timing.zones[node.site]", '"Etc/GMT+0"'),
    Mutant("what cannot end begins", WINDOWS, "else closes - schedule.needed", "else closes"),
    Mutant("a freeze is none", WINDOWS, "opened is None or _is_frozen(schedule, _day(now, zone))", "opened is None"),
    Mutant("a freeze begins unseen", WINDOWS, "*(moment for moment in begins if moment > now)", ""),
    Mutant("a window is believed for ever", WINDOWS, "now < known[0].end or", "now > 0 or"),
    Mutant("a rate is forgotten", SCHEDULE, "0 if course.now < state.paced_until else min(", "min("),
    Mutant("a rate never grows", EVOLUTION, "timing.rate * timing.rate_factor ** max(0, state.wave)", "timing.rate"),
    Mutant("more than a minute's worth", SCHEDULE, "min(state.order.batch_size, max(1, int(rate)))",
           "state.order.batch_size"),
    Mutant("a pace is paid once for many", EVOLUTION, "60 * len(event.nodes) / rate", "60 / rate"),
    Mutant("who is away uses budget for ever", BUDGET, "self._away & ~self._lapsed if", "self._away if"),
    Mutant("a quorum forgets who is away", BUDGET, "self._away if group.is_quorum else self._briefly", "self._briefly"),
    Mutant("a quorum forgets others", BUDGET, "if group.is_quorum or not (self", "if not (self"),
    Mutant("who failed is forgotten in time", BUDGET, "lapsed & ~(state.failed | state.in_flight)", "lapsed & ~state.in_flight"),
    Mutant("who was away for long takes nothing while it is tried", BUDGET, "~(state.failed | state.in_flight)", "~state.failed"),
    Mutant("who was away for long takes nothing in its batch", BUDGET, "            if not (counted and counted >> index & 1):\n                self", "            if not self._before >> index & 1:\n                self"),
    Mutant("away for half as long", LAYOUT, "math.ceil((since + offline_after)", "math.ceil((since + offline_after / 2)"),
    Mutant("a deferral is a failure", SCHEDULE, 'offline == "defer" and not', 'offline == "" and not'),
    Mutant("a failure is deferred", SCHEDULE, "not (state.failed or state.is_barred)", "not state.is_barred"),
    Mutant("what can never change is deferred", SCHEDULE, "not (state.failed or state.is_barred)", "not state.failed"),
    Mutant("count defers", DECISION, 'and course.state.order.offline != "count"', ""),
    Mutant("who is superseded goes on", EVOLUTION, 'status="superseding", ', 'status="running", '),
    Mutant("a wave is over twice", EVOLUTION, "is_over=True", "is_over=False"),
    Mutant("nobody wakes after a soak", WAITING, "if state.soaks_until > now:", "if state.soaks_until < 0:"),
    Mutant("nobody wakes for a window", WAITING, "times = [*_openings(state, ready & closed, now)]", "times: list[float] = []"),
    Mutant("nobody wakes for a rate", WAITING, "times.append(state.paced_until)", "times.clear()"),
    Mutant("nobody is told to wait", SCHEDULE, "if wait and wait != state.wait:", "if wait and wait == state.wait:"),
    Mutant("who waits for a window is given up", SCHEDULE, "return wait is not None", "return False"),
    Mutant("a snapshot forgets the soak", SNAPSHOT, '"soaks_until", ', ""),
    Mutant("a snapshot forgets who approved", SNAPSHOT, '"approved", ', ""),
    Mutant("a snapshot forgets the pace", SNAPSHOT, '"paced_until", ', ""),
    Mutant("a snapshot forgets who is long gone", SNAPSHOT, '"lapsed", ', ""),
    Mutant("who waits for time is blocked by who is away", BUDGET, "state.lapsed) if in_time else", "state.lapsed) if 0 else"),
    Mutant("budgets that nothing frees are waited for", SCHEDULE, "if _block_what_is_stuck(course, in_time=True):", "if 0:"),
    Mutant("gates before a wave are skipped", SCHEDULE, 'if not gates_hold(course, "before"):', "if not True:"),
    Mutant("gates after a wave are skipped", SCHEDULE, ' and gates_hold(course, "after")', ""),
    Mutant("gates come before the soak", SCHEDULE, 'and _has_soaked(course) and gates_hold(course, "after")',
           'and gates_hold(course, "after") and _has_soaked(course)'),
    Mutant("what cannot be asked passes", GATING, 'answer.outcome != "passed" and', 'answer.outcome == "failed" and'),
    Mutant("one gate is enough", GATING, "if len(signal.answers) < len(_asked(state, check)):", "if not signal.answers:"),
    Mutant("any answer will do", GATING, "check is None or check.check_id != signal.check_id", "check is None"),
    Mutant("nodes are asked before a wave", GATING, 'check.phase == "after" or not asks_each_node(gate)', "True"),
    Mutant("who is ill is well", GATING, "_mark_unhealthy(course, check, name, ", "str("),
    Mutant("who is ill counts as applied", EVOLUTION, "applied=state.applied & ~bit,", ""),
    Mutant("behind an ill server all goes on", GATING, "        block(course, i, node.name,", "        str("),
    Mutant("a gate that failed stops nothing", GATING, "        fail_wave(course, reason)", "        str(reason)"),
    Mutant("before a wave a gate stops nothing", GATING, "    elif not is_borne:", "    elif is_borne:"),
    Mutant("failed once is passed", CHECKED, "if event.is_borne else (state.gated, state.proven)", "if True else (0, 0)"),
    Mutant("a gate that failed is forgotten", SCHEDULE, "if state.doubted < 0 and (", "if ("),
    Mutant("who takes over asks no gates", DECISION, "    ask_again(course)\n", ""),
    Mutant("a pause waits for gates", EVOLUTION, "is_held=event.by_policy, checking=None, asking=0", "is_held=event.by_policy"),
    Mutant("what was not ready before is forgotten", CHECKED, "earlier.union(*(answer.unready for answer in event.answers))", "earlier"),
    Mutant("what was not ready is forgotten where a gate is borne", CHECKED, "proven=proven, unready=unready)", "proven=proven)"),
    Mutant("what is not ready after is borne", CHECKED, """    if event.phase == "after":
        return state.unready
    measured""", "    measured"),
    Mutant("a snapshot forgets the gates", SNAPSHOT, '"gated", ', ""),
    Mutant("a snapshot forgets a gate that failed", SNAPSHOT, '"doubted", ', ""),
    Mutant("a snapshot forgets who asks", SNAPSHOT, '"checking", ', ""),
    Mutant("who came late is never asked about", CHECKED, "state.layout.begun[index] & state.applied & ~state.proven",
           "state.layout.waves[index] & state.applied & ~state.proven"),
    Mutant("who comes while gates are asked is proven", CHECKED, "proven=state.proven | state.asking,",
           "proven=state.proven | state.applied,"),
    Mutant("a snapshot forgets who is proven", SNAPSHOT, ', "proven",', ","),
    Mutant("no rollback", COURSE, 'state.order.on_failure == "rollback" and', "False and"),
    Mutant("a rollback of nothing", COURSE, "(state.applied | state.failed) > 0", "True"),
    Mutant("a rollback begins more", EVOLUTION, 'status="withdrawing"', 'status="running"'),
    Mutant("what failed does not go back", UNDOING, "state.applied | state.failed |", "state.applied |"),
    Mutant("who never answered does not go back", UNDOING, "| state.unreachable)", ")"),
    Mutant("a rollback goes forwards", UNDOING, "for wave in reversed(order.waves)]\n    if", "for wave in order.waves]\n    if"),
    Mutant("a rollback waits for windows", UNDOING, "timing=Timing(deadline=order.timing.deadline, offline_after=order.timing.offline_after),", ""),
    Mutant("a rollback asks gates", UNDOING, "        gates=(),\n", ""),
    Mutant("a rollback stops at the first who cannot", UNDOING, '        on_failure="continue",\n', ""),
    Mutant("a rollback forgets who is away", UNDOING, "is_away=node.name in away,", "is_away=False,"),
    Mutant("a rollback forgets who has nothing to go back to", UNDOING, "*more.get(each.name, ())", ""),
    Mutant("who came through is away on the way back", UNDOING, "(state.layout.away & ~(state.applied | state.unhealthy))", "state.layout.away"),
    Mutant("agents go back before their servers", UNDOING, "max(at, last.get(node.cluster, 0))", "at"),
    Mutant("a new node goes back to nothing", UNDOING, "if node.name in touched and node.base]", "if node.name in touched]"),
    Mutant("near ones start too", BUDGET, "some & ~kept", "some & kept"),
    Mutant("limits are rounded down", "model/policy.py", "math.ceil(self.number * total / 100)",
           "int(self.number * total / 100)"),
    Mutant("a limit is one too many", WAVES, "len(taken) >= most", "len(taken) > most"),
    Mutant("a share of all", WAVES, "wave.limit.of(len(left))", "wave.limit.of(len(left) + len(gone))"),
    Mutant("a unit needs all its nodes named", WAVES, "or any(matches(", "or all(matches("),
    Mutant("agents in an earlier wave", WAVES, "and (not unit.after or unit.after in gone)", ""),
    Mutant("who is ill stays as it is", WAY_BACK, "if not waiting:", "if waiting:"),
    Mutant("a way back under every policy", WAY_BACK, 'on_failure != "rollback"', 'on_failure == ""'),
    Mutant("servers go back together", WAY_BACK, 'node.role == "server" and any(', 'node.role == "none" and any('),
    Mutant("agents go back before servers", WAY_BACK, "node.cluster in first)", "node.cluster in ())"),
    Mutant("all that are ill go back at once", WAY_BACK, ">= max(1, groups", ">= 99 + max(1, groups"),
    Mutant("what is in flight does not count on the way back", WAY_BACK, "busy = state.in_flight | under_way",
           "busy = under_way"),
    Mutant("back at anything", WAY_BACK, "result.digest == node.base", "result.digest"),
    Mutant("who could not go back is tried for ever", WAY_BACK, "~(state.undone | state.stuck)", "~state.undone"),
    Mutant("the end does not wait for who goes back", SCHEDULE, "if owed(state):", "if owed(state) < 0:"),
    Mutant("a pause lets nodes go back", SCHEDULE, 'while course.state.status == "running" and (names', "while (names"),
    Mutant("OS updates on the way back", SCHEDULE, "upkeep=order.upkeep and not batch.is_back", "upkeep=order.upkeep"),
    Mutant("who is back uses budget", BUDGET, "(state.failed & ~state.undone)", "state.failed"),
    Mutant("who is back goes back again", UNDOING, "state.unreachable) & ~state.undone)", "state.unreachable))"),
    Mutant("a way back that is lost goes forward", EVOLUTION, "if any(batch.is_back for", "if any(not batch.is_back for"),
    Mutant("the way back takes no forks", PICKING, "forks - under_way(state)", "forks - state.in_flight.bit_count()"),
    Mutant("a server beside one that goes back", PICKING, "and node.cluster in going_back", "and node.cluster in ()"),
    Mutant("a snapshot forgets who is back", SNAPSHOT, '"undone", "stuck",', '"stuck",'),
    Mutant("who was away for long needs no room", BUDGET, "else self._briefly_before", "else self._before"),
    Mutant("what an ill server blocked begins all the same", EVOLUTION, "bits(followers) & ~state.blocked", "bits(followers)"),
    Mutant("no group of those without the label", BUDGETS, "    for those, names in values.items():\n",
           "    for those, names in values.items():\n        if not all(those):\n            continue\n"),
    Mutant("one server more than quorum spares", BUDGETS, "- cluster.quorum)", "- cluster.quorum + 1)"),
)  # fmt: skip


def mutated(mutant: Mutant, text: str) -> str:
    """Raises ValueError for a mutant that does not fit the code any more."""
    if text.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name}: its text is {text.count(mutant.text)} times in fleet/{mutant.file}")
    return text.replace(mutant.text, mutant.other)


def killed(mutant: Mutant, folder: Path) -> str:
    """The first test that sees it, empty for none."""
    path = folder / "fleet" / mutant.file
    good = path.read_text()
    path.write_text(mutated(mutant, good))
    try:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tb=no",
            "--timeout=60",
            *TESTS[mutant.file.partition("/")[0]],
        ]
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "it never ends"
    finally:
        path.write_text(good)
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else ""


def main(names: list[str]) -> int:
    alive = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        folder = Path(made)
        for part in ("fleet", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "templates", "playbooks"):
            (folder / part).symlink_to(ROOT / part)
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            by = killed(mutant, folder)
            alive += not by
            print(f"{'killed' if by else 'ALIVE '} {mutant.name}: {by}", flush=True)
    return 1 if alive else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
