# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleet.model.drain import (
    DrainEvent,
    DrainRule,
    NodeDrained,
    NodeNotDrained,
    Pod,
    PodEvicted,
    PodGone,
    PodHeld,
    PodLeft,
)
from fleet.ports.cluster import Cluster
from fleet.testing.contracts.cluster_stage import (
    BARE,
    BARE_FINISHED,
    CACHE,
    DAEMON,
    FINISHED,
    FIRST,
    MIRROR,
    PAY,
    REGISTERED,
    RULE,
    SECOND,
    WEB,
    A,
    B,
    Stage,
    node_of,
)


class DrainContract:
    """The drains of `ClusterContract`, with its fixtures."""

    @pytest.fixture(autouse=True)
    def two_nodes(self, stage: Any) -> None:
        stage.add_node(FIRST, REGISTERED)
        stage.add_node(SECOND, {"kubernetes.io/hostname": B.name})

    def test_pods_go_and_daemon_sets_and_static_pods_stay(self, cluster: Cluster, stage: Stage) -> None:
        for pod in (WEB, DAEMON, MIRROR, FINISHED, BARE_FINISHED, CACHE):
            stage.add_pod(A.name, pod)
        stage.add_pod(B.name, PAY)
        events = list(cluster.drain(A, RULE, "rollout 7f3c"))
        gone = {WEB.name, FINISHED.name, BARE_FINISHED.name, CACHE.name}
        assert {event.pod for event in events if isinstance(event, PodLeft)} == {DAEMON.name, MIRROR.name}
        assert {event.pod for event in events if isinstance(event, PodEvicted)} == gone
        assert {event.pod for event in events if isinstance(event, PodGone)} == gone
        assert events[-1] == NodeDrained(A.name, 4)
        assert stage.pods_on(A.name) == {DAEMON.name, MIRROR.name}
        assert stage.pods_on(B.name) == {PAY.name}
        assert node_of(cluster).is_cordoned_by_fleet

    def test_of_an_empty_node_there_is_little_to_tell(self, cluster: Cluster) -> None:
        assert list(cluster.drain(A, RULE, "rollout 7f3c")) == [NodeDrained(A.name, 0)]
        assert node_of(cluster).is_cordoned_by_fleet

    @pytest.mark.parametrize("force", [False, True])
    def test_a_budget_that_never_lets_go_is_named(self, cluster: Cluster, stage: Stage, *, force: bool) -> None:
        stage.add_pod(A.name, PAY, app="pay")
        stage.add_pod(A.name, WEB)
        stage.set_budget("shop/pay-budget", "pay", 0)
        events = list(cluster.drain(A, DrainRule(timeout=30.0, force=force), "rollout 7f3c"))
        held = [event for event in events if isinstance(event, PodHeld)]
        assert [(event.pod, event.budget) for event in held] == [(PAY.name, "pay-budget")]
        last = _not_drained(events)
        assert last.pods == (PAY.name,)
        assert PAY.name in last.reason
        assert "PodDisruptionBudget pay-budget" in last.reason
        assert "30 s" in last.reason
        assert stage.pods_on(A.name) == {PAY.name}
        assert node_of(cluster).is_cordoned_by_fleet

    def test_a_budget_that_lets_go_later(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, PAY, app="pay")
        stage.set_budget("shop/pay-budget", "pay", 0)
        events = cluster.drain(A, RULE, "rollout 7f3c")
        _until(PodHeld, events)
        stage.set_budget("shop/pay-budget", "pay", 1)
        assert list(events) == [PodEvicted(A.name, PAY.name), PodGone(A.name, PAY.name), NodeDrained(A.name, 1)]

    def test_a_budget_is_used_up_pod_by_pod(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, PAY, app="pay")
        stage.add_pod(A.name, Pod("shop/pay-1", "u9", controller="ReplicaSet"), app="pay")
        stage.set_budget("shop/pay-budget", "pay", 1)
        events = list(cluster.drain(A, RULE, "rollout 7f3c"))
        assert len([event for event in events if isinstance(event, PodEvicted)]) == 1
        assert len(_not_drained(events).pods) == 1

    def test_a_pod_that_nothing_brings_back_is_refused_before_any_goes(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, WEB)
        stage.add_pod(A.name, BARE)
        events = list(cluster.drain(A, RULE, "rollout 7f3c"))
        assert events == [_not_drained(events)]
        assert _not_drained(events).pods == (BARE.name,)
        assert BARE.name in _not_drained(events).reason
        assert stage.pods_on(A.name) == {WEB.name, BARE.name}
        assert list(cluster.drain(A, DrainRule(timeout=30.0, force=True), "rollout 7f3c"))[-1] == NodeDrained(A.name, 2)

    def test_what_an_empty_dir_holds_may_be_spared(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, CACHE)
        spares = DrainRule(timeout=30.0, force=True, deletes_empty_dir=False)
        assert _not_drained(list(cluster.drain(A, spares, "rollout 7f3c"))).pods == (CACHE.name,)
        assert stage.pods_on(A.name) == {CACHE.name}

    def test_a_pod_that_takes_its_time(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, WEB, never_ends=True)
        events = cluster.drain(A, RULE, "rollout 7f3c")
        assert next(events) == PodEvicted(A.name, WEB.name)
        stage.end_pod(WEB.name)
        assert list(events) == [PodGone(A.name, WEB.name), NodeDrained(A.name, 1)]

    def test_a_pod_that_never_ends_is_named(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, WEB, never_ends=True)
        last = _not_drained(list(cluster.drain(A, RULE, "rollout 7f3c")))
        assert last.pods == (WEB.name,)
        assert f"{WEB.name} (it was told to end and is still there)" in last.reason

    def test_a_drain_that_was_broken_off_goes_on(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, PAY, app="pay")
        stage.set_budget("shop/pay-budget", "pay", 0)
        events = cluster.drain(A, RULE, "rollout 7f3c")
        _until(PodHeld, events)
        del events
        stage.set_budget("shop/pay-budget", "pay", 1)
        assert list(cluster.drain(A, RULE, "rollout 7f3c"))[-1] == NodeDrained(A.name, 1)
        assert not cluster.uncordon(A).is_cordoned


def _not_drained(events: list[DrainEvent]) -> NodeNotDrained:
    last = events[-1]
    assert isinstance(last, NodeNotDrained)
    return last


def _until(kind: type[DrainEvent], events: Iterator[DrainEvent]) -> DrainEvent:
    return next(event for event in events if isinstance(event, kind))
