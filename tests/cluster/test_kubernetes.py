"""KubernetesCluster where only the real API server has a say: its words, its conflicts, its outages."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.clock import SystemClock
from fleet.adapters.kubernetes import DirectAccess, KubernetesCluster, Patience
from fleet.errors import RefusedError, UnavailableError
from fleet.model.cluster_node import ClusterNode, NodeIdentity, Taint
from fleet.model.drain import DrainRule, NodeDrained, NodeNotDrained, Pod, PodEvicted, PodGone, PodHeld
from fleet.testing import MemoryClock
from tests.cluster.stage import ApiServerStage
from tests.lab.apiserver.certificates import Authority, Pair
from tests.lab.apiserver.server import ApiServer

A = NodeIdentity("lyon-1-a", "6f1d2c3b4a5968778695a4b3c2d1e0f1")
PAY = Pod("shop/pay-0", "", controller="ReplicaSet")
APPLY = "application/apply-patch+yaml"


@pytest.fixture(autouse=True)
def node(stage: ApiServerStage) -> None:
    stage.add_node(ClusterNode(A.name, A.machine_id, "v1.36.3+k3s1", is_ready=True), {"gpu": "nvidia"})


@pytest.fixture
def cluster(api: ApiServer) -> Iterator[KubernetesCluster]:
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: api.kubeconfig().encode()), MemoryClock()) as cluster:
        yield cluster


def as_somebody(api: ApiServer, pair: Pair) -> KubernetesCluster:
    return KubernetesCluster(DirectAccess("lyon-1-a", lambda: api.kubeconfig(admin=pair).encode()), MemoryClock())


def test_the_words_of_a_budget(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    stage.add_pod(A.name, PAY, app="pay")
    stage.set_budget("shop/pay-budget", "pay", 0)
    events = list(cluster.drain(A, DrainRule(timeout=20), "rollout"))
    words = "The disruption budget pay-budget needs 1 healthy pods and has 1 currently"
    assert events[0] == PodHeld(A.name, "shop/pay-0", "pay-budget", words)
    reason = f"not within 20 s: shop/pay-0 (PodDisruptionBudget pay-budget: {words})"
    assert events[1:] == [NodeNotDrained(A.name, reason, ("shop/pay-0",))]


def test_two_budgets_for_one_pod_are_never_granted(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    stage.add_pod(A.name, PAY, app="pay")
    stage.set_budget("shop/one", "pay", 1)
    stage.set_budget("shop/two", "pay", 1)
    last = list(cluster.drain(A, DrainRule(timeout=20), "rollout"))[-1]
    assert isinstance(last, NodeNotDrained)
    assert "more than one PodDisruptionBudget" in last.reason
    assert stage.pods_on(A.name) == {"shop/pay-0"}


def test_a_finished_pod_is_held_by_no_budget(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    stage.add_pod(A.name, Pod("shop/pay-0", "", controller="Job", is_finished=True), app="pay")
    stage.set_budget("shop/pay-budget", "pay", 0)
    assert list(cluster.drain(A, DrainRule(timeout=20), "rollout"))[-1] == NodeDrained(A.name, 1)


def test_who_owns_what_is_written_on_the_node(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
    cluster.cordon(A, "rollout 7f3c")
    about = stage.node(A.name)["metadata"]
    assert about["annotations"] == {
        "edgefleet.fleet/cordoned": "rollout 7f3c",
        "edgefleet.fleet/taints": "gpu=true:NoSchedule",
    }
    applied = {each["manager"]: each["fieldsV1"] for each in about["managedFields"] if each["operation"] == "Apply"}
    assert applied == {
        "edgefleet": {"f:metadata": {"f:labels": {"f:app": {}}}},
        "edgefleet-cordon": {
            "f:metadata": {"f:annotations": {"f:edgefleet.fleet/cordoned": {}}},
            "f:spec": {"f:unschedulable": {}},
        },
    }
    cluster.uncordon(A)
    cluster.reconcile(A, {}, [])
    assert "annotations" not in stage.node(A.name)["metadata"]


def test_apply_makes_no_node_that_has_gone(api: ApiServer) -> None:
    """Why every apply holds the uid: without it the API server would make a Node of that name."""
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gone"}, "spec": {"unschedulable": True}}
    with_uid = {**body, "metadata": {"name": "gone", "uid": "7d0c0000-0000-4000-8000-000000000000"}}
    path = "/api/v1/nodes/gone?fieldManager=edgefleet-cordon"
    assert api.call("PATCH", path, with_uid, content_type=APPLY)[0] == 409
    assert api.call("GET", "/api/v1/nodes/gone")[0] == 404
    assert api.call("PATCH", path, body, content_type=APPLY)[0] == 201


def test_a_kubelet_and_a_controller_that_write_all_the_time(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    """None of theirs is lost, and ours comes through."""
    theirs = Taint("node.kubernetes.io/memory-pressure", "", "NoSchedule")
    stage.others_taint(A.name, str(theirs))
    ends = threading.Event()
    beats: list[int] = []

    def writes() -> None:
        while not ends.wait(0.02):
            beats.append(1)
            condition = {"type": "Ready", "status": "True", "message": f"beat {len(beats)}"}
            stage.patch(A.name, {"status": {"conditions": [condition]}}, "k3s", "/status")

    thread = threading.Thread(target=writes)
    thread.start()
    try:
        for turn in range(15):
            found = cluster.reconcile(A, {"turn": str(turn)}, [f"turn=t{turn}:NoSchedule"])
            assert set(found.taints) == {theirs, Taint("turn", f"t{turn}", "NoSchedule")}
            assert (found.labels["turn"], found.labels["gpu"]) == (str(turn), "nvidia")
    finally:
        ends.set()
        thread.join()
    assert len(beats) > 5


def test_a_node_that_a_finalizer_holds(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    stage.patch(A.name, {"metadata": {"finalizers": ["longhorn.io/node"]}}, "longhorn")
    with pytest.raises(UnavailableError, match=r"could not delete the Node lyon-1-a: .*longhorn.io/node"):
        cluster.delete(A)
    assert stage.has_password(A.name)
    stage.patch(A.name, {"metadata": {"finalizers": None}}, "longhorn")
    cluster.delete(A)
    assert (cluster.nodes(), stage.has_password(A.name)) == ([], False)


def test_a_finalizer_that_does_its_work_is_waited_for(api: ApiServer, stage: ApiServerStage) -> None:
    """As K3s's own, which takes a member out of etcd before it lets the Node of a server go."""
    seen: list[bool] = []

    class EtcdLeaves(MemoryClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            seen.append(stage.has_password(A.name))
            if len(seen) == 3:
                stage.patch(A.name, {"metadata": {"finalizers": None}}, "k3s")

    stage.patch(A.name, {"metadata": {"finalizers": ["wrangler.cattle.io/managed-etcd-controller"]}}, "k3s")
    with KubernetesCluster(DirectAccess("lyon-1-a", lambda: api.kubeconfig().encode()), EtcdLeaves()) as cluster:
        cluster.delete(A)
        assert cluster.nodes() == []
    assert seen == [True] * 3, "the password stays as long as the Node does"
    assert not stage.has_password(A.name)


def test_the_owner_of_a_label_is_named(cluster: KubernetesCluster, stage: ApiServerStage) -> None:
    stage.others_label("flux", A.name, {"team": "pos"})
    with pytest.raises(RefusedError) as caught:
        cluster.reconcile(A, {"team": "back"}, [])
    assert caught.value.message == "the label team of the Node lyon-1-a is 'pos' by flux, and 'back' in the spec"


def test_a_certificate_of_another_authority(api: ApiServer, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").client("system:admin", "system:masters")
    with (
        as_somebody(api, stranger) as cluster,
        pytest.raises(UnavailableError, match="the API server of lyon-1-a does not take the credentials"),
    ):
        cluster.nodes()


def test_who_may_not(api: ApiServer) -> None:
    with as_somebody(api, api.authority.client("somebody")) as cluster:
        with pytest.raises(UnavailableError, match="refuses to list the Nodes: 403 Forbidden: nodes is forbidden"):
            cluster.nodes()
        with pytest.raises(UnavailableError, match="refuses to cordon the Node lyon-1-a: 403"):
            cluster.cordon(A, "rollout")


def test_a_server_certificate_that_has_ended(tmp_path: Path) -> None:
    another = ApiServer(tmp_path)
    another.authority.server(ended=True)
    clock = MemoryClock()
    access = DirectAccess("lyon-1-b", lambda: another.kubeconfig().encode())
    try:
        another.start_etcd()
        another.start_apiserver()
        wait_for(another.port)
        with (
            KubernetesCluster(access, clock) as cluster,
            pytest.raises(
                UnavailableError, match="the certificate of the API server of lyon-1-b has expired"
            ) as caught,
        ):
            cluster.nodes()
    finally:
        another.stop()
    assert "restart K3s on lyon-1-b" in caught.value.hint


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_the_datastore_goes_away_and_comes_back(api: ApiServer) -> None:
    patience = Patience(connect=2, answer=3, total=4, pause=0.1)
    access = DirectAccess("lyon-1-a", lambda: api.kubeconfig().encode())
    with KubernetesCluster(access, SystemClock(), patience) as cluster:
        assert cluster.datastore().is_serving
        api.stop_etcd()
        try:
            health = cluster.datastore()
            assert (health.is_serving, health.members) == (False, ())
            assert "etcd" in health.reason
            with pytest.raises(UnavailableError, match="the API server of lyon-1-a could not cordon the Node lyon-1-a"):
                cluster.cordon(A, "rollout")
        finally:
            api.start_etcd()
            api.wait_until_ready()
        assert cluster.datastore().is_serving
        assert not cluster.uncordon(A).is_cordoned


def test_an_api_server_that_restarts_during_a_drain(api: ApiServer, stage: ApiServerStage) -> None:
    stage.add_pod(A.name, PAY, app="pay")
    stage.add_pod(A.name, Pod("shop/web-0", "", controller="ReplicaSet"), never_ends=True)
    access = DirectAccess("lyon-1-a", lambda: api.kubeconfig().encode())
    with KubernetesCluster(access, SystemClock(), Patience(connect=2, answer=5, total=60)) as cluster:
        events = cluster.drain(A, DrainRule(timeout=60), "rollout")
        assert {next(events), next(events)} == {PodEvicted(A.name, "shop/pay-0"), PodEvicted(A.name, "shop/web-0")}
        api.stop_apiserver()
        api.start_apiserver()
        waits = threading.Thread(target=lambda: (api.wait_until_ready(), stage.end_pod("shop/web-0")))
        waits.start()
        began = time.monotonic()
        assert list(events)[-2:] == [PodGone(A.name, "shop/web-0"), NodeDrained(A.name, 2)]
        assert time.monotonic() - began < 60
        waits.join()
