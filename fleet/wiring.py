"""The one composition root: names concrete adapters, each imported when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.adapters.ansible import AnsibleApplier, AnsibleObserver, Settings
    from fleet.adapters.gates import HttpWeb
    from fleet.adapters.sqlite import Database
    from fleet.model.node import Node
    from fleet.model.project import Shipped
    from fleet.ports.additions import Additions
    from fleet.ports.applier import Applier, Hand, ProjectWriter, Silent

    Around = Callable[[Applier], Applier]
    from fleet.ports.clock import Clock
    from fleet.ports.cluster import Cluster
    from fleet.ports.commands import Commands
    from fleet.ports.engine import Engine, Rollouts
    from fleet.ports.folder import Folder
    from fleet.ports.gates import Gates
    from fleet.ports.host_keys import HostKeys
    from fleet.ports.inventories import Inventories
    from fleet.ports.journal import Journal
    from fleet.ports.journal_file import JournalFile
    from fleet.ports.metrics import Metrics
    from fleet.ports.mirror import Mirror
    from fleet.ports.outputs import Outputs
    from fleet.ports.records import Records
    from fleet.ports.secrets import Secrets
    from fleet.ports.source import Source
    from fleet.ports.surroundings import Machine

PasswordSource = Callable[[], bytes]

STATE = ".fleet"
_MOST_DIGITS = 4


class Wiring:
    """The adapters of one fleet folder. With `sandbox`, state and nodes live in that folder and nowhere else."""

    def __init__(
        self,
        root: Path,
        sandbox: str = "",
        password: PasswordSource | None = None,
        become: PasswordSource | None = None,
    ) -> None:
        self.root = root.absolute()
        self.sandbox = os.path.normpath(Path(sandbox).absolute()) if sandbox else ""
        self.state = Path(self.sandbox or self.root) / STATE
        self.given_password = password
        self._become = become

    @property
    def controller(self) -> str:
        """Who applies, for records and leases."""
        import getpass
        import socket

        try:
            user = getpass.getuser()
        except (OSError, KeyError):
            user = f"uid{os.getuid()}"
        return f"{user}@{socket.gethostname()}"

    @cached_property
    def source(self) -> Source:
        from fleet.adapters.git import GitSource

        sandbox = Path(self.sandbox)
        is_inside = bool(self.sandbox) and self.root in sandbox.parents
        return GitSource(self.root, sandbox.relative_to(self.root).as_posix() if is_inside else "")

    @cached_property
    def database(self) -> Database:
        from fleet.adapters.sqlite import Database

        return Database(self.state)

    @cached_property
    def records(self) -> Records:
        from fleet.adapters.sqlite import SqliteRecords

        return SqliteRecords(self.database)

    @cached_property
    def clock(self) -> Clock:
        from fleet.adapters.clock import SystemClock

        return SystemClock()

    @cached_property
    def journal(self) -> Journal:
        from fleet.adapters.sqlite import SqliteJournal

        return SqliteJournal(self.database, self.clock)

    @contextmanager
    def passing_journal(self, clock: Clock) -> Iterator[Journal]:
        """A journal of its own in a folder that is gone afterwards."""
        import tempfile

        from fleet.adapters.sqlite import Database, SqliteJournal

        with tempfile.TemporaryDirectory(prefix="fleet-simulate-") as folder:
            database = Database(Path(folder))
            try:
                yield SqliteJournal(database, clock)
            finally:
                database.close()

    @cached_property
    def journal_file(self) -> JournalFile:
        from fleet.adapters.sqlite import SqliteJournalFile

        return SqliteJournalFile(self.state, self.clock)

    @cached_property
    def rollouts(self) -> Rollouts:
        """For who drives none of them."""
        from fleet.engine.rollouts import LocalRollouts

        return LocalRollouts(self.journal)

    @cached_property
    def folder(self) -> Folder:
        from fleet.adapters.folder import DiskFolder

        return DiskFolder()

    @cached_property
    def additions(self) -> Additions:
        from fleet.adapters.additions import DiskAdditions

        return DiskAdditions()

    @cached_property
    def inventories(self) -> Inventories:
        from fleet.adapters.inventories import DiskInventories

        return DiskInventories()

    @cached_property
    def shipped(self) -> Shipped:
        from fleet.adapters.share import shipped

        return shipped()

    @cached_property
    def machine(self) -> Machine:
        from fleet.adapters.machine import LocalMachine

        return LocalMachine(self.root, self.state)

    @cached_property
    def mirror(self) -> Mirror:
        from fleet.adapters.mirror import HttpMirror

        return HttpMirror(self.root)

    @cached_property
    def secrets(self) -> Secrets:
        from fleet.adapters.vault import VaultSecrets

        return VaultSecrets(self.root, self.password)

    def password(self) -> bytes:
        from fleet.errors import UsageError

        if self.given_password is None:
            raise UsageError(
                "secrets/ is locked and there is no vault password", "Name one with --vault-password-file."
            )
        return self.given_password()

    def engine(  # noqa: PLR0913, PLR0917 - all that an engine is made of
        self,
        write_project: ProjectWriter,
        forks: int,
        verbosity: int = 0,
        around: Around | None = None,
        gates: Callable[[], Gates] | None = None,
        silent: Silent | None = None,
    ) -> Engine:
        """Ansible does not wait for nodes that are `silent`. `around` puts the applier behind another one. `gates` makes those of one rollout; without, none is asked, and none passes."""
        from fleet.engine.crew import NO_GATES
        from fleet.engine.local import LocalEngine

        applier: Applier = self._applier(write_project, forks, verbosity, silent)
        return LocalEngine(
            self.journal, around(applier) if around else applier, self.records, gates=gates or (lambda: NO_GATES)
        )

    def observer(self, write_project: ProjectWriter, forks: int, *, opens_vaults: bool = False) -> AnsibleObserver:
        """`opens_vaults`: a node of it has its sudo password there; a look needs no other secret."""
        from fleet.adapters.ansible import AnsibleObserver

        password = self.password if opens_vaults else None
        return AnsibleObserver(self._settings(forks, 0), write_project, password, self._become)

    def hand(self, write_project: ProjectWriter, forks: int) -> Hand:
        from fleet.adapters.ansible import AnsibleHand

        return AnsibleHand(self._settings(forks, 0), write_project, self.password, self._become)

    def host_keys(self, forks: int) -> HostKeys:
        from fleet.adapters.ssh.host_keys import SshHostKeys

        return SshHostKeys(forks)

    def cluster(self, server: Node, known_hosts: bytes, become: PasswordSource | None = None) -> Cluster:
        """The cluster of a K3s server, through its ssh. `become` is for a server whose spec names a secret for sudo."""
        from fleet.adapters.kubernetes import KubernetesCluster, SshAccess

        return KubernetesCluster(SshAccess(server, known_hosts, become=become or self._become), self.clock)

    def web(self) -> HttpWeb:
        from fleet.adapters.gates import HttpWeb

        return HttpWeb()

    def metrics(self, web: HttpWeb) -> Metrics:
        """What stops `web` stops it as well."""
        from fleet.adapters.gates import PrometheusMetrics

        return PrometheusMetrics(web)

    def commands(self) -> Commands:
        from fleet.adapters.gates import LocalCommands

        return LocalCommands(self.root, self.state / "gates")

    def silent(self, nodes: Sequence[Node]) -> Silent:
        """Tells of some of these nodes, by name, which ones do not answer."""
        by_name = {node.name: node for node in nodes}

        def asked(names: Sequence[str]) -> Mapping[str, str]:
            from fleet.adapters.ssh.silence import silent

            return silent([by_name[name] for name in names])

        return asked

    def _applier(
        self, write_project: ProjectWriter, forks: int, verbosity: int, silent: Silent | None
    ) -> AnsibleApplier:
        from fleet.adapters.ansible import AnsibleApplier
        from fleet.ports.applier import answering

        settings = self._settings(forks, verbosity)
        return AnsibleApplier(settings, write_project, self.password, self._become, silent or answering)

    def _settings(self, forks: int, verbosity: int) -> Settings:
        from fleet.adapters.ansible import Settings

        return Settings(
            run_dir=self.state / "runs",
            forks=forks,
            controller=self.controller,
            verbosity=verbosity,
            output_dir=self.state / "output",
            kept_rollouts=_kept_rollouts(),
        )

    @cached_property
    def outputs(self) -> Outputs:
        from fleet.adapters.ansible.outputs import AnsibleOutputs

        return AnsibleOutputs(self.state / "output", _kept_rollouts())


def _kept_rollouts() -> int:
    """Of how many rollouts Ansible's output is kept. Raises UsageError for what is no number."""
    from fleet.adapters.ansible.outputs import KEPT_ROLLOUTS
    from fleet.errors import UsageError

    text = os.environ.get("FLEET_KEPT_OUTPUT", "") or str(KEPT_ROLLOUTS)
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise UsageError(
            f"FLEET_KEPT_OUTPUT: expected a number of rollouts, 0 to 9999, found `{text}`",
            f"Leave it out for the newest {KEPT_ROLLOUTS}.",
        )
    return int(text)
