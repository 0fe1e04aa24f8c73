"""AnsibleObserver: reads what nodes hold, and changes nothing."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from subprocess import Popen

from fleet.adapters.ansible.answers import unanswered
from fleet.adapters.ansible.environment import forget_sockets
from fleet.adapters.ansible.launch import Launcher, Settings
from fleet.adapters.ansible.process import end_marked, identity_of
from fleet.adapters.ansible.workdir import Job, Workdir
from fleet.adapters.disk import make_private_folder
from fleet.model.batch import Observation
from fleet.ports.applier import ProjectWriter

_NAP = 0.1


class AnsibleObserver:
    """Fills `ports.Observer` with the rendered project's observe.yml. Needs no password: a look reads no secret."""

    def __init__(self, settings: Settings, write_project: ProjectWriter) -> None:
        self._launcher = Launcher(settings, write_project, None)
        self._run_dir = settings.run_dir.absolute()

    def observe(self, nodes: Sequence[str]) -> Iterator[Observation]:
        """Each node once, in the order in which answers come; who gave none comes last. Leaving it ends the run."""
        if not nodes:
            return
        make_private_folder(self._run_dir)
        self._clear_left_over()
        workdir = Workdir(self._run_dir / f"observe-{os.getpid()}-{secrets.token_hex(4)}")
        make_private_folder(workdir.path)
        forks = max(1, min(self._launcher.settings.forks, len(nodes)))
        job = Job(kind="observe", playbook="observe.yml", nodes=tuple(nodes), forks=forks)
        missing = dict.fromkeys(nodes)
        process = self._launcher.start(workdir, job, {})
        try:
            for observation in _answers(workdir, process):
                if observation.node in missing:
                    del missing[observation.node]
                    yield observation
            reason = unanswered(workdir.tail())
            for node in missing:
                yield Observation(node, unreachable=reason)
        finally:
            end_marked(str(workdir.path))
            process.wait()
            forget_sockets(workdir.path)
            workdir.remove()

    def _clear_left_over(self) -> None:
        """Folders of looks whose controller is gone; theirs is the second part of the name."""
        for path in self._run_dir.glob("observe-*"):
            owner = path.name.split("-")[1]
            if owner.isdigit() and identity_of(int(owner)) is None:
                end_marked(str(path))
                Workdir(path).remove()


def _answers(workdir: Workdir, process: Popen[bytes]) -> Iterator[Observation]:
    offset = 0
    while True:
        is_over = process.poll() is not None
        found, offset = workdir.answers(Observation, offset)
        yield from found
        if is_over:
            return
        time.sleep(_NAP)
