"""What probes say about services: when each was down, and how many of a site at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

PROBER = Path(__file__).with_name("prober.py")
EVERY = 0.5
PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """`text` is empty where nobody answered."""

    name: str
    asked: float
    answered: float
    text: str


@dataclass(frozen=True)
class Gap:
    """From the first to the last of probes without an answer, one after the other: the service was down all that while, and
    for up to EVERY longer at both ends. So two gaps that overlap are two services that were down at one moment.
    """

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Crowd:
    """Services of a site that were down at the same moment."""

    at: float
    names: frozenset[str]


def gaps(answers: Iterable[Answer]) -> list[Gap]:
    """One probe without an answer is not enough: it says not for how long."""
    found: list[Gap] = []
    runs: dict[str, list[Answer]] = {}
    for answer in answers:
        if not answer.text:
            runs.setdefault(answer.name, []).append(answer)
        elif run := runs.pop(answer.name, []):
            found += _gap(run)
    return found + [gap for run in runs.values() for gap in _gap(run)]


def _gap(run: list[Answer]) -> Iterator[Gap]:
    if run[-1].asked > run[0].answered:
        yield Gap(run[0].name, run[0].answered, run[-1].asked)


def crowds(found: Iterable[Gap], names: Collection[str]) -> list[Crowd]:
    """Who of `names` was down together, at each moment at which one more was."""
    those = [gap for gap in found if gap.name in names]
    return [
        Crowd(gap.begin, frozenset(each.name for each in those if each.begin <= gap.begin <= each.end)) for gap in those
    ]


def broken(found: Iterable[Gap], sites: Mapping[str, Collection[str]], cut: Iterable[Gap], budget: int) -> list[Crowd]:
    """Moments at which the rollout had a service down and more of its site were down than the budget lets. `cut` is when we
    had switched a host off ourselves: that uses the budget up, and is no fault of the rollout's by itself.
    """
    found, cut = list(found), list(cut)
    return [
        crowd
        for names in sites.values()
        for crowd in crowds(found, names)
        if len(crowd.names) > budget
        and not crowd.names <= {gap.name for gap in cut if gap.begin <= crowd.at <= gap.end}
    ]


def by_minute(answers: Iterable[Answer], sites: Mapping[str, Collection[str]]) -> dict[str, list[int]]:
    """Of each site, minute by minute since the first probe: how many services answered when the fewest did."""
    answers = sorted(answers, key=lambda answer: answer.asked)
    first, found = answers[0].asked, {}
    for site, names in sites.items():
        up, least = dict.fromkeys(names, True), dict[int, int]()
        for answer in answers:
            if answer.name in up:
                up[answer.name] = bool(answer.text)
                minute = int(answer.asked - first) // 60
                least[minute] = min(least.get(minute, len(up)), sum(up.values()))
        found[site] = [least[minute] for minute in sorted(least)]
    return found


class Probes:
    """The prober at work. `command` makes a command line one that runs where it reaches the services."""

    def __init__(self, targets: Mapping[str, str], command: Callable[[list[str]], list[str]] = list) -> None:
        self.answers: list[Answer] = []
        self._changed = threading.Condition()
        argv = [sys.executable, str(PROBER), str(EVERY), *(f"{name}={place}" for name, place in targets.items())]
        self._process = subprocess.Popen(command(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        assert self._process.wait() == 0, "the prober broke"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.answers.append(Answer(**json.loads(line)))
                self._changed.notify_all()

    @property
    def gaps(self) -> list[Gap]:
        with self._changed:
            return gaps(self.answers)

    def wait(self, names: Collection[str], *, up: bool) -> float:
        """Until a probe that is asked from now on says so of each of them; when the last one did."""
        began = time.monotonic()
        give_up = began + PATIENCE
        with self._changed:
            while missing := set(names) - {a.name for a in self.answers if a.asked >= began and bool(a.text) == up}:
                if not self._changed.wait(give_up - time.monotonic()):
                    raise AssertionError(
                        f"{', '.join(sorted(missing))}: not {'up' if up else 'down'} in {PATIENCE:.0f} s"
                    )
        return time.monotonic()

    def wait_any_down(self, names: Collection[str]) -> str:
        """The first of them that a probe finds down from now on."""
        began = time.monotonic()
        with self._changed:
            while not (down := [a.name for a in self.answers if a.asked >= began and a.name in names and not a.text]):
                if not self._changed.wait(began + PATIENCE - time.monotonic()):
                    raise AssertionError(f"none of {', '.join(sorted(names))} was down in {PATIENCE:.0f} s")
        return down[0]
