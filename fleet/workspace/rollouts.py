"""Rollouts of a fleet folder: listed, watched, gone on with, and told to pause, to end or to go on by who may."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from fleet.errors import FleetError, RefusedError
from fleet.formats.words import some
from fleet.model.plan import EVERYTHING

if TYPE_CHECKING:
    from fleet.model.event import Event
    from fleet.model.node_log import NodeLog
    from fleet.model.node_result import NodeResults, Result
    from fleet.model.plan import Plan
    from fleet.model.rollout import RolloutNode
    from fleet.model.status import RolloutRow
    from fleet.operations.intent import Intent
    from fleet.operations.progress import Story
    from fleet.operations.supersede import Standing
    from fleet.ports.engine import Answer
    from fleet.wiring import Wiring
    from fleet.workspace.driving import Driving


class ReadIntent(Protocol):
    def __call__(self, revision: str = "", policy: str = "") -> Intent: ...


class Rollouts:
    """Of one fleet folder; `workspace.rollouts`. `read` gives what git says; only `resume` asks for it.

    Each raises UsageError for a rollout that is not known, naming the newest ones.
    """

    def __init__(self, wiring: Wiring, read: ReadIntent, driving: Driving) -> None:
        self._wiring = wiring
        self._read = read
        self._driving = driving

    def list(self) -> Sequence[RolloutRow]:
        """Newest first, each with how far it is and what it waits for."""
        from fleet.operations.progress import rows

        return rows(self._wiring.rollouts)

    def ids(self) -> Sequence[str]:
        """Newest first."""
        return [each.id for each in self._wiring.rollouts.list()]

    def story(self, rollout_id: str) -> Story:
        """How far one is, all that happened, and which one rolled it back."""
        from msgspec.structs import replace

        from fleet.operations.node_log import rollbacks, undone_by
        from fleet.operations.progress import story

        found = story(self._wiring.rollouts, rollout_id)
        by = undone_by(rollbacks(self._wiring.journal), rollout_id)
        return replace(found, undone_by=by, undone=len(self._wiring.journal.order(by).nodes) if by else 0)

    def results(self, rollout_id: str, only: Collection[Result] = ()) -> NodeResults:
        """What came of each node, of those with a result in `only` or of all."""
        from fleet.operations.results import results

        return results(self._wiring.journal, rollout_id, only)

    def of_node(self, name: str, *, last: int = 0, with_output: bool = False) -> NodeLog:
        """What they did to one node, the `last` entries of it (0: all); `with_output`: and what Ansible printed. Raises
        UsageError for a name that neither a rollout nor the spec knows.
        """
        from fleet.model.plan import Scope
        from fleet.operations.node_log import node_log
        from fleet.resolve import in_scope

        log = node_log(self._wiring.journal, self._wiring.outputs, name, last=last, with_output=with_output)
        if not log.runs:
            in_scope(self._read().fleet, Scope(nodes=(name,)))
        return log

    def waiting(self, rollout_id: str) -> str:
        """The wave that waits for an approval; empty for none."""
        from fleet.operations.progress import waiting_wave

        return waiting_wave(self._wiring.rollouts, rollout_id)

    def events(self, rollout_id: str, after: int = 0) -> Iterator[Event]:
        """What happened in a rollout behind its event number `after`, from the journal."""
        return (entry.event for entry in self._wiring.rollouts.events_after(rollout_id, after))

    def watch(self, rollout_id: str) -> Iterator[Event]:
        """What happened in a rollout, and what happens: until it ends, is paused, or nobody drives it."""
        from fleet.operations.watch import watch

        return watch(self._wiring.rollouts, rollout_id, self._wiring.clock)

    def pause(self, rollout_id: str, reason: str = "") -> Answer:
        """Asks it to start nothing new. Raises UsageError where it does not run."""
        from fleet.model.signal import Pause

        return self._wiring.rollouts.signal(rollout_id, Pause(reason or self._by))

    def cancel(self, rollout_id: str, reason: str = "") -> Answer:
        """Asks it to end when what runs is over. Raises UsageError where it has ended."""
        from fleet.model.signal import Cancel

        return self._wiring.rollouts.signal(rollout_id, Cancel(reason or self._by))

    def approve(self, rollout_id: str, wave: str = "") -> Answer:
        """Lets the wave begin that waits for it, in the name of this controller. Raises UsageError where none waits."""
        from fleet.model.signal import Approve

        return self._wiring.rollouts.signal(rollout_id, Approve(self._wiring.controller, wave))

    def deferred(self, plan: Plan) -> Sequence[str]:
        """Nodes of a plan of everything that an earlier rollout left behind, because they or a server were away."""
        from fleet.operations.again import deferred

        return deferred(self._wiring.journal, plan)

    def failed(self, rollout_id: str, plan: Plan) -> Sequence[str]:
        """Nodes of a plan of everything that failed in a rollout, or waited for one that did, and still want the same."""
        from fleet.operations.again import failed

        return failed(self._wiring.journal, rollout_id, plan)

    def driver(self, rollout_id: str) -> str:
        """The controller that drives it now; empty for none."""
        return self._wiring.rollouts.driver(rollout_id)

    def new_id(self) -> str:
        """Of a rollout that is going to begin."""
        from fleet.operations.apply import new_id

        return new_id()

    def supersede(self, by: str) -> Iterator[Standing]:
        """Asks whatever rolls out from this folder to end for the rollout `by`, and tells what it waits for, until nobody
        drives a rollout. Raises BusyError where somebody asked for the same later.
        """
        from fleet.operations.supersede import supersede

        return supersede(self._wiring.rollouts, by, self._wiring.clock)

    def take_back(self, rollout_id: str) -> Answer:
        """Takes back a pause that has been asked for and has not come. Raises UsageError where there is none."""
        from fleet.model.signal import Resume

        return self._wiring.rollouts.signal(rollout_id, Resume())

    def resume(self, rollout_id: str, *, forks: int = 20, cluster: bool = True) -> Iterator[Event]:
        """Goes on with a paused rollout, or with one whose controller died. Raises RefusedError if git moved on.

        Of one that was cancelled or superseded it is only found out how far its open batches came, wherever git is.
        """
        from fleet.operations.apply import learning

        if self._wiring.rollouts.is_ending(rollout_id):
            now = self._for_servers(rollout_id, cluster=cluster)
            events = self._driving.closing(now if cluster else None, forks).resume(rollout_id)
            yield from learning(now, events, self._wiring.records) if now else events
            return
        intent, _ = self._still_wanted(rollout_id)
        events = self._driving.engine(intent, forks, cluster=cluster, is_resumed=True).resume(rollout_id)
        yield from learning(intent, events, self._wiring.records)

    def roll_back(
        self, rollout_id: str, *, waves: Sequence[str] = (), nodes: Sequence[str] = (), forks: int = 20,
        cluster: bool = True,
    ) -> Iterator[Event]:  # fmt: skip
        """Brings back what it brought the nodes of these waves and these nodes, or all where none are named, in a rollout of
        its own. Raises UsageError for one that it does not have, RefusedError where a node of it left the spec: nobody knows
        how it is reached.
        """
        from fleet.operations.rolling_back import part_of

        order = self._wiring.journal.order(rollout_id)
        only = part_of(order, waves, nodes)
        intent = self._read()
        there = {node.name for node in intent.fleet.nodes}
        gone = [name for name in only or [node.name for node in order.nodes] if name not in there]
        if gone:
            raise RefusedError(
                f"{some(gone)} left the spec since rollout {rollout_id}",
                "Put them back, or revert in git: fleet apply.",
            )
        yield from self._driving.engine(intent, forks, cluster=cluster, is_resumed=True).roll_back(rollout_id, only)

    def held_back(self, rollout_id: str) -> Sequence[str]:
        """Nodes that are not brought what this rollout brought, as it was rolled back."""
        found = self._wiring.records.held_back().items()
        return [name for name, held in found if held.rollout == rollout_id]

    def let_go(self, rollout_id: str) -> None:
        """What it brought may be brought again."""
        self._wiring.records.let_go(rollout_id)

    def check(self, rollout_id: str, *, cluster: bool = True) -> None:
        """What `resume` would be refused for because of git or a vault. Opens those that its changing nodes need."""
        from fleet.operations.preparing import check_vaults

        if self._wiring.rollouts.is_ending(rollout_id):
            self._for_servers(rollout_id, cluster=cluster)
            return
        intent, changing = self._still_wanted(rollout_id)
        check_vaults(intent, [node for node in intent.fleet.nodes if node.name in changing], self._wiring.secrets)

    def _for_servers(self, rollout_id: str, *, cluster: bool) -> Intent | None:
        """What git says now, where servers are under way: their Nodes may be cordoned, their cluster new. None where it need
        not be known. Raises RefusedError where it cannot be read and `cluster` is to be talked to.
        """
        journal = self._wiring.journal
        servers = {node.name for node in journal.order(rollout_id).nodes if node.role == "server"}
        open_ = {name for effect in journal.open_effects(rollout_id) for name in effect.order.nodes}
        if not servers & open_:
            return None
        try:
            return self._read()
        except FleetError as error:
            if not cluster or self._wiring.sandbox:
                return None
            raise RefusedError(
                f"servers of rollout {rollout_id} are under way and may be cordoned, and git does not say how they are "
                f"reached: {error.message}",
                f"Mend the spec, or leave their Nodes as they are: fleet rollout resume {rollout_id} --no-cluster",
            ) from error

    def _still_wanted(self, rollout_id: str) -> tuple[Intent, set[str]]:
        """What git says, and the nodes of a rollout that it still wants to change to what the rollout brings."""
        from fleet.operations.plan import plan as made

        order = self._wiring.journal.order(rollout_id)
        intent = self._read()
        status = next(each.status for each in self._wiring.rollouts.list() if each.id == rollout_id)
        if order.undoes or status == "withdrawing":
            return intent, {node.name for node in order.nodes}
        if order.policy in intent.spec.policies and order.policy != intent.spec.fleet.spec.rollout_policy:
            intent = self._read(policy=order.policy)
        wanted = {change.node: change.wanted for change in made(intent, self._wiring.records, EVERYTHING).nodes}
        there = {node.name for node in intent.fleet.nodes}
        moved = [
            node.name for node in order.nodes if node.name in there and _git_wants(intent, wanted, node) != node.wanted
        ]
        if moved:
            raise RefusedError(
                f"git wants something else of {moved[0]} than rollout {rollout_id} does",
                f"Start a new one: fleet apply; or end this one: fleet rollout cancel {rollout_id}. What it finished stays.",
            )
        return intent, {node.name for node in order.nodes if node.name in wanted}

    @property
    def _by(self) -> str:
        return f"by {self._wiring.controller}"


def _git_wants(intent: Intent, changing: Mapping[str, str], node: RolloutNode) -> str:
    """The digest that git wants of a node of a rollout. What does not change is as git wants it; unless it waits for somebody,
    or is held back: then nobody else brings it anything either.
    """
    record = intent.records.get(node.name)
    if node.name in changing or record is None or intent.is_waiting(node.name) or node.name in intent.held_back:
        return changing.get(node.name, node.wanted)
    return record.digest
