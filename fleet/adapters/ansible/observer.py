"""AnsibleObserver: reads what nodes hold, and changes nothing. AnsibleHand: one task on nodes, outside a rollout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event

from fleet.adapters.ansible.asking import ask
from fleet.adapters.ansible.launch import Launcher, Password, Settings, expected, unsafe
from fleet.adapters.ansible.workdir import Job
from fleet.model.batch import NodeAnswer, NodeTask, Observation
from fleet.ports.applier import ProjectWriter


class AnsibleObserver:
    """Fills `ports.Observer` with the rendered project's observe.yml. A look reads no secret of a bundle: `password`
    opens the vault that holds sudo's password, None where there is none.
    """

    def __init__(
        self, settings: Settings, write_project: ProjectWriter, password: Password | None = None,
        become: Password | None = None,
    ) -> None:  # fmt: skip
        self._launcher = Launcher(settings, write_project, password, become)

    def observe(self, nodes: Sequence[str]) -> Iterator[Observation]:
        """Each node once, in the order in which answers come; who gave none comes last. Leaving it ends the run."""
        if nodes:
            job = Job(kind="observe", playbook="observe.yml", nodes=tuple(nodes), forks=_forks(self._launcher, nodes))
            yield from ask(self._launcher, job, {}, Observation, lambda node, why: Observation(node, unreachable=why))


class AnsibleHand:
    """Fills `ports.Hand` with the playbook that a task names."""

    def __init__(
        self,
        settings: Settings,
        write_project: ProjectWriter,
        password: Password | None,
        become: Password | None = None,
    ) -> None:
        self._launcher = Launcher(settings, write_project, password, become)
        self._stop = Event()

    def stop_now(self) -> None:
        self._stop.set()

    def run(self, task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        """As `AnsibleObserver.observe`. Texts in the task's variables are never taken for templates."""
        if not nodes:
            return
        variables = {name: unsafe(value) for name, value in task.variables.items()}
        variables["fleet_controller"] = unsafe(self._launcher.settings.controller)
        variables["fleet_run_expect"] = expected(task.expect)
        variables["fleet_expect"] = "\"{{ fleet_run_expect[inventory_hostname] | default('') }}\""
        playbook, forks = f"{task.playbook}.yml", _forks(self._launcher, nodes)
        job = Job(kind="ask", playbook=playbook, nodes=tuple(nodes), forks=forks)
        yield from ask(
            self._launcher, job, variables, NodeAnswer, lambda node, why: NodeAnswer(node, "failed", why), self._stop
        )


def _forks(launcher: Launcher, nodes: Sequence[str]) -> int:
    return max(1, min(launcher.settings.forks, len(nodes)))
