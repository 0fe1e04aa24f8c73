"""A rehearsal as text and as a picture: both say what the answer holds, and nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from msgspec.structs import replace

from fleet.model.rollout import RolloutCounts
from fleet.model.simulation import (
    Moment,
    Operator,
    Quiet,
    SimulatedGroup,
    SimulatedPause,
    SimulatedRun,
    SimulatedWave,
    Simulation,
    World,
)
from fleet.report.simulation_svg import CHART, KINDS, LEFT, RIGHT, WIDTH, simulation_svg
from fleet.report.simulation_text import simulation_lines

SVG = "{http://www.w3.org/2000/svg}"
RUN = SimulatedRun(
    failures=2.0,
    outcome="halted",
    reason="",
    seconds=7200.0,
    counts=RolloutCounts(applied=80, failed=10, unreachable=6, blocked=4),
    batches=9,
    waves=(
        SimulatedWave("pilot", 10, "passed", 0.0, 600.0, counts=RolloutCounts(applied=10)),
        SimulatedWave("everyone", 90, "failed", 1200.0, 7200.0, "9 failed", RolloutCounts(70, 10, 6, 4)),
        SimulatedWave("<late> & later", 0),
    ),
    pauses=(SimulatedPause(600.0, "10 nodes failed", 1200.0),),
    quiet=(Quiet(600.0, 1200.0, "pause"),),
    groups=(SimulatedGroup("site=a", 8, 2, 3, 2), SimulatedGroup("site=b", 8, 1, 1, 2)),
    sites=(SimulatedGroup("a", 8, 2, 3), SimulatedGroup("b", 12, 1, 1)),
    timeline=(
        Moment(0.0, 10, 0, 0, 0, 0),
        Moment(600.0, 0, 10, 0, 0, 0),
        Moment(1200.0, 50, 10, 0, 0, 0),
        Moment(3600.0, 40, 50, 5, 3, 2),
        Moment(7200.0, 0, 80, 10, 6, 4),
    ),
    approvals=1,
    lies=3,
)
FINE = replace(
    RUN,
    failures=0.0,
    outcome="finished",
    counts=RolloutCounts(applied=100),
    waves=RUN.waves[:1],
    pauses=(),
    quiet=(),
    groups=(),
    timeline=(Moment(0.0, 100, 0, 0, 0, 0), Moment(7200.0, 0, 100, 0, 0, 0)),
    lies=0,
    approvals=0,
)
MADE = Simulation(
    fleet="acme",
    commit="4be1f02" + "0" * 33,
    policy="standard",
    nodes=100,
    sites=12,
    copies=1,
    forks=20,
    batch_size=50,
    world=World(failures=0.0, offline=3.0, closed=(22, 6)),
    operator=Operator(600.0, 60.0),
    notes=("fleet apply would not begin: 1 change refused (fleet plan shows why)",),
    runs=(FINE, RUN),
)


def told(simulation: Simulation) -> list[str]:
    return [" ".join(line.text.split()) for line in simulation_lines(simulation)]


def test_the_whole_answer() -> None:
    assert told(MADE) == [
        "fleet acme at 4be1f02, rehearsed: 100 pretend nodes at 12 sites, RolloutPolicy standard, 20 at once",
        "",
        "0% failures: finished after 2 h, 100 applied",
        "WAVE NODES BEGINS TAKES OUTCOME",
        "pilot 10 at once 10 min passed: 10 applied",
        "Away at most 3 of 8 nodes at once (a)",
        "",
        "2% failures: ended after 2 h, 80 applied, 10 failed, 6 offline, 4 blocked",
        "because wave everyone failed: 9 failed",
        "WAVE NODES BEGINS TAKES OUTCOME",
        "pilot 10 at once 10 min passed: 10 applied",
        "everyone 90 after 20 min 100 min failed: 70 applied, 10 failed, 6 offline, 4 blocked",
        "<late> & later 0 not begun",
        "Away at most 3 of 8 nodes at once (site=a); its budget allows 2",
        (
            "! 1 group had more away than their budget allows (site=a): nodes that never answer, and nobody had asked"
            " (fleet plan --refresh does)"
        ),
        "Sites at most 3 of 8 nodes at once (a)",
        "Paused after 10 min: 10 nodes failed, resumed after 10 min",
        "Quiet nothing was under way for 10 min (pause)",
        "Lies 3 told by nodes of themselves, 0 believed",
        "",
        (
            "Nodes 60 s each, one in six over 90 s, 3% offline, switched off from 22 to 6 o'clock but for servers, seed 0,"
            " from 2026-01-05 08:00 UTC"
        ),
        "Operator goes on 10 min after each pause; approves of a wave 60 s after it asked",
        "Note fleet apply would not begin: 1 change refused (fleet plan shows why)",
    ]


def test_a_run_that_stops_says_why_once() -> None:
    pause = SimulatedPause(600.0, "wave everyone failed")
    stopped = replace(RUN, outcome="paused", reason="wave everyone failed", pauses=(pause,))

    lines = told(replace(MADE, runs=(stopped,)))

    assert [line for line in lines if "wave everyone failed" in line] == ["because wave everyone failed: 9 failed"]
    many = told(replace(MADE, runs=(replace(stopped, reason="5 nodes failed, and maxFailures pauses at 5"),)))
    assert many[3] == "because 5 nodes failed, and maxFailures pauses at 5"


def test_a_run_that_is_stuck_says_so() -> None:
    stuck = replace(RUN, outcome="waiting", reason="it is not over after two years", seconds=63_244_800.0)

    lines = told(replace(MADE, runs=(stuck,)))

    assert lines[2].startswith("2% failures: stuck after 732 days, 80 applied")
    assert lines[3] == "because it is not over after two years"


def test_many_pauses_are_counted() -> None:
    paused = replace(RUN, pauses=tuple(SimulatedPause(60.0 * at, "why", 60.0 * at + 30) for at in range(40)))

    lines = [line for line in told(replace(MADE, runs=(paused,))) if line.startswith("Paused")]

    assert len(lines) == 4
    assert lines[-1] == "Paused 40 times in all: --json lists them"


def test_sites_are_told_beside_groups_only_where_they_differ() -> None:
    alike = replace(RUN, sites=tuple(replace(group, name=group.name[5:]) for group in RUN.groups))

    assert not [line for line in told(replace(MADE, runs=(alike,))) if line.startswith("Sites")]


def test_what_is_left_out_where_there_is_nothing_to_say() -> None:
    plain = replace(MADE, policy="", commit="", copies=3, operator=Operator(), notes=(), world=World(), runs=(FINE,))

    lines = told(plain)

    assert lines[0] == (
        "fleet acme at a folder outside git, rehearsed: 100 pretend nodes at 12 sites (3 copies of the fleet),"
        " no RolloutPolicy, 20 at once"
    )
    assert lines[-2:] == [
        "Nodes 60 s each, one in six over 90 s, seed 0, from 2026-01-05 08:00 UTC",
        "Operator stays away: a run ends at its first pause (--resume TIME)",
    ]


def charts(simulation: Simulation) -> list[ET.Element]:
    return [group for group in ET.fromstring(simulation_svg(simulation)) if group.tag == f"{SVG}g"]


def texts(element: ET.Element) -> list[str]:
    return [each.text or "" for each in element.iter(f"{SVG}text")]


def areas(chart: ET.Element) -> dict[str, list[tuple[float, float]]]:
    """Corners of each area, as shares of the chart: time from the left, nodes from below."""
    found = {}
    for path in chart.iter(f"{SVG}path"):
        title = path.find(f"{SVG}title")
        if title is not None:
            pairs = [pair.split() for pair in path.get("d", "")[1:-1].split("L")]
            bottom = 66 + CHART
            found[title.text or ""] = [
                (round((float(x) - LEFT) / (WIDTH - LEFT - RIGHT), 3), round((bottom - float(y)) / CHART, 3))
                for x, y in pairs
            ]
    return found


def test_the_picture_is_a_document_with_a_title_and_a_chart_for_each_run() -> None:
    root = ET.fromstring(simulation_svg(MADE))

    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "fleet acme rehearsed: 100 nodes, 20 at once"
    assert root.get("aria-labelledby") == title.get("id")
    fine, failing = charts(MADE)
    assert texts(fine)[0] == "0% failures: finished after 2 h, 100 applied"
    assert texts(failing)[0] == "2% failures: ended after 2 h, 80 applied, 10 failed, 6 offline, 4 blocked"


def test_the_numbers_in_the_picture_are_those_of_the_answer() -> None:
    _, chart = charts(MADE)

    assert {"applied 80", "failed 10", "offline 6", "blocked 4"} <= set(texts(chart))
    assert {"100", "0", "30 min", "60 min", "2 h"} <= set(texts(chart))
    titles = [each.text for each in chart.iter(f"{SVG}title")]
    assert "pilot: passed, 10 nodes, begins after 0, ends after 10 min" in titles
    assert "everyone: failed, 90 nodes, begins after 20 min, ends after 2 h" in titles
    assert "nothing under way from 10 min to 20 min: pause" in titles
    assert not any("late" in (title or "") for title in titles), "a wave that did not begin has no band"


def test_areas_are_stairs_that_stand_on_each_other() -> None:
    _, chart = charts(MADE)
    found = areas(chart)

    assert list(found) == [kind.name for kind in KINDS]
    assert found["applied"] == [
        (0.0, 0.0), (0.083, 0.0), (0.083, 0.1), (0.5, 0.1), (0.5, 0.5), (1.0, 0.5), (1.0, 0.8), (1.0, 0.8),
        (1.0, 0.0), (0.0, 0.0),
    ]  # fmt: skip
    assert found["failed"][:6] == [(0.0, 0.0), (0.083, 0.0), (0.083, 0.1), (0.5, 0.1), (0.5, 0.55), (1.0, 0.55)]
    assert max(y for _, y in found["blocked"]) == 1.0
    (bands,) = [[r for r in chart.iter(f"{SVG}rect") if r.get("class") == "band"]]
    assert [round((float(band.get("x", 0)) - LEFT) / (WIDTH - LEFT - RIGHT), 3) for band in bands] == [0.0, 0.167]
    (quiet, legend) = [r for r in chart.iter(f"{SVG}rect") if r.get("class") == "quiet"]
    assert float(quiet.get("width", 0)) == pytest.approx((WIDTH - LEFT - RIGHT) / 12, abs=0.1)
    assert legend.get("width") == "18"


def test_no_meaning_in_colour_alone() -> None:
    """Each kind that is not the plain one has a pattern, and a name beside its swatch."""
    root = ET.fromstring(simulation_svg(MADE))
    patterns = {each.get("id") for each in root.iter(f"{SVG}pattern")}
    _, chart = charts(MADE)
    fills = {path.get("fill") for path in chart.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None}

    assert patterns == {"failed", "offline", "blocked", "under-way"}
    assert fills == {None, *(f"url(#{name})" for name in patterns)}
    assert "prefers-color-scheme: dark" in simulation_svg(MADE)


def test_names_cannot_leave_the_text() -> None:
    wave = replace(RUN.waves[1], name='<script>alert("1")</script>&\x1b[31m')
    nasty = replace(MADE, fleet="a<b>&c", runs=(replace(RUN, waves=(wave,)),))

    text = simulation_svg(nasty)

    root = ET.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert "\x1b" not in text
    assert "a<b>&c rehearsed" in (root.findtext(f"{SVG}title") or "")
    assert any('<script>alert("1")</script>&\\x1b[31m: failed' in line for line in texts(root))


def test_a_rollout_without_a_second_is_drawn_too() -> None:
    still = replace(FINE, seconds=0.0, waves=(), timeline=(Moment(0.0, 0, 0, 0, 0, 0),))

    (chart,) = charts(replace(MADE, runs=(still,)))

    assert areas(chart) == {}
    assert not re.search(r"nan|inf", simulation_svg(replace(MADE, runs=(still,))))
