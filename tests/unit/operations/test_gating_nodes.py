"""Node gates and cluster gates: who is asked, what counts, and what is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from fleet.errors import UsageError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.cluster_node import ClusterNode
from fleet.model.gate import ClusterGate, GateAnswer, NodeGate
from tests.unit.operations.gating import NODES, UP, Ground, order
from tests.unit.operations.hosts import held

NODE = NodeGate(timeout=60)
CLUSTER = ClusterGate(timeout=60)


def test_one_run_asks_for_all_units_of_all_nodes() -> None:
    ground = Ground()
    (answer,) = ground.ask(NODE)
    assert answer == GateAnswer("node", "passed", "5 of 5 nodes well, 9 units looked at")
    (task, nodes) = ground.hand.tasks[0]
    assert (task.playbook, nodes, len(ground.hand.tasks)) == ("probe", NODES, 1)
    assert task.variables == {
        "fleet_run_units": {
            "lyon-s": ["k3s.service", "chrony.service"],
            "lyon-a": ["k3s-agent.service", "chrony.service"],
            "lyon-b": ["k3s-agent.service", "chrony.service"],
            "nice-s": ["k3s.service", "chrony.service"],
            "nice-x": ["chrony.service"],
        },
        "fleet_run_watch": 3,
        "fleet_run_timeout": 63,
    }


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"load": "not-found", "active": "inactive"}, "chrony.service is not there"),
        ({"load": "masked", "active": "inactive"}, "chrony.service is masked"),
        ({"load": "loaded", "active": "inactive", "sub": "dead"}, "chrony.service is inactive"),
        ({"load": "loaded", "active": "failed", "result": "exit-code"}, "chrony.service is failed (exit-code)"),
        ({"load": "loaded", "active": "activating", "sub": "start"}, "chrony.service is activating"),
        (
            {"load": "loaded", "active": "activating", "sub": "auto-restart", "result": "exit-code", "restarts": 12},
            "chrony.service crashes and is restarted, 12 times so far",
        ),
        ({**UP, "is_restarting": True, "restarts": 1}, "chrony.service crashes and is restarted, 1 time so far"),
        ({**UP, "restarts": 7}, ""),
        ({"load": "loaded", "active": "reloading"}, ""),
        ({"load": "loaded", "active": "inactive", "sub": "dead", "is_over": True}, ""),
    ],
)
def test_a_unit(state: dict[str, object], why: str) -> None:
    ground = Ground()
    ground.hand.answers["nice-x"] = ground.probed("nice-x", chrony=state)
    (answer,) = ground.ask(NODE)
    assert (answer.outcome, answer.ill) == (("failed", {"nice-x": why}) if why else ("passed", {}))
    assert answer.reason == (f"1 of 5 nodes did not pass: nice-x: {why}" if why else "")


@pytest.mark.parametrize(
    ("answer", "outcome", "why"),
    [
        (NodeAnswer("nice-x", "unreachable", "no route to host"), "unknown", "no route to host"),
        (NodeAnswer("nice-x", "failed", "[Errno 5] Input/output error"), "failed", "[Errno 5] Input/output error"),
        (NodeAnswer("nice-x", "done", result={"probe": {}}), "unknown", "what it tells of itself cannot be read"),
        (
            NodeAnswer("nice-x", "done", result={"probe": {"now": 1.0, "units": {}}}),
            "failed",
            "chrony.service was not looked at",
        ),
    ],
)
def test_a_host_that_does_not_answer_as_it_should(answer: NodeAnswer, outcome: str, why: str) -> None:
    """One whose disk is dead still takes ssh connections."""
    ground = Ground()
    ground.hand.answers["nice-x"] = answer
    (found,) = ground.ask(NODE)
    assert found.outcome == outcome
    assert found.ill["nice-x"].startswith(why)


def test_a_disk_that_has_become_read_only() -> None:
    ground = Ground()
    ground.hand.answers["lyon-a"] = ground.probed("lyon-a", readonly="/var/lib/fleet")
    assert ground.ask(NODE)[0].ill == {"lyon-a": "/var/lib/fleet is read-only"}


def test_it_is_asked_again_until_its_time_is_over() -> None:
    ground = Ground()
    down = ground.probed("lyon-a", k3s_agent={"load": "loaded", "active": "activating"})
    ground.hand.answers["lyon-a"] = down
    run, count = ground.hand.run, 0

    def later(task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        nonlocal count
        count += 1
        if count == 4:
            ground.hand.answers["lyon-a"] = ground.probed("lyon-a")
        return run(task, nodes)

    ground.hand.run = later  # type: ignore[method-assign]
    assert ground.ask(NODE)[0].outcome == "passed"
    assert [nodes for _, nodes in ground.hand.tasks] == [NODES, *[("lyon-a",)] * 3]
    assert ground.clock.now() == 1009.0

    ground.hand.answers["lyon-a"] = down
    ground.hand.tasks.clear()
    (answer,) = ground.ask(NodeGate(timeout=20))
    assert (answer.outcome, len(ground.hand.tasks)) == ("failed", 7)
    assert answer.ill == {"lyon-a": "k3s-agent.service is activating"}
    assert answer.measured == "4 of 5 nodes well, 9 units looked at"


def test_a_node_that_kubernetes_does_not_hold_for_ready() -> None:
    ground = Ground()
    ground.set_ready("lyon-b", "KubeletNotReady: cni plugin not initialized")
    del ground.clusters["nice"].staged["nice-s"]
    (answer,) = ground.ask(NODE)
    assert answer.ill == {
        "lyon-b": "its Node is not Ready: KubeletNotReady: cni plugin not initialized",
        "nice-s": "Kubernetes has no Node of its name",
    }
    assert answer.reason == (
        "2 of 5 nodes did not pass: lyon-b: its Node is not Ready: KubeletNotReady: cni plugin not initialized; "
        "and 1 other reason"
    )


def test_equal_reasons_are_told_once() -> None:
    ground = Ground()
    ground.clusters["lyon"].unreachable = "no route to host"
    (answer,) = ground.ask(NODE)
    why = "lyon could not be asked: the API server could not list the Nodes: no route to host"
    assert answer.outcome == "unknown"
    assert answer.ill == dict.fromkeys(("lyon-a", "lyon-b", "lyon-s"), why)
    assert answer.reason == f"3 of 5 nodes did not pass: 3 nodes, such as lyon-a: {why}"


def test_kubernetes_left_out_is_said() -> None:
    ground = Ground(cluster=False)
    node, cluster = ground.ask(NODE, CLUSTER)
    told = "5 of 5 nodes well, 9 units looked at, Kubernetes is left out of this (--no-cluster)"
    assert (node.outcome, node.measured) == ("passed", told)
    assert (cluster.outcome, cluster.reason) == ("unknown", "Kubernetes is left out of this (--no-cluster)")
    assert (ground.asked, ground.clock.now()) == ([], 1000)


def test_a_sandbox_says_what_it_can() -> None:
    ground = Ground(sandbox=True)
    ground.hand.answers["nice-x"] = ground.probed("nice-x", chrony={"load": "not-found", "active": "inactive"})
    node, cluster = ground.ask(NODE, CLUSTER)
    assert node.ill == {"nice-x": "chrony.service is not there"}
    told = "4 of 5 nodes well, 9 units looked at, 5 sandboxes, in which units are only written down"
    assert node.measured == told
    assert cluster == GateAnswer("cluster", "passed", "no cluster to ask")
    assert ground.asked == []


def test_of_no_nodes_there_is_nothing_to_say() -> None:
    node, cluster = Ground().ask(NODE, CLUSTER, nodes=())
    assert node == GateAnswer("node", "passed", "no node to ask")
    assert cluster == GateAnswer("cluster", "passed", "no cluster to ask")


# Cluster gates


def founded(ground: Ground, *names: str) -> Ground:
    from fleet.model.learned import LearnedCluster

    ground.records.learn_clusters({name: LearnedCluster(existed=True) for name in names})
    return ground


def test_before_a_wave_it_measures() -> None:
    ground = founded(Ground(), "lyon", "nice")
    ground.set_ready("lyon-b", "NodeStatusUnknown: Kubelet stopped posting node status.")
    (answer,) = ground.ask(CLUSTER, phase="before")
    assert answer == GateAnswer(
        "cluster", "passed", "4 Nodes of 2 clusters, not Ready: lyon/lyon-b", unready=("lyon/lyon-b",)
    )


def test_after_it_only_new_ones_count() -> None:
    ground = Ground()
    ground.set_ready("lyon-b", "NodeStatusUnknown: gone")
    (answer,) = ground.ask(CLUSTER, unready=["lyon/lyon-b"])
    assert answer == GateAnswer("cluster", "passed", "4 Nodes of 2 clusters, not Ready: lyon/lyon-b")
    ground.set_ready("lyon-a", "KubeletNotReady: no cni")
    (answer,) = ground.ask(CLUSTER, unready=["lyon/lyon-b"])
    assert (answer.outcome, answer.unready) == ("failed", ())
    assert answer.reason == "lyon/lyon-a is not Ready: KubeletNotReady: no cni"


def test_a_node_of_the_cluster_that_the_wave_left_alone_counts_as_well() -> None:
    ground = Ground()
    ground.clusters["lyon"].add_node(ClusterNode("not-ours", "m", is_ready=False, reason="KubeletNotReady: x"))
    assert ground.ask(CLUSTER, nodes=["lyon-a"])[0].reason == "lyon/not-ours is not Ready: KubeletNotReady: x"
    assert ground.ask(CLUSTER, nodes=["nice-s"])[0].outcome == "passed"


def test_a_node_that_has_vanished_counts_unless_it_had_before() -> None:
    """Machines of the spec are looked for: those that have held a whole bundle."""
    ground = founded(Ground(), "lyon", "nice")
    del ground.clusters["lyon"].staged["lyon-b"]
    (before,) = ground.ask(CLUSTER, phase="before")
    assert before == GateAnswer(
        "cluster", "passed", "3 Nodes of 2 clusters, all Ready, no Node: lyon/lyon-b", unready=("lyon/lyon-b",)
    )
    assert ground.ask(CLUSTER, unready=before.unready)[0].outcome == "passed"
    (after,) = ground.ask(CLUSTER, nodes=["lyon-a"])
    assert (after.outcome, after.reason, after.unready) == (
        "failed",
        "lyon/lyon-b is gone: Kubernetes has no Node of its name",
        (),
    )


def test_a_node_that_never_came_through_is_not_missed() -> None:
    """Its wave is still to come, or it failed: no gate of a cluster is about that."""
    ground = founded(Ground(enrolled=("lyon-s", "lyon-a", "nice-s")), "lyon", "nice")
    del ground.clusters["lyon"].staged["lyon-b"]
    assert ground.ask(CLUSTER)[0].outcome == "passed"
    half = Ground()
    half.records.save([held("lyon-b", "", base="")])
    del half.clusters["lyon"].staged["lyon-b"]
    assert half.ask(CLUSTER)[0].outcome == "passed"
    half.records.save([held("lyon-b", "", base="b1:aa")])
    assert half.ask(CLUSTER)[0].outcome == "failed", "it was there before the bundle that came in half"


def test_it_is_asked_again_until_they_are_ready() -> None:
    ground = Ground()
    ground.set_ready("lyon-a", "KubeletNotReady: starting")
    nodes, count = ground.clusters["lyon"].nodes, 0

    def later() -> Sequence[ClusterNode]:
        nonlocal count
        count += 1
        if count == 4:
            ground.set_ready("lyon-a")
        return nodes()

    ground.clusters["lyon"].nodes = later  # type: ignore[method-assign]
    assert ground.ask(CLUSTER)[0].outcome == "passed"
    assert count == 4
    assert ground.asked.count("nice-s") == 1


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_cluster_that_cannot_be_asked_is_not_known(phase: str) -> None:
    ground = founded(Ground(), "lyon", "nice")
    ground.clusters["lyon"].unreachable = "no route to host"
    (answer,) = ground.ask(CLUSTER, phase=phase)  # type: ignore[arg-type]
    assert answer.outcome == "unknown"
    assert answer.reason == "lyon could not be asked: the API server could not list the Nodes: no route to host"
    assert answer.measured == "1 Node of 1 cluster, all Ready"
    assert ground.clock.now() > 1050  # it was tried for as long as its timeout


def test_a_cluster_that_is_not_founded_yet_is_looked_at_afterwards() -> None:
    ground = founded(Ground(), "nice")
    (before,) = ground.ask(CLUSTER, phase="before")
    assert before == GateAnswer("cluster", "passed", "1 Node of 1 cluster, all Ready, 1 cluster not founded yet")
    assert ground.asked == ["nice-s"]
    ground.set_ready("lyon-a", "KubeletNotReady: no cni")
    assert ground.ask(CLUSTER)[0].outcome == "failed"


def test_a_cluster_without_an_enrolled_server() -> None:
    ground = Ground(enrolled=("lyon-a", "nice-s"))
    (answer,) = ground.ask(CLUSTER, nodes=["lyon-a"])
    assert (answer.outcome, answer.reason) == ("unknown", "no server of lyon is enrolled")
    assert ground.clock.now() == 1000


def test_what_no_time_mends_is_asked_once() -> None:
    ground = Ground()

    def nodes() -> Sequence[ClusterNode]:
        raise UsageError("talking to Kubernetes needs the kubernetes package", "pip install 'edgefleet[kubernetes]'")

    for each in ground.clusters.values():
        each.nodes = nodes  # type: ignore[method-assign]
    node, cluster = ground.ask(NODE, CLUSTER)
    needs = (
        "could not be asked: talking to Kubernetes needs the kubernetes package (pip install 'edgefleet[kubernetes]')"
    )
    assert (node.outcome, node.ill["lyon-a"]) == ("unknown", f"lyon {needs}")
    assert (cluster.outcome, cluster.reason) == ("unknown", f"lyon {needs}, nice {needs}")
    assert (ground.clock.now(), len(ground.hand.tasks)) == (1000, 1)


def test_a_stop_while_clusters_are_asked_again() -> None:
    ground = Ground()
    ground.set_ready("lyon-a", "KubeletNotReady: no cni")
    gates = ground.gates()
    nodes = ground.clusters["lyon"].nodes

    def stopping() -> Sequence[ClusterNode]:
        gates.stop_now()
        return nodes()

    ground.clusters["lyon"].nodes = stopping  # type: ignore[method-assign]
    (answer,) = gates.ask(order(CLUSTER))
    assert (answer.outcome, answer.reason) == ("unknown", "it was stopped")
