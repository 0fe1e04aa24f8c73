"""Cluster and node gates where a real API server is asked: what it says of its Nodes, and when it says nothing."""

from __future__ import annotations

import pytest

from fleet.adapters.kubernetes import DirectAccess, KubernetesCluster, Patience
from fleet.model.cluster_node import ClusterNode
from fleet.model.gate import ClusterGate, GateAnswer, NodeGate
from fleet.model.node import Node
from tests.cluster.stage import ApiServerStage
from tests.lab.apiserver.server import ApiServer, free_ports
from tests.unit.operations.gating import Ground

CLUSTER, NODE = ClusterGate(timeout=10), NodeGate(timeout=10)
LYON = ("lyon-s", "lyon-a", "lyon-b")
KUBELET = "k3s"


class RealGround(Ground):
    """The site lyon, whose cluster is the API server; `port` is where its server is asked. The hosts are played."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__()
        self.api, self.port = api, api.port

    def _cluster_of(self, server: Node) -> KubernetesCluster:
        access = DirectAccess(server.name, lambda: self.api.kubeconfig(f"https://127.0.0.1:{self.port}").encode())
        return KubernetesCluster(access, self.clock, Patience(connect=2, answer=5, total=4))

    def before(self) -> GateAnswer:
        (answer,) = self.ask(CLUSTER, phase="before", nodes=LYON)
        return answer

    def after(self, before: GateAnswer) -> GateAnswer:
        (answer,) = self.ask(CLUSTER, nodes=LYON, unready=before.unready)
        return answer


@pytest.fixture
def ground(api: ApiServer, stage: ApiServerStage) -> RealGround:
    from fleet.model.learned import LearnedCluster

    for name in LYON:
        stage.add_node(ClusterNode(name, f"machine of {name}", "v1.36.3+k3s1", is_ready=True))
    ground = RealGround(api)
    ground.records.learn_clusters({"lyon": LearnedCluster(existed=True)})
    return ground


def say_ready(stage: ApiServerStage, name: str, status: str) -> None:
    said = {"type": "Ready", "status": status, "reason": "KubeletNotReady", "message": "no cni"}
    stage.patch(name, {"status": {"conditions": [said]}}, KUBELET, "/status")


def test_all_nodes_are_as_ready_as_before(ground: RealGround, stage: ApiServerStage) -> None:
    before = ground.before()
    assert before == GateAnswer("cluster", "passed", "3 Nodes of 1 cluster, all Ready")
    assert ground.after(before) == before
    say_ready(stage, "lyon-b", "False")
    ill = ground.before()
    assert (ill.outcome, ill.unready) == ("passed", ("lyon/lyon-b",))
    assert ground.after(ill).outcome == "passed", "it was not Ready before, either"


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_afterwards(ground: RealGround, stage: ApiServerStage, status: str) -> None:
    before = ground.before()
    say_ready(stage, "lyon-a", status)
    answer = ground.after(before)
    assert (answer.outcome, answer.measured) == ("failed", "3 Nodes of 1 cluster, not Ready: lyon/lyon-a")
    assert answer.reason == "lyon/lyon-a is not Ready: KubeletNotReady: no cni"


def test_a_node_that_has_vanished(ground: RealGround, stage: ApiServerStage) -> None:
    before = ground.before()
    stage.api.must("DELETE", "/api/v1/nodes/lyon-b")
    answer = ground.after(before)
    assert (answer.outcome, answer.measured) == ("failed", "2 Nodes of 1 cluster, all Ready, no Node: lyon/lyon-b")
    assert answer.reason == "lyon/lyon-b is gone: Kubernetes has no Node of its name"
    again = ground.before()
    assert again.unready == ("lyon/lyon-b",)
    assert ground.after(again).outcome == "passed", "it was gone before, too"


def test_a_cordon_is_no_matter_of_being_ready(ground: RealGround, stage: ApiServerStage) -> None:
    before = ground.before()
    stage.others_cordon("kubectl-cordon", "lyon-a")
    assert ground.after(before).outcome == "passed"


@pytest.mark.parametrize("phase", ["before", "after"])
def test_an_api_server_that_cannot_be_reached_is_no_pass(ground: RealGround, phase: str) -> None:
    before = ground.before()
    (ground.port,) = free_ports(1)
    answer = ground.before() if phase == "before" else ground.after(before)
    assert (answer.outcome, answer.measured) == ("unknown", "")
    said = "lyon could not be asked: the API server of lyon-s could not list the Nodes: "
    assert answer.reason.startswith(said)
    assert "Connection refused" in answer.reason


def test_the_node_gate_goes_by_what_the_api_server_says(ground: RealGround, stage: ApiServerStage) -> None:
    (well,) = ground.ask(NODE, nodes=LYON)
    assert (well.outcome, well.measured) == ("passed", "3 of 3 nodes well, 6 units looked at")
    say_ready(stage, "lyon-a", "False")
    stage.api.must("DELETE", "/api/v1/nodes/lyon-b")
    (answer,) = ground.ask(NODE, nodes=LYON)
    assert (answer.outcome, answer.ill) == (
        "failed",
        {
            "lyon-a": "its Node is not Ready: KubeletNotReady: no cni",
            "lyon-b": "Kubernetes has no Node of its name",
        },
    )
    (ground.port,) = free_ports(1)
    (answer,) = ground.ask(NODE, nodes=LYON)
    assert (answer.outcome, set(answer.ill)) == ("unknown", set(LYON)), "no node passes in the dark"
