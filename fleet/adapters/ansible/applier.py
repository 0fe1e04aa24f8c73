"""AnsibleApplier: brings batches of nodes to their bundles, each batch once, whatever happens to the controller."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import msgspec

from fleet.adapters.ansible.answers import gathered, unanswered
from fleet.adapters.ansible.child import EXIT_TAKEN
from fleet.adapters.ansible.environment import forget_sockets
from fleet.adapters.ansible.launch import Launcher, Password, Settings, expected, plain, unsafe
from fleet.adapters.ansible.process import end_marked, is_alive
from fleet.adapters.ansible.workdir import Job, Workdir
from fleet.adapters.disk import make_private_folder
from fleet.errors import StoppedError, UnavailableError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.ports.applier import ProjectWriter, Silent, answering

_KEPT_SECONDS = 7 * 86400
_FIRST_NAP, _LONGEST_NAP = 0.02, 0.5
_ATTEMPTS = 3


class AnsibleApplier:
    """Fills `ports.Applier`. Safe to call from several threads, each with a batch of its own.

    The order of things in `run_batch` is what makes it idempotent:

    1. A done.json is the answer, also after the controller that ordered it is gone.
    2. A living child of the same work is adopted: waited for, and its result is the result. It keeps the epoch that
       it was started with, and writes it into the nodes' records.
    3. A living child of other work under the same name is ended, and so is whatever a dead child left running: ssh,
       Ansible's workers. Only then does the batch run again.
    """

    def __init__(
        self, settings: Settings, write_project: ProjectWriter, password: Password | None = None,
        become: Password | None = None, silent: Silent = answering,
    ) -> None:  # fmt: skip
        """Nodes that are `silent` when a batch begins are unreachable, and no run of Ansible waits for them."""
        self._silent = silent
        self._launcher = Launcher(settings, write_project, password, become)
        self._run_dir = settings.run_dir.absolute()
        self._stopped = threading.Event()
        self._running: dict[str, Workdir] = {}
        self._guard = threading.RLock()  # a signal may ask for a stop at any point

    def run_batch(self, order: BatchOrder) -> BatchResult:
        """Raises StoppedError after `stop_now`, UnavailableError or UsageError where the disk or Ansible refuse."""
        workdir = Workdir.named(self._run_dir, order.batch_id)
        make_private_folder(self._run_dir)
        with self._guard:
            self._running[order.batch_id] = workdir
        try:
            for _ in range(_ATTEMPTS):
                self._check_stop(order)
                if (result := self._attempt(workdir, order)) is not None:
                    return result
        finally:
            self._launcher.release(workdir)
            with self._guard:
                del self._running[order.batch_id]
        raise UnavailableError(f"batch {order.batch_id} is run by someone else", "is another fleet running here?")

    def stop_now(self) -> None:
        """Ends running children and all that they started. What they did not finish, the next run finds again."""
        self._stopped.set()
        with self._guard:
            running = list(self._running.values())
        for workdir in running:
            end_marked(str(workdir.path))

    def _attempt(self, workdir: Workdir, order: BatchOrder) -> BatchResult | None:
        """None when another child took the folder first: look again."""
        if (done := workdir.done()) is not None:
            return done
        intent, child = workdir.intent(), workdir.child()
        if intent is not None and child is not None and is_alive(child.identity) and _is_same_work(intent, order):
            return self._adopt(workdir, order)
        end_marked(str(workdir.path))
        if (done := workdir.done()) is not None:  # it came to its end while we looked
            return done
        if order.only_adopt:
            return self._left_behind(workdir, order)
        return self._begin(workdir, order)

    def _begin(self, workdir: Workdir, order: BatchOrder) -> BatchResult | None:
        """Whoever does not answer by now has its result; the others are run."""
        self._forget_old(order)
        workdir.intend(order)
        silent = self._silent(order.nodes)
        self._check_stop(order)
        known = [NodeResult(node, "unreachable", reason=why) for node, why in silent.items()]
        nodes = tuple(node for node in order.nodes if node not in silent)
        if not nodes:
            return _without_run(workdir, order, known)
        job = _job(order, nodes, self._launcher.settings)
        process = self._launcher.start(workdir, job, self._variables(order), known)
        if self._stopped.is_set():  # a stop between the check and the start found nothing to end
            end_marked(str(workdir.path))
        if process.wait() == EXIT_TAKEN:
            return None
        return self._collect(workdir, order)

    def _left_behind(self, workdir: Workdir, order: BatchOrder) -> BatchResult:
        """Nothing of it lives: those that answered have their results, the others are somebody else's now."""
        if workdir.intent() is not None:
            return self._collect(workdir, order)
        return msgspec.structs.replace(gathered(order, [], "it was not begun"), is_begun=False)

    def _adopt(self, workdir: Workdir, order: BatchOrder) -> BatchResult:
        nap = _FIRST_NAP
        while (child := workdir.child()) is not None and is_alive(child.identity):
            time.sleep(nap)
            nap = min(nap * 1.5, _LONGEST_NAP)
        return self._collect(workdir, order)

    def _collect(self, workdir: Workdir, order: BatchOrder) -> BatchResult:
        """The child has ended: its result, or what can be told when it was killed."""
        self._check_stop(order)
        if (done := workdir.done()) is not None:
            forget_sockets(workdir.path)
            return done
        end_marked(str(workdir.path))
        forget_sockets(workdir.path)
        lines, _ = workdir.answers(NodeResult)
        result = gathered(order, lines, unanswered(workdir.tail()))
        workdir.finish(result)
        workdir.keep_output()
        workdir.clear()
        return result

    def _check_stop(self, order: BatchOrder) -> None:
        if self._stopped.is_set():
            raise StoppedError(f"batch {order.batch_id} was stopped")

    def _variables(self, order: BatchOrder) -> dict[str, str]:
        """What the nodes' records and checks need of this run (roles/bundle). A digest that may not be there: none."""
        return {
            "fleet_epoch": plain(order.epoch),
            "fleet_controller": unsafe(self._launcher.settings.controller),
            "fleet_take_over": unsafe(order.take_over),
            "fleet_run_expect": expected(order.expect),
            "fleet_expect": "\"{{ fleet_run_expect[inventory_hostname] | default('') }}\"",
            **(_undo(order) if order.undo else {}),
            **(_upkeep(order, time.time()) if order.upkeep else {}),
        }

    def _forget_old(self, order: BatchOrder) -> None:
        """Results that every journal has read long ago go."""
        for path in self._run_dir.iterdir():
            done = path / "done.json"
            if path.name.startswith(f"{order.rollout_id}-") or not done.is_file():
                continue
            if time.time() - done.stat().st_mtime > _KEPT_SECONDS:
                Workdir(path).remove()


def _without_run(workdir: Workdir, order: BatchOrder, known: Sequence[NodeResult]) -> BatchResult:
    result = gathered(order, known, "")
    workdir.finish(result)
    workdir.clear()
    return result


def _undo(order: BatchOrder) -> dict[str, str]:
    return {
        "fleet_run_undo": plain(order.undo),
        "fleet_undo": "\"{{ fleet_run_undo[inventory_hostname] | default('') }}\"",
    }


def _upkeep(order: BatchOrder, now: float) -> dict[str, str]:
    """How long a reboot may still begin on each node: by now, whenever the batch was ordered."""
    left = {node: int(until - now) for node, until in order.reboot_until.items() if until - now >= 1}
    return {
        "fleet_updates_now": plain(order.updates_now),
        "fleet_run_reboot": plain(left),
        "fleet_reboot_seconds": '"{{ fleet_run_reboot[inventory_hostname] | default(0) }}"',
    }


def _is_same_work(intent: BatchOrder, order: BatchOrder) -> bool:
    """Whether two orders differ in nothing but the lease under which they were given, and what may be done of them."""
    return msgspec.structs.replace(intent, epoch=order.epoch, only_adopt=order.only_adopt) == order


def _job(order: BatchOrder, nodes: tuple[str, ...], settings: Settings) -> Job:
    return Job(
        kind="apply",
        playbook="upkeep.yml" if order.upkeep else "site.yml",
        nodes=nodes,
        batch_id=order.batch_id,
        epoch=order.epoch,
        forks=max(1, min(settings.forks, len(nodes))),
        verbosity=settings.verbosity,
    )
