"""Servers give their pods away before their K3s is upgraded, and take pods again once they are Ready with the new one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from fleet.errors import StoppedError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.cluster_node import ClusterNode, NodeIdentity
from fleet.model.drain import DrainRule, Pod
from fleet.model.node import Node
from fleet.model.plan import EVERYTHING, Scope
from fleet.operations.draining import READY_SECONDS, DrainingApplier, moves
from fleet.operations.plan import plan
from fleet.testing import MemoryApplier, MemoryCluster, MemoryRecords
from tests.specs import document, lock
from tests.unit.operations.hosts import held
from tests.unit.render.ground import intent

OLD, NEW = "v1.35.3+k3s1", "v1.35.4+k3s1"
WEB = Pod("shop/web", "u1", controller="ReplicaSet")
FLEET = document("Fleet", "acme", f"k3s: {{version: {NEW}}}")


def site(names: str) -> str:
    lines = [
        f"  - {{name: {name}, role: {'agent' if name in 'ab' else 'server'}, arch: amd64, address: 10.0.0.{1 + 'stuab'.index(name)}}}"
        for name in names
    ]
    return document("Site", "lyon", "\n".join(["nodes:", *lines]))


class Ground:
    """A cluster of these nodes, of which all but `upgraded` hold OLD; an upgrade makes the Node Ready at once."""

    def __init__(
        self, names: str, upgraded: str = "", policy: str = "", *, is_resumed: bool = False,
        only_adopts: bool = False, **more: str,
    ) -> None:  # fmt: skip
        self.records = MemoryRecords(
            [
                held(name, more.get(name, "b1:aa"), learned={"k3s_version": NEW if name in upgraded else OLD})
                for name in names
            ]
        )
        self.cluster = MemoryCluster()
        for name in names:
            self.cluster.add_node(
                ClusterNode(name, f"machine of {name}", OLD, is_ready=True),
                etcd="" if name in "ab" else "MemberNotLearner",
            )
        documents = [FLEET.replace("spec:", "spec:\n  rolloutPolicy: quick") if policy else FLEET, site(names)]
        made = self.intent = intent(
            *documents,
            *([document("RolloutPolicy", "quick", policy)] if policy else []),
            files={"fleet.lock": lock(NEW)},
            records=self.records,
        )
        self.rule = made.fleet.drain
        self.moves = moves(made, is_resumed=is_resumed, only_adopts=only_adopts)
        self.inner = MemoryApplier(dict.fromkeys(names, "b1:bb"))
        self.becomes = NEW
        self.seen: list[set[str]] = []
        self.silent = False
        self._run = self.inner.run_batch
        self.inner.run_batch = self._upgrade  # type: ignore[method-assign]
        self.off: set[str] = set()
        self.draining = DrainingApplier(
            self.inner, self.moves, self.cluster_of, self.rule, self.cluster.clock,  # type: ignore[arg-type]
            lambda names: {name: "it is off" for name in names if name in self.off},
        )  # fmt: skip

    def _upgrade(self, order: BatchOrder) -> BatchResult:
        self.seen.append({name for name, one in self.cluster.staged.items() if one.plain().is_cordoned})
        result = self._run(order)
        for each in result.results:
            if each.outcome == "applied":
                staged = self.cluster.staged[each.node]
                staged.node = msgspec.structs.replace(staged.node, version=self.becomes)
        return result

    @contextmanager
    def cluster_of(self, server: Node) -> Iterator[MemoryCluster]:
        self.cluster.unreachable = f"{server.name} is silent" if self.silent else ""
        yield self.cluster

    def run(self, *names: str, only_adopt: bool = False) -> dict[str, NodeResult]:
        wanted = dict.fromkeys(names, "b1:bb")
        result = self.draining.run_batch(BatchOrder("r-1", "r", 1, names, wanted=wanted, only_adopt=only_adopt))
        assert [each.node for each in result.results] == list(names)
        return {each.node: each for each in result.results}

    def cordoned(self) -> set[str]:
        return {name for name, one in self.cluster.staged.items() if one.plain().is_cordoned}


def test_a_server_is_empty_while_it_is_upgraded_and_takes_pods_again() -> None:
    ground = Ground("stua")
    ground.cluster.add_pod("s", WEB)
    assert ground.run("s")["s"].outcome == "applied"
    assert (ground.seen, ground.cluster.pods_on("s"), ground.cordoned()) == ([{"s"}], set(), set())


def test_a_server_that_is_off_keeps_its_pods_and_is_told_of_by_its_batch() -> None:
    """Pods on it cannot end while it is off: a drain would wait for them in vain, and hold up the batch."""
    ground = Ground("stua")
    ground.cluster.add_pod("s", WEB)
    ground.inner.results["s"] = NodeResult("s", "unreachable", reason="it is off")
    ground.off.add("s")
    assert ground.run("s")["s"].outcome == "unreachable"
    assert (ground.seen, ground.cluster.pods_on("s"), ground.cordoned()) == ([set()], {"shop/web"}, set())


def test_a_batch_that_is_only_adopted_is_not_drained_and_its_server_takes_pods_again() -> None:
    """Whoever began it has drained it; if nobody did, nothing will be done to it."""
    ground = Ground("stu", is_resumed=True)
    ground.cluster.add_pod("s", WEB)
    assert ground.run("s", only_adopt=True)["s"].outcome == "applied"
    assert (ground.seen, ground.cluster.pods_on("s")) == ([set()], {"shop/web"})
    left = Ground("stu", is_resumed=True)
    list(left.cluster.drain(NodeIdentity("s", "machine of s"), left.rule, "rollout r"))
    assert left.cordoned() == {"s"}
    left.run("s", only_adopt=True)
    assert left.cordoned() == set()


def test_a_server_that_was_drained_for_a_batch_that_never_began_takes_pods_again() -> None:
    """Its controller died in between, and the rollout was cancelled."""
    ground = Ground("stu", only_adopts=True)
    list(ground.cluster.drain(NodeIdentity("s", "machine of s"), ground.rule, "rollout r"))
    ground.inner.run_batch = never_began  # type: ignore[method-assign]
    assert ground.run("s", only_adopt=True)["s"].outcome == "failed"
    assert ground.cordoned() == set()


def never_began(order: BatchOrder) -> BatchResult:
    return BatchResult(order.batch_id, tuple(NodeResult(name, "failed") for name in order.nodes), is_begun=False)


def test_a_server_that_is_only_adopted_takes_pods_again_whatever_k3s_git_wants_by_now() -> None:
    ground = Ground("stu", only_adopts=True)
    ground.becomes = "v1.35.0+k3s1"
    assert [(move.version, move.drains) for move in ground.moves.values()] == [("", False)] * 3
    list(ground.cluster.drain(NodeIdentity("s", "machine of s"), ground.rule, "rollout r"))
    before = ground.cluster.clock.now()
    result = ground.run("s", only_adopt=True)["s"]
    assert (result.outcome, result.warnings, ground.cordoned()) == ("applied", (), set())
    assert ground.cluster.clock.now() == before


@pytest.mark.parametrize(("version", "is_ready", "left"), [(OLD, True, set()), (NEW, True, {"s"}), (OLD, False, {"s"})])
def test_a_server_that_was_drained_and_never_begun_takes_pods_again(
    *, version: str, is_ready: bool, left: set[str]
) -> None:
    """Its rollout was cancelled, or superseded by a commit that leaves it as it is. One that was begun stays cordoned."""
    ground = Ground("stu", only_adopts=True)
    list(ground.cluster.drain(NodeIdentity("s", "machine of s"), ground.rule, "rollout r"))
    ground.cluster.staged["s"].node = ClusterNode("s", "machine of s", version, is_ready=is_ready)
    ground.inner.results["s"] = NodeResult("s", "failed", reason="it was not begun")
    before = ground.cluster.clock.now()
    assert ground.run("s", only_adopt=True)["s"] == NodeResult("s", "failed", reason="it was not begun")
    assert (ground.cordoned(), ground.cluster.clock.now()) == (left, before)


def test_a_cluster_that_does_not_say_whether_a_server_was_left_cordoned() -> None:
    ground = Ground("stu", only_adopts=True)
    ground.silent = True
    ground.inner.results["s"] = NodeResult("s", "failed", reason="it was not begun")
    result = ground.run("s", only_adopt=True)["s"]
    assert (result.outcome, result.reason) == ("failed", "it was not begun")
    assert result.warnings[0].startswith("whether its Node was left cordoned is not known: ")


def test_the_plan_says_which_servers_are_drained() -> None:
    """Not the one that has the version already, not agents, and nobody outside its scope."""
    ground = Ground("stuab", upgraded="t")
    assert plan(ground.intent, ground.records, EVERYTHING).draining == ("s", "u")
    assert plan(ground.intent, ground.records, Scope(nodes=("u", "a"))).draining == ("u",)


def test_agents_keep_their_pods() -> None:
    ground = Ground("sab")
    ground.cluster.add_pod("a", WEB)
    assert {one.outcome for one in ground.run("a", "b").values()} == {"applied"}
    assert (ground.seen, ground.cluster.pods_on("a")) == ([set()], {"shop/web"})


def test_what_somebody_else_cordoned_stays_so() -> None:
    ground = Ground("stu")
    ground.cluster.others_cordon("kubectl-cordon", "s")
    ground.run("s")
    assert ground.cordoned() == {"s"}


def test_nothing_is_drained_where_k3s_stays_as_it_is() -> None:
    ground = Ground("stu", upgraded="stu")
    assert ground.moves == {}
    ground.silent = True
    assert ground.run("s")["s"].outcome == "applied"


def test_a_server_that_cannot_be_drained_is_not_touched_and_takes_pods() -> None:
    ground = Ground("stu", policy="drain: {timeout: 3s}")
    ground.cluster.add_pod("s", WEB, "web")
    ground.cluster.set_budget("shop/web", "web", 0)
    result = ground.run("s")["s"]
    assert result.outcome == "failed"
    assert result.reason.startswith("it could not be drained: not within 3 s: shop/web (PodDisruptionBudget web: ")
    assert result.reason.endswith("(fleet apply --no-cluster leaves Kubernetes out of it)")
    assert (ground.inner.orders, ground.cordoned()) == ([], set())


def test_the_policy_says_whether_bare_pods_go() -> None:
    bare = Pod("shop/bare", "u2")
    for policy, outcome in (("drain: {force: true}", "applied"), ("", "failed")):
        ground = Ground("stu", policy=policy)
        ground.cluster.add_pod("s", bare)
        assert ground.run("s")["s"].outcome == outcome
    assert Ground("stu", policy="drain: {timeout: 1m30s, force: true}").rule == DrainRule(90.0, force=True)


def test_a_server_without_which_etcd_stands_still_is_not_touched() -> None:
    ground = Ground("stu")
    ground.cluster.staged["t"].node = ClusterNode("t", "machine of t", OLD, is_ready=False)
    result = ground.run("s")["s"]
    assert (result.outcome, ground.inner.orders) == ("failed", [])
    assert result.reason == "etcd would lose its quorum: without s it needs 2 of 3 members up; not up: t"


def test_a_server_that_can_never_be_spared_is_upgraded_all_the_same() -> None:
    """K3s is down while it restarts; the plan says so."""
    ground = Ground("sa")
    assert ground.cluster.datastore().members[0].is_voter
    assert ground.run("s")["s"].outcome == "applied"


def test_a_cluster_that_does_not_answer_is_not_upgraded_blindly() -> None:
    ground = Ground("stu")
    ground.silent = True
    result = ground.run("s")["s"]
    assert (result.outcome, ground.inner.orders) == ("failed", [])
    assert "s is silent" in result.reason
    assert "--no-cluster" in result.reason


def test_who_cannot_be_drained_holds_nobody_else_of_the_batch() -> None:
    ground = Ground("stua")
    ground.cluster.add_pod("s", Pod("shop/bare", "u2"))
    results = ground.run("s", "a")
    assert (results["s"].outcome, results["a"].outcome) == ("failed", "applied")
    assert [order.nodes for order in ground.inner.orders] == [("a",)]


def test_servers_of_a_batch_are_drained_and_waited_for_side_by_side() -> None:
    """They are of many clusters, and each may take its minutes."""
    ground = Ground("stu")
    both = threading.Barrier(2, timeout=30)
    ask = ground.cluster_of

    @contextmanager
    def together(server: Node) -> Iterator[MemoryCluster]:
        both.wait()
        with ask(server) as cluster:
            yield cluster

    ground.draining = DrainingApplier(ground.inner, ground.moves, together, ground.rule, ground.cluster.clock)  # type: ignore[arg-type]
    assert {one.outcome for one in ground.run("s", "t").values()} == {"applied"}
    assert (ground.seen, ground.cordoned()) == ([{"s", "t"}], set())


def test_one_machine_has_nowhere_to_move_its_pods_to() -> None:
    assert Ground("s").moves == {}
    ground = Ground("sa")
    ground.cluster.staged["a"].node = ClusterNode("a", "machine of a", OLD, is_ready=False)
    ground.cluster.add_pod("s", WEB)
    assert ground.run("s")["s"].outcome == "applied"
    assert (ground.seen, ground.cluster.pods_on("s")) == ([set()], {"shop/web"})


def test_a_node_that_does_not_become_ready_stops_those_after_it() -> None:
    ground = Ground("stu")
    ground.becomes = OLD
    before = ground.cluster.clock.now()
    result = ground.run("s")["s"]
    assert result.outcome == "failed"
    assert result.reason == f"its Node is not Ready 300 s after it: its kubelet is {OLD}, not {NEW}"
    assert READY_SECONDS <= ground.cluster.clock.now() - before < READY_SECONDS + 5


def test_a_server_that_failed_stays_cordoned_until_it_comes_through() -> None:
    ground = Ground("stu")
    ground.inner.results["s"] = NodeResult("s", "failed", reason="k3s.service did not start")
    assert ground.run("s")["s"].reason == "k3s.service did not start"
    assert ground.cordoned() == {"s"}
    again = Ground("stu", upgraded="s", s="")
    again.cluster = ground.cluster
    again.cluster.staged["s"].node = ClusterNode("s", "machine of s", NEW, is_ready=True)
    assert [(name, move.drains) for name, move in again.moves.items()] == [("s", False), ("t", True), ("u", True)]
    assert again.run("s")["s"].outcome == "applied"
    assert ground.cordoned() == set()


def test_a_cordon_of_a_controller_that_died_is_taken_back_by_who_resumes() -> None:
    ground = Ground("stu", upgraded="stu", is_resumed=True)
    staged = ground.cluster.staged["s"]
    staged.node = msgspec.structs.replace(staged.node, version=NEW)
    ground.cluster.cordon(next(iter([ground.moves["s"].node])), "rollout r")
    assert ground.run("s")["s"].outcome == "applied"
    assert ground.cordoned() == set()


def test_a_cluster_that_does_not_answer_holds_nobody_who_was_not_drained() -> None:
    ground = Ground("stu", upgraded="stu", s="")
    ground.silent = True
    before = ground.cluster.clock.now()
    result = ground.run("s")["s"]
    assert (result.outcome, ground.cluster.clock.now()) == ("applied", before)
    assert result.warnings[0].startswith("whether an earlier run left its Node cordoned is not known: ")


def test_other_servers_are_asked_first() -> None:
    assert [node.name for node in Ground("stu").moves["s"].servers] == ["t", "u", "s"]


def test_who_is_told_to_stop_begins_nothing() -> None:
    ground = Ground("stu")
    ground.draining.stop_now()
    with pytest.raises(StoppedError):
        ground.run("s")
    assert ground.inner.orders == []
    assert ground.inner.stopped
