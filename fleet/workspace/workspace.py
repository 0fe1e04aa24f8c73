"""One fleet folder: the spec read, planned, rendered, applied, and looked at again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fleet.errors import UsageError
from fleet.model.plan import EVERYTHING, Plan, Scope
from fleet.model.validation import Validation
from fleet.wiring import STATE, PasswordSource, Wiring
from fleet.workspace.driving import Driving

if TYPE_CHECKING:
    from fleet.model.batch import Observation
    from fleet.model.check import How
    from fleet.model.event import Event
    from fleet.model.project import FolderReport
    from fleet.model.simulation import Rehearsal, Simulation
    from fleet.model.status import NodeDetail, NodeRow, Status
    from fleet.model.translation import ImportOptions, ImportReport
    from fleet.operations.intent import Intent
    from fleet.operations.lock import LockEvent
    from fleet.operations.secret import SecretEvent
    from fleet.operations.upkeep import UpkeepWish
    from fleet.ports.journal_file import JournalFile
    from fleet.workspace.hosts import Hosts
    from fleet.workspace.rollouts import Rollouts
    from fleet.workspace.secrets import Secrets

_LATEST = 5  # rollouts that the status shows


class Workspace:
    """One fleet folder, read again at each call. Only `apply`, `render`, `lock` and `secrets` write outside of `.fleet/`."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._driving = Driving(wiring)
        self._planned: tuple[Plan, Intent] | None = None
        self._missing: dict[str, How] = {}

    @classmethod
    def open(
        cls, path: str | Path = ".", *, sandbox: str = "", vault_password: PasswordSource | None = None,
        become_password: PasswordSource | None = None,
    ) -> Workspace:  # fmt: skip
        """`sandbox`: a folder in which every node is a folder. `vault_password` is asked when a vault is opened;
        `become_password` is what sudo asks for on nodes whose spec names no secret for it.
        """
        root = Path(path)
        if not root.is_dir():
            raise UsageError(f"{path} is no folder", "Name a fleet's folder with -C, or make one: fleet init DIR.")
        return cls(Wiring(root, sandbox, vault_password, become_password))

    @property
    def root(self) -> Path:
        return self._wiring.root

    @property
    def state(self) -> Path:
        """Where this controller keeps what it knows: `.fleet/` of the folder, or of the sandbox."""
        return self._wiring.state

    def hosts(self, *, forks: int = 20) -> Hosts:
        """Hosts that come and go: their keys, seeds, adoption, retirement."""
        from fleet.workspace.hosts import Hosts

        return Hosts(self._wiring, self._read, forks)

    def validate(self) -> Validation:
        """Raises SpecError with every mistake."""
        from fleet.operations.intent import each_rendered, warnings

        intent = self._read()
        each_rendered(intent, intent.fleet.nodes, intent.renderer.sketch)
        return Validation(
            fleet=intent.fleet.name,
            documents=intent.spec.documents,
            others=intent.spec.others,
            sites=len(intent.fleet.sites),
            nodes=len(intent.fleet.nodes),
            clusters=len(intent.fleet.clusters),
            warnings=warnings(intent),
            unlocked=intent.fleet.unlocked,
        )

    def plan(  # noqa: PLR0913 - the options of one plan
        self, scope: Scope = EVERYTHING, *, refresh: bool = False, forks: int = 20, updates: bool = False, policy: str = "",
        retrying: str = "",
    ) -> Plan:  # fmt: skip
        """What would change. `refresh` asks the nodes of the scope first what they hold; `updates`: OS updates that name
        no day are taken as of today; `policy`: another RolloutPolicy of the spec than the fleet's own; `retrying`: a rollout
        that was rolled back, and that holds nothing back here. `forks` nodes are asked, and brought forward, at once.
        """
        from fleet.operations.pace import pace_of
        from fleet.operations.plan import plan

        for _ in self.refresh(scope, forks=forks) if refresh else ():
            pass
        intent = self._read(policy=policy, retrying=retrying)
        wish = self._wish(updates=updates)
        pace = pace_of(self._wiring.journal, forks, wish.now) if intent.fleet.policy else None
        made = plan(intent, self._wiring.records, scope, wish, self._missing, pace=pace)
        self._planned = (made, intent)
        return made

    def refresh(self, scope: Scope = EVERYTHING, *, forks: int = 20) -> Iterator[Observation]:
        """Asks the nodes what they hold, and keeps their answers below `.fleet/`."""
        from fleet.operations.observe import noted, refresh
        from fleet.resolve import in_scope

        intent = self._read()
        sites = {node.name: node.site for node in in_scope(intent.fleet, scope)}
        asked = self._asked(intent, list(sites), partial(refresh, sites=sites), forks)
        yield from noted(asked, intent.records, self._missing)

    def save_plan(self, plan: Plan, path: str | Path) -> None:
        """Writes `fleet.plan/v1` (0600). Raises UsageError where the folder may not be written."""
        from fleet.workspace.plans import save

        save(plan, Path(path), self._wiring.root / STATE)

    def load_plan(self, path: str | Path) -> Plan:
        """Raises UsageError for a file that is no plan of this version."""
        from fleet.workspace.plans import load

        return load(path)

    def render(self, folder: str | Path, scope: Scope = EVERYTHING) -> FolderReport:
        """Writes the fleet as an Ansible project; touches only what changed."""
        from fleet.operations.render import render

        return render(self._read(), scope, self._wiring.folder, Path(folder), self._wiring.shipped)

    def apply(  # noqa: PLR0913 - the options of one rollout
        self, plan: Plan, *, forks: int = 20, take_over: str = "", allow_dirty: bool = False, unenforced: bool = False,
        updates: bool = False, verbosity: int = 0, cluster: bool = True, break_glass: str = "", one_wave: str = "",
        rollout_id: str = "",
    ) -> Iterator[Event]:  # fmt: skip
        """Carries out a plan; one that was loaded is made again first, and any difference refused. Where clusters are several
        minors behind, the next steps follow, each a rollout, while all nodes come through. Without `cluster`, Kubernetes is
        not talked to; `break_glass`: why freezes do not hold; `one_wave`: its name, where all nodes go in one;
        `rollout_id`: of the first rollout, empty for any.
        """
        from fleet.operations.apply import ApplyOptions, Hands, apply, told_end

        walks, plan, intent = self._made_again(plan, updates=updates)
        if plan.pending:
            plan, intent = self._second_pass(plan, intent, forks, updates=updates)
        options = ApplyOptions(
            forks, take_over, allow_dirty, unenforced, self._wish(updates=updates), break_glass, one_wave, rollout_id
        )
        while True:
            engine, wiring = self._driving.engine(intent, forks, verbosity, cluster=cluster), self._wiring
            hands = Hands(engine, wiring.records, wiring.secrets, wiring.controller)
            has_finished = yield from told_end(apply(intent, plan, hands, options))
            if not (walks and plan.walking and has_finished) or self._driving.is_stopping:
                return
            plan = self.plan(plan.scope, policy=plan.policy)
            intent = self._planned[1]  # type: ignore[index]  # plan() has just set it
            options = msgspec.structs.replace(options, rollout_id="")

    def simulate(self, rehearsal: Rehearsal, scope: Scope = EVERYTHING) -> Simulation:
        """The rollout that `apply` would start, with pretend nodes: nothing is touched, and nothing written."""
        from fleet.workspace.simulation import simulate

        return simulate(self._wiring, self._read(), rehearsal, scope)

    def check(self, plan: Plan, *, allow_dirty: bool = False, unenforced: bool = False, updates: bool = False) -> None:
        """All for which `apply` of the plan would be refused before anything is touched. Opens the vaults that it needs."""
        from fleet.operations.apply import ApplyOptions, check_ready

        _, plan, intent = self._made_again(plan, updates=updates)
        check_ready(intent, plan, self._wiring.secrets, ApplyOptions(allow_dirty=allow_dirty, unenforced=unenforced))

    def stop(self) -> None:
        """Once: what runs is finished, then the rollout pauses. Twice: what runs is ended now."""
        self._driving.stop()

    def status(self) -> Status:
        """What is applied where: from records and journal, without reading the spec."""
        from fleet.operations.progress import rows
        from fleet.operations.status import status

        it = self._wiring
        return status(it.records, rows(it.rollouts, _LATEST), it.source.head(), it.sandbox, it.clock.now())

    def rollouts(self) -> Rollouts:
        """Rollouts of this folder: listed, watched, gone on with, paused, cancelled, approved."""
        from fleet.workspace.rollouts import Rollouts

        return Rollouts(self._wiring, self._read, self._driving)

    def journal_file(self) -> JournalFile:
        """The file of rollouts and records, to be checked and exported."""
        return self._wiring.journal_file

    def nodes(self, scope: Scope = EVERYTHING) -> Sequence[NodeRow]:
        from fleet.operations.nodes import rows

        return rows(self._read(), scope)

    def policies(self) -> Sequence[str]:
        """Names of the spec's RolloutPolicies."""
        return sorted(self._read().spec.policies)

    def node(self, name: str, *, origin: bool = False, log: bool = False) -> NodeDetail:
        """One node, whole; with `origin` the line of the spec for each value, with `log` what rollouts did to it."""
        from fleet.operations.nodes import detail, history

        lines = history(self._wiring.journal, name) if log else ()
        return detail(self._read(), name, origin=origin, log=lines)

    def inventory(self) -> dict[str, Any]:
        """An Ansible inventory by the script protocol, with `_meta`."""
        from fleet.operations.inventory import inventory

        return inventory(self._read())

    def lock(self, upgrade: Sequence[str] = ()) -> Iterator[LockEvent]:
        """Pins in fleet.lock what the spec names; `upgrade` names channels that may move to their newest release."""
        from fleet.adapters.disk import write_atomic
        from fleet.operations.lock import LOCK_FILE, lock, wanted

        intent = self._read()
        held = intent.held_versions(self._wiring.records)
        request = wanted(intent.spec, intent.learned, held, upgrade)
        path = self._wiring.root / LOCK_FILE
        yield from lock(request, intent.lock, self._wiring.mirror, lambda data: write_atomic(path, data, 0o644))

    def generate_secrets(self) -> Iterator[SecretEvent]:
        """Makes the K3s tokens that clusters lack, and lists what people keep in vault files; never changes a value."""
        return self.secrets().generate()

    def secrets(self) -> Secrets:
        """Values in vault files: stored, told, listed, rotated, rekeyed."""
        from fleet.workspace.secrets import Secrets

        return Secrets(self._wiring, self._read)

    def import_ansible(
        self, hosts: str | Path, out: str | Path, options: ImportOptions | None = None, *, dry_run: bool = False
    ) -> ImportReport:
        """Turns an Ansible inventory (a file, or a folder of files) into a spec in the folder `out`, all of it or
        nothing, and tells what is not as it was. Raises SpecError with every mistake of an inventory that cannot be
        read, UsageError for files that are there already.
        """
        from fleet.model.translation import ImportOptions
        from fleet.operations.imports import Importing, import_ansible

        wiring = self._wiring
        task = Importing(wiring.inventories, wiring.additions, str(hosts), Path(out), str(out))
        return import_ansible(task, options or ImportOptions(), wiring.given_password, dry_run=dry_run)

    def _read(self, revision: str = "", policy: str = "", retrying: str = "") -> Intent:
        from fleet.operations.intent import read_intent

        wiring, home = self._wiring, str(self._wiring.state / "sandbox")
        tree = wiring.source.read(revision)
        return read_intent(tree, wiring.records, wiring.shipped.texts, home, wiring.sandbox, policy, retrying)

    def _made_again(self, plan: Plan, *, updates: bool) -> tuple[bool, Plan, Intent]:
        """A plan, with what git says of it: the one that was just made (True), or one that was loaded. Raises RefusedError
        where that would be another one now.
        """
        from fleet.operations.saved_plan import refuse_difference

        is_fresh = self._planned is not None and self._planned[0] is plan
        if not is_fresh:
            saved, plan = plan, self.plan(plan.scope, updates=updates, policy=plan.policy)
            refuse_difference(saved, plan)
        return is_fresh, plan, self._planned[1]  # type: ignore[index]  # plan() has set it

    def _wish(self, *, updates: bool) -> UpkeepWish:
        from fleet.operations.upkeep import UpkeepWish

        return UpkeepWish(self._wiring.clock.now(), updates)

    def _asked(self, intent: Intent, names: Sequence[str], ask: Any, forks: int) -> Iterator[Observation]:
        from fleet.operations.preparing import project_writer

        asked, wiring = set(names), self._wiring
        is_locked = any(node.connection.become_password for node in intent.fleet.nodes if node.name in asked)
        writer = project_writer(intent, wiring.folder, wiring.shipped, wiring.records)
        yield from ask(names, intent.fleet.name, wiring.observer(writer, forks, opens_vaults=is_locked), wiring.records)

    def _second_pass(self, plan: Plan, intent: Intent, forks: int, *, updates: bool) -> tuple[Plan, Intent]:
        """Asks the nodes what only they can tell, and plans again with the answers."""
        from fleet.operations.observe import learn

        pending = {node.name for node in intent.fleet.nodes if node.is_k3s and not node.arch}
        names = [change.node for change in plan.nodes if change.node in pending]
        for _ in self._asked(intent, names, learn, forks):
            pass
        return self.plan(plan.scope, updates=updates, policy=plan.policy), self._planned[1]  # type: ignore[index]  # plan() has just set it
