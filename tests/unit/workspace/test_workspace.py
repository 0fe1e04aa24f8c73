"""The facade: what is checked before a plan that was kept, or a rollout that stopped, is carried on with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pytest

from fleet.adapters.folder import DiskFolder
from fleet.errors import FleetError, RefusedError
from fleet.model.batch import BatchOrder, Observation
from fleet.model.effect import RunBatch
from fleet.model.event import (
    BatchStarted,
    CancelRequested,
    Event,
    NodeApplied,
    RolloutFinished,
    RolloutStarted,
    WaveStarted,
)
from fleet.model.learned import LearnedCluster
from fleet.model.project import Shipped
from fleet.model.record import Record
from fleet.model.rollout import RolloutCounts, RolloutOrder
from fleet.model.tree import Revision, Tree
from fleet.ports.applier import ProjectWriter
from fleet.ports.journal import Step
from fleet.testing import MemoryClock, MemoryJournal, MemoryObserver, MemoryRecords
from fleet.wiring import Wiring
from fleet.workspace import Workspace
from tests import specs
from tests.specs import FLEET, document
from tests.unit.operations.hosts import EverySecret
from tests.unit.render.ground import COMMIT, shipped

LYON = "nodes: [{name: s1, role: server, arch: amd64, address: 10.0.0.1}]\nos: {files: [{path: /etc/x, content: %s}]}"
UNKNOWN = LYON.replace("arch: amd64, ", "")
TOKENS = {
    "secrets/secrets.lock": json.dumps(
        {
            "format": "fleet.secrets/v1",
            "secrets": {
                name: {"file": "secrets/lyon.yaml", "version": 1, "fingerprint": "f" * 64}
                for name in ("lyon.k3s-token", "lyon.k3s-agent-token")
            },
        }
    )
}


class Repository:
    """One document that may change, always at the same commit."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.files = TOKENS
        self.more: tuple[str, ...] = ()

    def read(self, revision: str = "") -> Tree:  # noqa: ARG002 - it has one revision
        return Tree(
            specs.tree(FLEET, document("Site", "lyon", self.site), *self.more, files=self.files).files,
            self.head(),
            root="/r",
        )

    def head(self) -> Revision:
        return Revision(COMMIT, "main")


class Engine:
    """Applies every node at once; remembers what was rolled, resumed and stopped."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.rolled: list[RolloutOrder] = []
        self.resumed: list[str] = []
        self.stops = 0

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        self.rolled.append(order)
        lease = self.journal.acquire("ops")
        self.journal.begin(lease, order)
        self.journal.release(lease)
        yield from (NodeApplied(n.name, n.site, "1", digest=n.wanted, changed=1) for n in order.nodes[:0])

    def resume(self, rollout_id: str) -> Iterator[Event]:
        self.resumed.append(rollout_id)
        order = self.journal.order(rollout_id)
        yield from (NodeApplied(n.name, n.site, "1", digest=n.wanted, changed=1) for n in order.nodes)

    def stop(self) -> None:
        self.stops += 1


class InMemory(Wiring):
    """The composition root with nothing outside."""

    def __init__(self, root: Path, site: str = LYON % "one") -> None:
        super().__init__(root)
        self.repository = Repository(site)
        self.looker = MemoryObserver()
        self.engine_ = Engine(self.journal)

    @property
    def controller(self) -> str:
        return "ops@laptop"

    @cached_property
    def source(self) -> Repository:
        return self.repository

    @cached_property
    def records(self) -> MemoryRecords:
        return MemoryRecords()

    @cached_property
    def journal(self) -> MemoryJournal:
        return MemoryJournal(MemoryClock())

    @cached_property
    def secrets(self) -> EverySecret:
        return EverySecret()

    @cached_property
    def folder(self) -> DiskFolder:
        return DiskFolder()

    @cached_property
    def shipped(self) -> Shipped:
        return shipped()

    def engine(self, write_project: ProjectWriter, *_: object) -> Engine:
        self.writer = write_project
        return self.engine_

    def observer(self, write_project: ProjectWriter, forks: int, *, opens_vaults: bool = False) -> MemoryObserver:  # noqa: ARG002 - as Wiring's
        return self.looker


def stopped(wiring: InMemory) -> tuple[Workspace, str]:
    """A rollout that stopped before it touched a node."""
    workspace = Workspace(wiring)
    assert list(workspace.apply(workspace.plan())) == []
    (order,) = wiring.engine_.rolled
    return workspace, order.id


def test_the_order_names_what_each_node_holds(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    held = Record("s1", "acme", "m" * 32, digest="b1:" + "0" * 64, arch="amd64", manifest="{}")
    wiring.records.save([held])
    workspace, _ = stopped(wiring)
    (node,) = wiring.engine_.rolled[0].nodes
    assert node.base == "b1:" + "0" * 64
    assert node.wanted == workspace.plan().nodes[0].wanted


def test_a_rollout_goes_on_and_what_it_finds_is_learned(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    workspace, rollout = stopped(wiring)
    assert [type(event) for event in workspace.rollouts().resume(rollout)] == [NodeApplied]
    assert wiring.engine_.resumed == [rollout]
    assert wiring.records.clusters() == {"lyon": LearnedCluster(existed=True, datastore="sqlite")}


def test_a_rollout_that_git_no_longer_wants_does_not_go_on(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    workspace, rollout = stopped(wiring)
    wiring.repository.site = LYON % "two"
    with pytest.raises(RefusedError, match=f"git wants something else of s1 than rollout {rollout} does") as caught:
        list(workspace.rollouts().resume(rollout))
    assert caught.value.hint == (
        f"Start a new one: fleet apply; or end this one: fleet rollout cancel {rollout}. What it finished stays."
    )
    assert wiring.engine_.resumed == []


def ending(wiring: InMemory, under_way: Sequence[str]) -> str:
    """A cancelled rollout whose controller died with these nodes under way, and git is elsewhere since."""
    _, rollout = stopped(wiring)
    lease = wiring.journal.acquire("ops@desk")
    batch = BatchOrder(f"{rollout}-0001", rollout, lease.epoch, tuple(under_way))
    events: list[Event] = [
        RolloutStarted(rollout, "acme", COMMIT, "ops@desk", lease.epoch, 1, 1),
        WaveStarted("everyone", 0, 1),
        *[BatchStarted(batch.batch_id, batch.nodes)] * bool(under_way),
        CancelRequested("wrong version", len(under_way)),
    ]
    effects = (RunBatch(batch),) if under_way else ()
    wiring.journal.append(lease, rollout, Step(tuple(events), effects))
    wiring.journal.release(lease)
    wiring.repository.site = LYON % "two"
    return rollout


def test_a_cancelled_rollout_is_found_out_about_wherever_git_is(tmp_path: Path) -> None:
    """Its first server came through, so its cluster exists from now on."""
    wiring = InMemory(tmp_path)
    rollout = ending(wiring, ["s1"])
    workspace = Workspace(wiring)
    wiring.secrets.opened.clear()
    workspace.rollouts().check(rollout)
    assert [type(event) for event in workspace.rollouts().resume(rollout)] == [NodeApplied]
    assert (wiring.engine_.resumed, wiring.secrets.opened) == ([rollout], [])
    assert wiring.records.clusters() == {"lyon": LearnedCluster(existed=True, datastore="sqlite")}
    with pytest.raises(FleetError, match="a batch of 1 nodes was to begin, and its rollout is ending"):
        wiring.writer(tmp_path, ["s1"])


def test_a_server_under_way_is_reached_by_what_git_says_or_left_as_it_is(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    rollout = ending(wiring, ["s1"])
    wiring.repository.site = "nodes: 7"
    rollouts = Workspace(wiring).rollouts()
    for ask in (lambda: rollouts.check(rollout), lambda: list(rollouts.resume(rollout))):
        with pytest.raises(RefusedError, match=f"servers of rollout {rollout} are under way and may be cordoned") as e:
            ask()
        assert e.value.hint.endswith(f"fleet rollout resume {rollout} --no-cluster")
    assert wiring.engine_.resumed == []
    rollouts.check(rollout, cluster=False)
    list(rollouts.resume(rollout, cluster=False))
    assert wiring.engine_.resumed == [rollout]


def test_nothing_under_way_needs_no_spec(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    rollout = ending(wiring, [])
    wiring.repository.site = "nodes: 7"
    list(Workspace(wiring).rollouts().resume(rollout))
    assert wiring.engine_.resumed == [rollout]


def test_a_rollout_goes_on_under_the_policy_that_it_began_with(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    policy = document("RolloutPolicy", "careful", "waves: [{name: first, limit: 1}]")
    wiring.repository.more = (policy,)
    workspace = Workspace(wiring)
    assert list(workspace.apply(workspace.plan(policy="careful"))) == []
    (order,) = wiring.engine_.rolled
    assert (order.policy, [wave.name for wave in order.waves]) == ("careful", ["first"])

    intent, changing = workspace.rollouts()._still_wanted(order.id)
    assert intent.fleet.policy is not None
    assert (intent.fleet.policy.name, changing) == ("careful", {"s1"})

    wiring.repository.more = ()
    intent, _ = workspace.rollouts()._still_wanted(order.id)
    assert intent.fleet.policy is None, "one that is gone from the spec stops nobody"


def test_a_check_opens_what_the_changing_nodes_of_a_rollout_need(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    workspace, rollout = stopped(wiring)
    wiring.secrets.opened.clear()
    workspace.rollouts().check(rollout)
    assert set(wiring.secrets.opened) == {"secrets/lyon.yaml"}
    wiring.repository.site = LYON % "two"
    with pytest.raises(RefusedError, match="git wants something else of s1"):
        workspace.rollouts().check(rollout)
    assert wiring.engine_.resumed == []


def test_a_check_of_a_plan_refuses_what_apply_would(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    workspace = Workspace(wiring)
    plan = workspace.plan()
    workspace.check(plan)
    assert set(wiring.secrets.opened) == {"secrets/lyon.yaml"}
    wiring.repository.files = {}
    workspace = Workspace(wiring)
    with pytest.raises(RefusedError, match=r"secrets/ lacks lyon\.k3s-agent-token, lyon\.k3s-token"):
        workspace.check(workspace.plan())
    assert wiring.engine_.rolled == []


def test_a_kept_plan_is_made_again_and_any_difference_is_refused(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    Workspace(wiring).save_plan(Workspace(wiring).plan(), tmp_path / "plan.json")
    workspace = Workspace(wiring)
    kept = workspace.load_plan(tmp_path / "plan.json")
    wiring.repository.site = LYON % "two"
    with pytest.raises(RefusedError, match="the spec's files changed since the plan was saved"):
        list(workspace.apply(kept))
    assert wiring.engine_.rolled == []
    wiring.repository.site = LYON % "one"
    list(workspace.apply(kept))
    assert [node.wanted for node in wiring.engine_.rolled[0].nodes] == [change.wanted for change in kept.nodes]
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


class Stepping(Engine):
    """Brings every node to what is wanted of it, which the node then tells."""

    def __init__(self, journal: MemoryJournal, records: MemoryRecords, versions: list[str]) -> None:
        super().__init__(journal)
        self.records, self.versions = records, versions

    def roll(self, order: RolloutOrder) -> Iterator[Event]:
        yield from super().roll(order)
        held = {"k3s_version": self.versions.pop(0)}
        self.records.save([Record(n.name, "acme", "m" * 32, n.wanted, learned=held) for n in order.nodes])
        yield RolloutFinished(order.id, RolloutCounts(applied=len(order.nodes)))


@pytest.mark.parametrize(("stops", "rollouts"), [(False, 2), (True, 1)])
def test_a_walk_goes_on_unless_somebody_stops_it_between_two_steps(
    tmp_path: Path, *, stops: bool, rollouts: int
) -> None:
    wiring = InMemory(tmp_path)
    held = Record("s1", "acme", "m" * 32, "b1:" + "0" * 64, arch="amd64", learned={"k3s_version": "v1.34.6+k3s1"})
    wiring.records.save([held])
    wiring.repository.files = {**TOKENS, "fleet.lock": specs.lock("v1.35.4+k3s1", "v1.36.3+k3s1")}
    wiring.engine_ = Stepping(wiring.journal, wiring.records, ["v1.35.4+k3s1", "v1.36.3+k3s1"])
    workspace = Workspace(wiring)
    for _ in workspace.apply(workspace.plan()):
        if stops:
            workspace.stop()
    assert len(wiring.engine_.rolled) == rollouts


def test_what_only_a_node_can_tell_is_asked_before_it_is_changed(tmp_path: Path) -> None:
    other = UNKNOWN.replace("]\nos", ", {name: h1, role: none, address: 10.0.0.9}]\nos")
    wiring = InMemory(tmp_path, other % "one")
    wiring.looker.observations["s1"] = Observation("s1", machine_id="m" * 32, arch="arm64")
    workspace = Workspace(wiring)
    first = workspace.plan()
    assert first.pending == {"arch": 1}
    list(workspace.apply(first))
    assert wiring.looker.asked == [("s1",)]
    wanted = {node.name: node.wanted for node in wiring.engine_.rolled[0].nodes}
    before = {change.node: change.wanted for change in first.nodes}
    assert wanted["s1"] != before["s1"]
    assert wanted["h1"] == before["h1"]
    assert wiring.records.all()["s1"].arch == "arm64"


def test_updates_that_are_wished_for_are_still_wished_for_once_a_node_was_asked(tmp_path: Path) -> None:
    """h1 holds its bundle already: there is nothing else to do on it."""
    nodes = UNKNOWN.replace(
        "]\nos: {", ", {name: h1, role: none, address: 10.0.0.9}]\nos: {updates: {mode: security}, "
    )
    wiring = InMemory(tmp_path, nodes % "one")
    wiring.looker.observations["s1"] = Observation("s1", machine_id="m" * 32, arch="arm64")
    wanted = {change.node: change.wanted for change in Workspace(wiring).plan().nodes}
    wiring.records.save([Record("h1", "acme", "n" * 32, wanted["h1"])])
    workspace = Workspace(wiring)
    first = workspace.plan(updates=True)
    assert {change.node for change in first.nodes} == {"s1", "h1"}
    list(workspace.apply(first, updates=True))
    assert {node.name for node in wiring.engine_.rolled[0].nodes} == {"s1", "h1"}


def test_a_stop_reaches_the_engine(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    workspace, _ = stopped(wiring)
    workspace.stop()
    assert wiring.engine_.stops == 1


def test_a_refresh_asks_the_scope_and_keeps_the_answers(tmp_path: Path) -> None:
    wiring = InMemory(tmp_path)
    wiring.looker.observations["s1"] = Observation("s1", machine_id="m" * 32, arch="amd64")
    answers: Sequence[Observation] = list(Workspace(wiring).refresh())
    assert [answer.node for answer in answers] == ["s1"]
    assert wiring.records.all()["s1"].machine_id == "m" * 32
