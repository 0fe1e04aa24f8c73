"""The process that runs Ansible, one per batch (design, decision 5). `launch` starts it with a folder to work in.

It lives in a session of its own and outlives a controller that was killed: the next one finds it by child.json and
child.lock, and adopts or ends it. It writes down who it is before it starts anything.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.adapters.ansible.answers import (
    BatchAnswers,
    Event,
    answer_of,
    event_of,
    gathered,
    observation_of,
    unanswered,
)
from fleet.adapters.ansible.process import end_marked, identity_of
from fleet.adapters.ansible.workdir import Child, Job, Workdir
from fleet.errors import FleetError
from fleet.formats.words import duration
from fleet.model.batch import NodeAnswer, NodeResult, Observation

EXIT_TAKEN = 75  # another child of this folder lives
_MAX_PASSWORD = 65536
EXIT_ENDED = 143  # it was asked to end: there is no result, whoever needs one runs it again
_IN_NO_PLAY = "no play took it up: is it in a group of site.yml?"


def main(folder: str) -> int:
    workdir = Workdir(Path(folder))
    handle = os.open(workdir.lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return EXIT_TAKEN
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    job, mine = workdir.job(), identity_of(os.getpid())
    if job is None or mine is None:
        raise FleetError(f"{workdir.path} holds no job")
    workdir.introduce(Child(mine, job.epoch))
    if job.kind != "apply":
        _run(
            workdir, job, _Asking(workdir, observation_of if job.kind == "observe" else answer_of), asked_to_end.is_set
        )
        return 0
    order = workdir.intent()
    if order is None:
        raise FleetError(f"{workdir.path} holds no order")
    answers = _Applying(workdir, job.nodes)
    deadline = _Deadline(order.deadline)
    _run(workdir, job, answers, lambda: asked_to_end.is_set() or deadline.has_passed())
    if asked_to_end.is_set():
        return EXIT_ENDED
    if deadline.told():
        end_marked(str(workdir.path), but=mine)  # Ansible's workers and ssh outlive it
    lines, _ = workdir.answers(NodeResult)
    without = deadline.told() or (_IN_NO_PLAY if answers.is_complete else unanswered(workdir.tail()))
    workdir.finish(gathered(order, lines, without))
    workdir.keep_output()
    workdir.clear()
    return 0


class _Deadline:
    """Ends a run that takes too long, so that one node that hangs does not hold up the rollout."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._has_passed = False

    def has_passed(self) -> bool:
        if self._seconds and time.monotonic() - self._began > self._seconds:
            self._has_passed = True
        return self._has_passed

    def told(self) -> str:
        """Empty where the run came to its end by itself."""
        return f"no result within {duration(int(self._seconds))} (progressDeadline)" if self._has_passed else ""


class _Applying:
    def __init__(self, workdir: Workdir, nodes: tuple[str, ...]) -> None:
        self._workdir = workdir
        self._answers = BatchAnswers(nodes)

    def take(self, event: Event) -> None:
        for result in self._answers.take(event):
            self._workdir.append(result)

    @property
    def is_complete(self) -> bool:
        return self._answers.is_complete


class _Asking:
    def __init__(self, workdir: Workdir, told: Callable[[Event], Observation | NodeAnswer | None]) -> None:
        self._workdir = workdir
        self._told = told

    def take(self, event: Event) -> None:
        if (answer := self._told(event)) is not None:
            self._workdir.append(answer)


def _run(workdir: Workdir, job: Job, answers: _Applying | _Asking, is_to_end: Callable[[], bool]) -> None:
    import ansible_runner.interface

    # `command` tells the whole environment; it is of no use once the run has begun.
    command = workdir.memory / "artifacts" / "run" / "command"

    def on_event(raw: dict[str, Any]) -> bool:
        answers.take(event_of(raw))
        return False  # keeps the event off the disk

    def on_status(status: dict[str, Any], runner_config: object) -> None:  # noqa: ARG001 - ansible-runner's signature
        if status["status"] == "running":
            command.unlink(missing_ok=True)

    ansible_runner.interface.run(
        private_data_dir=str(workdir.memory),
        project_dir=str(workdir.project),
        playbook=job.playbook,
        ident="run",
        forks=job.forks,
        verbosity=job.verbosity,
        cmdline=shlex.join(_options(workdir, job)),
        event_handler=on_event,
        status_handler=on_status,
        cancel_callback=is_to_end,
        fact_cache_type="memory",
        quiet=True,
    )


def _options(workdir: Workdir, job: Job) -> list[str]:
    """Passwords are held in memory by this process as long as ansible-playbook runs: never on disk, never in an
    environment.
    """
    options = ["-e", f"@{workdir.memory / 'vars.yml'}"]
    if job.vault_fd >= 0:
        options += ["--vault-password-file", f"/proc/{os.getpid()}/fd/{job.vault_fd}"]
    if job.become_fd >= 0:
        options += ["--become-password-file", str(_poured(workdir.memory / "become", job.become_fd))]
    return options


def _poured(path: Path, descriptor: int) -> Path:
    """A pipe from which the password is read once: Ansible resolves links in the name of this file, and one in memory
    has no other name.
    """
    os.mkfifo(path, 0o600)

    def pour() -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with path.open("wb") as pipe:
            pipe.write(os.read(descriptor, _MAX_PASSWORD))

    threading.Thread(target=pour, daemon=True).start()
    return path
