"""A rehearsed rollout as a picture: for each run, what became of its nodes over time, under its waves.

Readable in light and dark: nothing is told by colour alone, areas have patterns and their counts stand in the legend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

import msgspec

from fleet.formats.words import count, duration
from fleet.model.simulation import Moment, SimulatedRun, Simulation
from fleet.report.line import clean
from fleet.report.simulation_text import run_headline

WIDTH, LEFT, RIGHT = 960, 72, 24
CHART, BANDS, HEAD, FOOT = 200, 22, 44, 64
_TOP = 34
_SPAN = WIDTH - LEFT - RIGHT

_STEPS = (60, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000)
"""Seconds between the marks of the time axis: the first that leaves at most eight of them."""


class _Kind(msgspec.Struct, frozen=True):
    name: str
    of: Callable[[Moment], int]


KINDS = (
    _Kind("applied", lambda moment: moment.applied),
    _Kind("failed", lambda moment: moment.failed),
    _Kind("offline", lambda moment: moment.unreachable),
    _Kind("blocked", lambda moment: moment.blocked),
    _Kind("under way", lambda moment: moment.in_flight),
)
"""From below, in the order in which they are stacked."""

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1a1a1a; }
.title { font-size: 15px; font-weight: 600; }
.head { font-size: 13px; font-weight: 600; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.paper { fill: #ffffff; } .frame { fill: none; stroke: #767676; }
.tick { stroke: #767676; stroke-dasharray: 2 4; }
.quiet { fill: #767676; fill-opacity: .22; } .band { fill: #767676; fill-opacity: .16; stroke: #767676; }
.applied { fill: #4a90c4; } .failed { fill: #d1495b; } .offline { fill: #e8b04a; } .blocked { fill: #9a7fb8; }
.under-way { fill: #7fb88a; } .mark { stroke: #1a1a1a; stroke-width: 1.2; fill: none; } .dot { fill: #1a1a1a; }
@media (prefers-color-scheme: dark) {
text { fill: #ececec; } .paper { fill: #16181c; } .mark { stroke: #0c0d0f; } .dot { fill: #0c0d0f; }
}
"""

_PATTERNS = {
    "failed": '<path class="mark" d="M0 0L8 8M8 0L0 8"/>',
    "offline": '<path class="mark" d="M0 8L8 0"/>',
    "blocked": '<path class="mark" d="M0 4H8"/>',
    "under-way": '<circle class="dot" cx="4" cy="4" r="1.3"/>',
}


def simulation_svg(simulation: Simulation) -> str:
    """A whole SVG document: a chart for each run, one below the other."""
    height = _TOP + len(simulation.runs) * (HEAD + BANDS + CHART + FOOT)
    title = f"fleet {simulation.fleet} rehearsed: {count(simulation.nodes, 'node')}, {simulation.forks:,} at once"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{_text(title)}</title>',
        f"<style>{_STYLE}</style>",
        f"<defs>{''.join(_patterns())}</defs>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="24">{_text(title)}</text>',
    ]
    for at, run in enumerate(simulation.runs):
        top = _TOP + at * (HEAD + BANDS + CHART + FOOT)
        parts += [f'<g transform="translate(0 {top})">', *_Chart(run, simulation.nodes).parts(), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


class _Chart:
    """One run, by a clock of its own: one that stops early would be a line beside one that takes a week."""

    def __init__(self, run: SimulatedRun, nodes: int) -> None:
        self._run = run
        self._nodes = nodes
        self._last = run.seconds or 1.0
        self._top = HEAD + BANDS
        self._bottom = self._top + CHART

    def parts(self) -> Iterator[str]:
        yield f'<text class="head" x="{LEFT}" y="24">{_text(run_headline(self._run))}</text>'
        yield from self._waves()
        yield from self._quiet()
        yield from self._areas()
        yield from self._axes()
        yield from self._legend()

    def _x(self, seconds: float) -> float:
        return LEFT + _SPAN * seconds / self._last

    def _y(self, nodes: int) -> float:
        return self._bottom - CHART * nodes / self._nodes

    def _waves(self) -> Iterator[str]:
        for wave in self._run.waves:
            if wave.begins is None:
                continue
            ends = self._run.seconds if wave.ends is None else wave.ends
            x, width = self._x(wave.begins), self._x(ends) - self._x(wave.begins)
            told = f"{wave.name}: {wave.outcome}"
            full = f"{told}, {count(wave.nodes, 'node')}, begins after {_after(wave.begins)}, ends after {_after(ends)}"
            yield "<g>"
            yield f'<rect class="band" x="{x:.1f}" y="{HEAD}" width="{width:.1f}" height="{BANDS}"/>'
            mark = "\u00d7 " if wave.outcome == "failed" else ""
            for words in (told, mark + wave.name, mark):
                # About 6.6 pixels a letter: a name that has no room is in the tooltip.
                if words and len(words) * 6.6 + 8 < width:
                    yield f'<text x="{x + 5:.1f}" y="{HEAD + 15}">{_text(words)}</text>'
                    break
            yield f"<title>{_text(full)}</title></g>"

    def _quiet(self) -> Iterator[str]:
        for quiet in self._run.quiet:
            x, width = self._x(quiet.begins), self._x(quiet.ends) - self._x(quiet.begins)
            told = f"nothing under way from {_after(quiet.begins)} to {_after(quiet.ends)}: {quiet.why}"
            yield f'<rect class="quiet" x="{x:.1f}" y="{self._top}" width="{width:.1f}" height="{CHART}">'
            yield f"<title>{_text(told)}</title></rect>"

    def _areas(self) -> Iterator[str]:
        below = [0] * len(self._run.timeline)
        for kind in KINDS:
            numbers = [kind.of(moment) for moment in self._run.timeline]
            above = [low + number for low, number in zip(below, numbers, strict=True)]
            if any(numbers):
                path = self._area(below, above)
                name = kind.name.replace(" ", "-")
                yield f'<path {_fill(name)} d="{path}"><title>{_text(kind.name)}</title></path>'
            below = above

    def _area(self, below: Sequence[int], above: Sequence[int]) -> str:
        """What was true from a moment on was so until the next one: a stair, there on top and back below."""
        xs = [self._x(moment.at) for moment in self._run.timeline]
        points = _stair(xs, above) + _stair(xs, below)[::-1]
        return f"M{'L'.join(f'{x:.1f} {self._y(y):.1f}' for x, y in points)}Z"

    def _axes(self) -> Iterator[str]:
        yield f'<rect class="frame" x="{LEFT}" y="{self._top}" width="{_SPAN}" height="{CHART}"/>'
        for nodes in (0, self._nodes):
            yield f'<text class="end" x="{LEFT - 6}" y="{self._y(nodes) + 4:.1f}">{nodes:,}</text>'
        step = next((step for step in _STEPS if self._last / step <= 8), _STEPS[-1])
        for mark in range(0, int(self._last) + 1, step):
            x = self._x(mark)
            yield f'<path class="tick" d="M{x:.1f} {self._top}V{self._bottom}"/>'
            yield f'<text class="middle" x="{x:.1f}" y="{self._bottom + 16}">{_text(_after(mark))}</text>'

    def _legend(self) -> Iterator[str]:
        end, x = self._run.timeline[-1], float(LEFT)
        y = self._bottom + 30
        told = [
            (kind.name, f"{kind.name} {kind.of(end):,}") for kind in KINDS if kind.of(end) or kind.name != "blocked"
        ]
        told = [each for each in told if each[0] != "under way"] + [("under way", "under way")]
        if self._run.quiet:
            told.append(("quiet", f"nothing under way ({', '.join(sorted({each.why for each in self._run.quiet}))})"))
        for name, words in told:
            kind = name.replace(" ", "-")
            yield f'<rect {_fill(kind)} x="{x:.1f}" y="{y}" width="18" height="12"/>'
            yield f'<text x="{x + 24:.1f}" y="{y + 11}">{_text(words)}</text>'
            x += 24 + 6.8 * len(words) + 22


def _patterns() -> Iterator[str]:
    for name, drawn in _PATTERNS.items():
        ground = f'<rect class="{name}" width="8" height="8"/>'
        yield f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">{ground}{drawn}</pattern>'


def _fill(name: str) -> str:
    return f'fill="url(#{name})"' if name in _PATTERNS else f'class="{name}"'


def _stair(xs: Sequence[float], ys: Sequence[int]) -> list[tuple[float, int]]:
    points = [(xs[0], ys[0])]
    for x, before, y in zip(xs[1:], ys, ys[1:], strict=False):
        if y != before:
            points += [(x, before), (x, y)]
    return [*points, (xs[-1], ys[-1])]


def _after(seconds: float) -> str:
    return duration(round(seconds)) if seconds else "0"


def _text(text: str) -> str:
    return escape(clean(text))
