"""The cluster's side of node retire and node replace: in which order, when not, and what is left where nobody answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from fleet.errors import RefusedError, UnavailableError
from fleet.model.batch import NodeAnswer, NodeTask
from fleet.model.cluster_node import ClusterNode
from fleet.model.drain import DrainRule, NodeDrained, NodeNotDrained, Pod, PodEvicted, PodGone, PodHeld
from fleet.model.host import HostEvent, NodeReplaced, NodeRetired, NodeUntouched
from fleet.model.node import Node
from fleet.operations.retire import RetireHands, RetireOptions, replace, retire
from fleet.testing import MemoryCluster, MemoryHand, MemoryRecords
from tests.specs import FLEET, document
from tests.unit.operations.hosts import Repository, held
from tests.unit.render.ground import intent

WEB = Pod("shop/web", "u1", controller="ReplicaSet")
VOTES = "MemberNotLearner"
ASKED = RetireOptions()


def site(*names: str, more: str = "") -> str:
    """Servers s, t, u, v and agents a, b at lyon. Of servers there are never two: v, which never was there, takes a place."""
    lines = [
        f"  - {{name: {name}, role: {'agent' if name in 'ab' else 'server'}, arch: amd64, address: 10.0.0.{1 + 'stuvab'.index(name)}}}"
        for name in names
    ]
    return document("Site", "lyon", "\n".join(["nodes:", *lines, more]))


class Ground:
    """The fleet has `names`, and now only `staying`. `log` is what was done, in order; `asked` the servers that were."""

    def __init__(
        self, names: str, staying: str, answers: dict[str, NodeAnswer] | None = None, growing: str = ""
    ) -> None:
        self.records = MemoryRecords([held(name) for name in names])
        self.cluster = MemoryCluster()
        for name in names:
            self.cluster.add_node(
                ClusterNode(name, f"machine of {name}", is_ready=True), etcd="" if name in "ab" else VOTES
            )
        self.before = intent(FLEET, site(*names, more=growing), records=self.records)
        self.now = intent(FLEET, site(*staying) if staying else document("Site", "lyon", ""), records=self.records)
        self.hand = MemoryHand(answers)
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.log: list[str] = []
        self._wrap()

    def lose(self, *names: str) -> None:
        """Kubernetes has missed these machines."""
        for name in names:
            self.cluster.staged[name].node = ClusterNode(name, f"machine of {name}", is_ready=False)

    def _wrap(self) -> None:
        run, delete = self.hand.run, self.cluster.delete

        def logged_run(task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
            self.log += [f"give back {node}" for node in nodes]
            return run(task, nodes)

        def logged_delete(node) -> None:  # type: ignore[no-untyped-def]
            if node.name in self.cluster.staged or node.name in self.cluster.passwords:
                self.log.append(f"delete {node.name}")
            delete(node)

        self.hand.run, self.cluster.delete = logged_run, logged_delete  # type: ignore[method-assign]

    @contextmanager
    def cluster_of(self, server: Node) -> Iterator[MemoryCluster]:
        self.asked.append(server.name)
        self.cluster.unreachable = "connection refused" if server.name in self.silent else ""
        yield self.cluster

    def retire(self, *names: str, options: RetireOptions = ASKED, tells: bool = True) -> list[HostEvent]:
        cluster_of = self.cluster_of if tells else None
        hands = RetireHands(lambda _: self.before, lambda _: self.hand, self.records, Repository(), cluster_of)  # type: ignore[arg-type]
        return list(retire(names, self.now, hands, options))

    def replace(self, name: str, *, tells: bool = True) -> NodeReplaced:
        return replace(self.before, name, self.records, self.cluster_of if tells else None)  # type: ignore[arg-type]


def test_an_agent_is_drained_then_given_back_then_deleted() -> None:
    ground = Ground("sab", "sa")
    ground.cluster.add_pod("b", WEB)
    assert ground.retire("b") == [
        PodEvicted("b", "shop/web"), PodGone("b", "shop/web"), NodeDrained("b", 1), NodeRetired("b", left_cluster=True),
    ]  # fmt: skip
    assert ground.log == ["give back b", "delete b"]
    assert set(ground.cluster.staged) == ground.cluster.passwords == {"s", "a"}
    assert set(ground.asked) == {"s"}


def test_a_server_stops_before_its_node_is_deleted() -> None:
    """One that runs would join again, or found a cluster of its own."""
    ground = Ground("stua", "stva")
    assert ground.retire("u") == [NodeDrained("u", 0), NodeRetired("u", left_cluster=True)]
    assert ground.log == ["give back u", "delete u"]
    assert {member.node for member in ground.cluster.datastore().members} == {"s", "t"}


def test_of_two_members_the_node_goes_first() -> None:
    """Once one of them has stopped, nothing can be written any more."""
    ground = Ground("st", "s", growing="cluster: {growing: true, datastore: etcd}")
    assert ground.retire("t")[-1] == NodeRetired("t", left_cluster=True)
    assert ground.log == ["delete t", "give back t"]


def test_servers_go_one_after_the_other_and_agents_before_the_second() -> None:
    ground = Ground("stuab", "sb")
    ground.retire("t", "u", "a")
    assert ground.log == ["give back t", "give back a", "delete t", "delete a", "delete u", "give back u"]


def test_a_server_without_which_etcd_stands_still_is_not_touched() -> None:
    ground = Ground("stu", "stv")
    ground.cluster.staged["t"].node = ClusterNode("t", "machine of t", is_ready=False, reason="NodeStatusUnknown")
    (said,) = ground.retire("u")
    assert said == NodeUntouched(
        "u", "failed", "etcd would lose its quorum: without u it needs 2 of 2 members up; not up: t"
    )
    assert (ground.log, set(ground.records.all())) == ([], {"s", "t", "u"})
    assert not ground.cluster.staged["u"].plain().is_cordoned


def test_a_learner_counts_for_nothing() -> None:
    ground = Ground("stu", "stv")
    ground.cluster.staged["t"].etcd = "MemberIsLearner"
    (said,) = ground.retire("u")
    assert isinstance(said, NodeUntouched)
    assert said.reason.endswith("not up: t")


def test_a_datastore_that_does_not_serve_lets_no_server_go() -> None:
    ground = Ground("stu", "stv")
    ground.cluster.is_serving = False
    (said,) = ground.retire("u")
    assert isinstance(said, NodeUntouched)
    assert said.reason.startswith("the datastore of its cluster does not serve: ")
    assert ground.log == []


def test_pods_that_do_not_go_keep_the_host_as_it_is() -> None:
    ground = Ground("sa", "s")
    ground.cluster.add_pod("a", WEB, "web")
    ground.cluster.set_budget("shop/web", "web", 0)
    *others, held_, not_drained, said = ground.retire("a", options=RetireOptions(drain=DrainRule(timeout=3)))
    assert (others, isinstance(held_, PodHeld), isinstance(not_drained, NodeNotDrained)) == ([], True, True)
    assert isinstance(said, NodeUntouched)
    assert said.reason.startswith("could not be drained, and stays cordoned: not within 3 s: shop/web")
    assert (ground.log, set(ground.records.all())) == ([], {"s", "a"})
    ground.cluster.set_budget("shop/web", "web", 1)
    assert ground.retire("a")[-1] == NodeRetired("a", left_cluster=True)


def test_a_bare_pod_goes_by_force_only() -> None:
    ground = Ground("sa", "s")
    ground.cluster.add_pod("a", Pod("shop/bare", "u2"))
    assert isinstance(ground.retire("a")[-1], NodeUntouched)
    assert isinstance(ground.retire("a", options=RetireOptions(drain=DrainRule(force=True)))[-1], NodeRetired)


def test_another_machine_under_its_name_is_left_alone() -> None:
    ground = Ground("sa", "s")
    ground.cluster.staged["a"].node = ClusterNode("a", "somebody else", is_ready=True)
    (said,) = ground.retire("a")
    assert said == NodeUntouched("a", "failed", "the Node a is another machine, with machine-id somebody else")
    assert ground.log == []


def test_any_server_that_answers_will_do() -> None:
    ground = Ground("stua", "stu")
    ground.silent = {"s"}
    assert ground.retire("a")[-1] == NodeRetired("a", left_cluster=True)
    assert ground.asked == ["s", "t", "s", "t"]


def test_a_cluster_that_does_not_answer_keeps_the_host_as_it_is() -> None:
    ground = Ground("stua", "stu")
    ground.silent = {"s", "t", "u"}
    (said,) = ground.retire("a")
    assert isinstance(said, NodeUntouched)
    assert said.outcome == "unreachable"
    assert said.reason.startswith("its cluster does not answer: ")
    assert said.reason.count("connection refused") == 3
    assert ground.log == []


def test_a_cluster_that_falls_silent_meanwhile_leaves_something_to_do() -> None:
    ground = Ground("sa", "s")
    run = ground.hand.run

    def then_silent(task: NodeTask, nodes: Sequence[str]) -> Iterator[NodeAnswer]:
        ground.silent = {"s"}
        return run(task, nodes)

    ground.hand.run = then_silent  # type: ignore[method-assign]
    last = ground.retire("a")[-1]
    assert isinstance(last, NodeRetired)
    assert not last.left_cluster
    assert last.left[0].startswith("Kubernetes still lists it: kubectl delete node a (")


def test_a_host_that_did_not_give_itself_back_is_tried_again() -> None:
    ground = Ground("stu", "stv", {"u": NodeAnswer("u", "unreachable", "no route to host")})
    assert ground.retire("u")[-1] == NodeUntouched("u", "unreachable", "no route to host")
    assert "u" in ground.cluster.staged
    ground.hand.answers.clear()
    assert ground.retire("u")[-1] == NodeRetired("u", left_cluster=True)


def test_a_machine_that_is_gone_is_not_drained() -> None:
    ground = Ground("stua", "stv")
    ground.cluster.add_pod("a", WEB)
    ground.lose("u", "a")
    assert ground.retire("u", "a", options=RetireOptions(is_gone=True)) == [
        NodeRetired("u", was_asked=False, left_cluster=True), NodeRetired("a", was_asked=False, left_cluster=True),
    ]  # fmt: skip
    assert ground.log == ["delete u", "delete a"]


def test_a_cluster_that_goes_as_a_whole_is_not_asked() -> None:
    ground = Ground("stua", "")
    assert [event.node for event in ground.retire("s", "t", "u", "a")] == ["s", "t", "u", "a"]  # type: ignore[union-attr]
    assert ground.asked == []


def test_without_its_cluster_something_is_left_to_do() -> None:
    ground = Ground("sa", "s")
    (said,) = ground.retire("a", tells=False)
    assert said == NodeRetired("a", left=("Kubernetes still lists it: kubectl delete node a",))
    assert ground.asked == []


def test_new_hardware_may_join_under_an_old_name() -> None:
    ground = Ground("stua", "stua")
    ground.lose("a")
    assert ground.replace("a") == NodeReplaced("a", "machine of a", "b1:aa", left_cluster=True)
    ground.lose("u")
    assert ground.replace("u") == NodeReplaced("u", "machine of u", "b1:aa", left_cluster=True)
    assert ground.log == ["delete a", "delete u"]
    assert ground.cluster.passwords == {"s", "t"}
    assert set(ground.records.all()) == {"s", "t"}


def test_a_name_is_not_freed_where_the_cluster_does_not_let_it_go() -> None:
    ground = Ground("stu", "stu")
    ground.lose("t", "u")
    with pytest.raises(RefusedError, match="etcd would lose its quorum") as refused:
        ground.replace("u")
    assert "--no-cluster" in refused.value.hint
    ground.silent = {"s", "t"}
    with pytest.raises(UnavailableError, match="connection refused"):
        ground.replace("u")
    assert (ground.log, set(ground.records.all())) == ([], {"s", "t", "u"})
    assert ground.replace("u", tells=False).left == ("Kubernetes still lists it: kubectl delete node u",)


def test_a_machine_that_is_said_to_be_gone_and_runs_is_left_alone() -> None:
    ground = Ground("stua", "stua")
    with pytest.raises(RefusedError, match="the Node a is Ready: its machine still runs K3s"):
        ground.replace("a")
    assert (ground.log, set(ground.records.all())) == ([], {"s", "t", "u", "a"})
    gone = Ground("sa", "s")
    (said,) = gone.retire("a", options=RetireOptions(is_gone=True))
    assert isinstance(said, NodeRetired)
    assert said.left == (
        "Kubernetes still lists it: kubectl delete node a (the Node a is Ready: its machine still runs K3s)",
    )


def test_the_only_server_has_nobody_to_ask() -> None:
    ground = Ground("sa", "sa")
    assert ground.replace("s") == NodeReplaced("s", "machine of s", "b1:aa")
    assert ground.asked == []
