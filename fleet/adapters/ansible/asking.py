"""A run of Ansible that only asks, or does one thing outside a rollout: answers come as they are given, nothing is kept."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Protocol, TypeVar

from fleet.adapters.ansible.answers import unanswered
from fleet.adapters.ansible.environment import forget_sockets
from fleet.adapters.ansible.launch import Launcher
from fleet.adapters.ansible.process import end_marked, identity_of
from fleet.adapters.ansible.workdir import Job, Workdir
from fleet.adapters.disk import make_private_folder

_NAP = 0.1
_PREFIX = "ask"


class Told(Protocol):
    """An answer of one node."""

    @property
    def node(self) -> str: ...


T = TypeVar("T", bound=Told)


def ask(
    launcher: Launcher, job: Job, variables: Mapping[str, str], kind: type[T], silent: Callable[[str, str], T]
) -> Iterator[T]:
    """Each node once, in the order in which answers come; of who gave none, `silent(node, reason)` comes last. Leaving
    it ends the run. `kind` is the type of the answers.
    """
    run_dir = launcher.settings.run_dir.absolute()
    make_private_folder(run_dir)
    _clear_left_over(run_dir)
    workdir = Workdir(run_dir / f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(4)}")
    make_private_folder(workdir.path)
    missing = dict.fromkeys(job.nodes)
    process = launcher.start(workdir, job, variables)
    try:
        for answer in _answers(workdir, process, kind):
            if answer.node in missing:
                del missing[answer.node]
                yield answer
        reason = unanswered(workdir.tail())
        for node in missing:
            yield silent(node, reason)
    finally:
        end_marked(str(workdir.path))
        process.wait()
        forget_sockets(workdir.path)
        workdir.remove()


def _clear_left_over(run_dir: Path) -> None:
    """Folders of runs whose controller is gone; theirs is the second part of the name."""
    for path in run_dir.glob(f"{_PREFIX}-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and identity_of(int(owner)) is None:
            end_marked(str(path))
            Workdir(path).remove()


def _answers(workdir: Workdir, process: Popen[bytes], kind: type[T]) -> Iterator[T]:
    offset = 0
    while True:
        is_over = process.poll() is not None
        found, offset = workdir.answers(kind, offset)
        yield from found
        if is_over:
            return
        time.sleep(_NAP)
