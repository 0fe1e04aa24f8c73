"""Where the time of a rollout went, by what the journal tells of it and by the processes of Ansible that were there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Span = tuple[float, float]
"""Seconds since 1970."""
PLAYBOOK = "ansible-playboo"
"""As the kernel tells a process's name: fifteen letters of it."""


def union(spans: Iterable[Span], within: Sequence[Span]) -> float:
    """Seconds of `within`, whose spans do not overlap, that at least one of `spans` covers."""
    total = 0.0
    spans = sorted(spans)
    for begin, end in within:
        at = begin
        for one, other in spans:
            if other > at and one < end:
                total += min(other, end) - max(one, at)
                at = min(other, end)
    return total


def told(entries: Iterable[dict[str, Any]]) -> dict[str, list[Span]]:
    """By what was under way: batches, gates, soaks, and waits for somebody to approve. `entries` are lines of
    `fleet journal export`, of one rollout.
    """
    begun: dict[tuple[str, str], float] = {}
    spans: dict[str, list[Span]] = {"batch": [], "gate": [], "soak": [], "approval": []}
    for entry in entries:
        event, at = entry["event"], entry["at"]
        match event["event"]:
            case "BatchStarted":
                begun["batch", event["batch_id"]] = at
            case "BatchEnded" | "BatchRequeued":
                spans["batch"].append((begun.pop(("batch", event["batch_id"])), at))
            case "GatesAsked":
                begun["gate", event["check_id"]] = at
            case "GatesPassed" | "GatesFailed":
                spans["gate"].append((begun.pop(("gate", event["check_id"])), at))
            case "WaveSoaking":
                spans["soak"].append((at, event["until"]))
            case "ApprovalAwaited":
                begun["approval", event["wave"]] = at
            case "WaveApproved":
                spans["approval"].append((begun.pop(("approval", event["wave"])), at))
    return spans


@dataclass(frozen=True)
class Share:
    """`wall` seconds without waits for an approval; of these, `outside` Ansible, gates and soaks."""

    wall: float
    ansible: float
    gates: float
    soaks: float
    outside: float

    @property
    def percent(self) -> float:
        return 100 * self.outside / self.wall

    @property
    def percent_of_work(self) -> float:
        """As if there had been no soak, which makes any other share small."""
        return 100 * self.outside / (self.wall - self.soaks)


def share(wall: Span, spans: dict[str, list[Span]], ansible: list[Span]) -> Share:
    within = without(wall, spans["approval"])
    seconds = sum(end - begin for begin, end in within)
    covered = union([*ansible, *spans["gate"], *spans["soak"]], within)
    alone = union([*ansible, *spans["gate"]], within)
    return Share(
        wall=seconds, ansible=union(ansible, within), gates=union(spans["gate"], within), soaks=covered - alone,
        outside=seconds - covered,
    )  # fmt: skip


def without(wall: Span, left_out: Iterable[Span]) -> list[Span]:
    kept, at = [], wall[0]
    for begin, end in sorted(left_out):
        kept.append((at, max(at, begin)))
        at = max(at, end)
    return [*kept, (at, max(at, wall[1]))]


@dataclass
class Playbooks:
    """Notes when a process of that name is there, in one network namespace: labs of others do not count. `there` are those that
    are now, and since when.
    """

    namespace: Path
    name: str = PLAYBOOK
    there: dict[str, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._net = self.namespace.stat().st_ino
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        """A process has its name once it is executed: a new one is looked at for a second."""
        fresh: dict[str, float] = {}
        known: set[str] = set()
        while not self._over.wait(0.05):
            now, alive = time.time(), {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
            fresh = {pid: since for pid, since in fresh.items() if pid in alive and now - since < 1}
            fresh |= dict.fromkeys(alive - known, now)
            known = alive
            for pid in [pid for pid in fresh if self._is_ours(pid)]:
                self.there[pid] = now
                del fresh[pid]
            for pid in self.there.keys() - alive:
                self.spans.append((self.there.pop(pid), now))
        self.spans += [(since, time.time()) for since in self.there.values()]

    def _is_ours(self, pid: str) -> bool:
        with suppress(OSError):
            has_name = Path("/proc", pid, "comm").read_text() == f"{self.name}\n"
            return has_name and Path("/proc", pid, "ns/net").stat().st_ino == self._net
        return False
