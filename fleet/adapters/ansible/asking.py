"""A run of Ansible that only asks, or does one thing outside a rollout: answers come as they are given, nothing is kept."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from pathlib import Path
from threading import Event
from typing import Generic, Protocol, TypeVar

import msgspec

from fleet.adapters.ansible.answers import unanswered
from fleet.adapters.ansible.environment import forget_sockets
from fleet.adapters.ansible.launch import Launcher
from fleet.adapters.ansible.process import end_marked, identity_of
from fleet.adapters.ansible.workdir import Job, Workdir
from fleet.adapters.disk import make_private_folder
from fleet.adapters.limits import hosts_per_process

_NAP = 0.1
_PREFIX = "ask"
_STOPPED = "it was stopped"


class Told(Protocol):
    """An answer of one node."""

    @property
    def node(self) -> str: ...


T = TypeVar("T", bound=Told)


def ask(  # noqa: PLR0913, PLR0917 - how a run is asked for, and how it is ended
    launcher: Launcher,
    job: Job,
    variables: Mapping[str, str],
    kind: type[T],
    silent: Callable[[str, str], T],
    stop: Event | None = None,
) -> Iterator[T]:
    """Each node once, in the order in which answers come; of who gave none, `silent(node, reason)` comes when its run has
    ended. Leaving it ends the run, and so does `stop`, from any thread. `kind` is the type of the answers.
    """
    if stop is not None and stop.is_set():
        yield from (silent(node, _STOPPED) for node in job.nodes)
        return
    run_dir = launcher.settings.run_dir.absolute()
    make_private_folder(run_dir)
    _clear_left_over(run_dir)
    runs: list[_Run[T]] = []
    try:
        runs.extend(_Run(launcher, share, variables, kind) for share in shares(job, hosts_per_process()))
        live = list(runs)
        while live:
            for run in list(live):
                is_over = run.process.poll() is not None
                yield from run.new_answers()
                if is_over:
                    live.remove(run)
                    reason = unanswered(run.workdir.tail())
                    yield from (silent(node, reason) for node in run.missing)
            if live and stop is not None and stop.wait(_NAP):
                yield from (silent(node, _STOPPED) for run in live for node in run.missing)
                return
            if live and stop is None:
                time.sleep(_NAP)
    finally:
        for run in runs:
            run.end()


def shares(job: Job, most: int) -> list[Job]:
    """The job in as many parts as it takes for each to work on `most` hosts at once: so many files may be open."""
    parts = max(1, min(ceil(job.forks / most), len(job.nodes)))
    forks = ceil(job.forks / parts)
    return [msgspec.structs.replace(job, nodes=job.nodes[part::parts], forks=forks) for part in range(parts)]


class _Run(Generic[T]):
    """One process of Ansible in a folder of its own, and those of its nodes that have not answered yet."""

    def __init__(self, launcher: Launcher, job: Job, variables: Mapping[str, str], kind: type[T]) -> None:
        folder = launcher.settings.run_dir.absolute() / f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(4)}"
        self.workdir = Workdir(folder)
        make_private_folder(folder)
        self.missing = dict.fromkeys(job.nodes)
        self._launcher = launcher
        self.process = launcher.start(self.workdir, job, variables)
        self._kind = kind
        self._offset = 0

    def new_answers(self) -> Iterator[T]:
        found, self._offset = self.workdir.answers(self._kind, self._offset)
        for answer in found:
            if answer.node in self.missing:
                del self.missing[answer.node]
                yield answer

    def end(self) -> None:
        end_marked(str(self.workdir.path))
        self.process.wait()
        forget_sockets(self.workdir.path)
        self._launcher.release(self.workdir)
        self.workdir.remove()


def _clear_left_over(run_dir: Path) -> None:
    """Folders of runs whose controller is gone; theirs is the second part of the name."""
    for path in run_dir.glob(f"{_PREFIX}-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and identity_of(int(owner)) is None:
            end_marked(str(path))
            Workdir(path).remove()
