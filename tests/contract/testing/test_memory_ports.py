"""The stand-ins keep the contracts of what they stand in for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from fleet.errors import UnavailableError
from fleet.model.batch import BatchOrder, NodeAnswer, NodeTask, Observation
from fleet.model.cluster_node import ClusterNode, NodeIdentity
from fleet.model.drain import DrainRule, Pod, PodEvicted
from fleet.model.host_key import ShownKey
from fleet.model.inquiry import CommandEnd, Reply
from fleet.model.node import Node
from fleet.model.record import Record
from fleet.testing import (
    FolderApplier,
    MemoryApplier,
    MemoryClock,
    MemoryCluster,
    MemoryCommands,
    MemoryHand,
    MemoryHostKeys,
    MemoryJournal,
    MemoryObserver,
    MemoryRecords,
    MemorySecrets,
    MemoryWeb,
)
from fleet.testing.contracts.applier import ApplierContract
from fleet.testing.contracts.cluster import ClusterContract
from fleet.testing.contracts.gates import CommandsContract, WebContract
from fleet.testing.contracts.hand import HandContract
from fleet.testing.contracts.host_keys import HostKeysContract
from fleet.testing.contracts.journal import JournalContract
from fleet.testing.contracts.observer import ObserverContract
from fleet.testing.contracts.records import RecordsContract
from fleet.testing.contracts.secrets import SecretsContract
from tests.specs import document, resolved

WANTED = {"lyon-1": "b1:aa", "nice-1": "b1:bb"}
ORDER = BatchOrder("7f3c-0001", "7f3c", 3, ("lyon-1", "nice-1"), {"lyon-1": "", "nice-1": ""})


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self, clock: MemoryClock) -> MemoryJournal:
        return MemoryJournal(clock)


class TestMemoryRecords(RecordsContract):
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal(MemoryClock())

    @pytest.fixture
    def records(self, journal: MemoryJournal) -> MemoryRecords:
        return MemoryRecords(check=journal.check)


class TestMemorySecrets(SecretsContract):
    @pytest.fixture
    def secrets(self) -> MemorySecrets:
        return MemorySecrets()


class TestMemoryApplier(ApplierContract):
    @pytest.fixture
    def applier(self) -> MemoryApplier:
        return MemoryApplier(WANTED)

    @pytest.fixture
    def order(self) -> BatchOrder:
        return ORDER

    @pytest.fixture
    def holds(self, applier: MemoryApplier) -> Callable[[str], str]:
        return applier.digests.__getitem__


class TestFolderApplier(ApplierContract):
    @pytest.fixture
    def applier(self, tmp_path: Path) -> FolderApplier:
        return FolderApplier(tmp_path, WANTED)

    @pytest.fixture
    def order(self) -> BatchOrder:
        return ORDER

    @pytest.fixture
    def holds(self, applier: FolderApplier) -> Callable[[str], str]:
        return lambda node: applier.digests()[node]


class TestMemoryObserver(ObserverContract):
    @pytest.fixture
    def seen(self) -> tuple[Observation, ...]:
        record = Record("lyon-1", "acme", "m1", "b1:aa")
        return (
            Observation("lyon-1", record, machine_id="m1", arch="amd64"),
            Observation("nice-1", unreachable="no route to host"),
            Observation("pau-1"),
        )

    @pytest.fixture
    def observer(self, seen: tuple[Observation, ...]) -> MemoryObserver:
        return MemoryObserver({one.node: one for one in seen[:2]})


class TestMemoryHand(HandContract):
    @pytest.fixture
    def task(self) -> NodeTask:
        return NodeTask("probe")

    @pytest.fixture
    def told(self) -> tuple[NodeAnswer, ...]:
        return (
            NodeAnswer("lyon-1", "done", result={"probe": {"python": "3.11"}}),
            NodeAnswer("nice-1", "failed", "the disk is gone"),
            NodeAnswer("pau-1", "unreachable", "no route to host"),
        )

    @pytest.fixture
    def hand(self, told: tuple[NodeAnswer, ...]) -> MemoryHand:
        return MemoryHand({one.node: one for one in told})


class TestMemoryWeb(WebContract):
    @pytest.fixture
    def good(self) -> str:
        return "http://shop.example/healthz"

    @pytest.fixture
    def absent(self) -> str:
        return "http://nobody.example/healthz"

    @pytest.fixture
    def mute(self) -> str:
        return "http://mute.example/healthz"

    @pytest.fixture
    def web(self, good: str, mute: str) -> MemoryWeb:
        return MemoryWeb({good: [Reply(204)], mute: [Reply(200, seconds=math.inf)]})


class TestMemoryCommands(CommandsContract):
    @pytest.fixture
    def good(self) -> Sequence[str]:
        return ["true"]

    @pytest.fixture
    def bad(self) -> Sequence[str]:
        return ["false"]

    @pytest.fixture
    def absent(self) -> Sequence[str]:
        return ["./absent"]

    @pytest.fixture
    def endless(self) -> Sequence[str]:
        return ["sleep", "600"]

    @pytest.fixture
    def commands(self) -> MemoryCommands:
        unable = CommandEnd(reason="it cannot be run: no such file or directory")
        return MemoryCommands({("false",): CommandEnd(3), ("./absent",): unable, ("sleep", "600"): None})


class TestMemoryHostKeys(HostKeysContract):
    @pytest.fixture
    def keys(self) -> Mapping[str, str]:
        return {"a": "ssh-ed25519 AAAA", "b": "ssh-rsa BBBB"}

    @pytest.fixture
    def nodes(self) -> Sequence[Node]:
        listed = ", ".join(f"{{name: {name}, role: none, address: 10.0.0.{at}}}" for at, name in enumerate("abc", 1))
        return resolved(document("Fleet", "acme", ""), document("Site", "lyon", f"nodes: [{listed}]")).nodes

    @pytest.fixture
    def host_keys(self, keys: Mapping[str, str]) -> MemoryHostKeys:
        return MemoryHostKeys({node: ShownKey(node, *key.split()) for node, key in keys.items()})


class TestMemoryCluster(ClusterContract):
    @pytest.fixture
    def cluster(self) -> MemoryCluster:
        return MemoryCluster()

    @pytest.fixture
    def stage(self, cluster: MemoryCluster) -> MemoryCluster:
        return cluster


def test_a_node_that_holds_something_unexpected_is_left_alone(tmp_path: Path) -> None:
    FolderApplier(tmp_path, {"lyon-1": "b1:other"}).run_batch(BatchOrder("0-1", "0", 1, ("lyon-1",), {"lyon-1": ""}))
    order = BatchOrder("7f3c-0001", "7f3c", 3, ("lyon-1",), {"lyon-1": "b1:old"})
    (result,) = FolderApplier(tmp_path, WANTED).run_batch(order).results
    assert (result.outcome, result.reason) == ("failed", "it holds b1:other, expected b1:old")
    assert FolderApplier(tmp_path, WANTED).digests() == {"lyon-1": "b1:other"}


def test_time_stands_still_until_it_is_moved() -> None:
    clock = MemoryClock(100.0)
    clock.sleep(2.5)
    clock.advance(1)
    assert clock.now() == 103.5


def test_a_cluster_that_cannot_be_reached() -> None:
    cluster = MemoryCluster()
    node = NodeIdentity("lyon-1-a", "m1")
    cluster.add_node(ClusterNode(node.name, node.machine_id))
    cluster.add_pod(node.name, Pod("shop/web-0", "u1", controller="ReplicaSet"), never_ends=True)
    events = cluster.drain(node, DrainRule(), "rollout")
    assert next(events) == PodEvicted(node.name, "shop/web-0")
    cluster.unreachable = "no route to host"
    for does in (
        cluster.nodes,
        cluster.datastore,
        lambda: cluster.cordon(node, "rollout"),
        lambda: cluster.delete(NodeIdentity("lyon-1-z", "m1")),
        lambda: list(events),
    ):
        with pytest.raises(UnavailableError, match="no route to host"):
            does()
    cluster.unreachable = ""
    assert [each.is_cordoned_by_fleet for each in cluster.nodes()] == [True]
