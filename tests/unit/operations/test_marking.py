"""Labels and taints of Nodes that are registered come through the API, before the bundle that names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
import pytest

from fleet.errors import StoppedError, UsageError
from fleet.model.batch import BatchOrder, BatchResult, NodeResult
from fleet.model.cluster_node import ClusterNode, Given, NodeIdentity, Taint
from fleet.model.node import Node
from fleet.model.plan import Scope
from fleet.model.record import Record
from fleet.operations.intent import Intent
from fleet.operations.marking import MarkingApplier, marks
from fleet.operations.plan import plan
from fleet.operations.preparing import keep_contents
from fleet.testing import MemoryApplier, MemoryCluster, MemoryRecords
from tests.specs import FLEET, document
from tests.unit.operations.hosts import held
from tests.unit.render.ground import intent

NAMES = ("s", "t", "a", "b")
OLD = "labels: {app: pos, old: x, kept: k}, taints: ['gpu=true:NoSchedule', 'edge:NoExecute', 'kept:NoSchedule']"
NEW = "labels: {app: till, new: n, kept: k}, taints: ['gpu=shared:NoSchedule', 'kept:NoSchedule']"
OLD_LABELS, NEW_LABELS = {"app": "pos", "old": "x", "kept": "k"}, {"app": "till", "new": "n", "kept": "k"}
KEPT = Taint("kept", "", "NoSchedule")
OLD_TAINTS = {Taint("gpu", "true", "NoSchedule"), Taint("edge", "", "NoExecute"), KEPT}
NEW_TAINTS = {Taint("gpu", "shared", "NoSchedule"), KEPT}
NOT_READY = Taint("node.kubernetes.io/not-ready", "", "NoSchedule")


def site(k3s: str, more: str = "") -> str:
    """Two servers on an external datastore, and two agents."""
    lines = [
        f"  - {{name: {name}, role: {'server' if name in 'st' else 'agent'}, arch: amd64, address: 10.0.0.{at}}}"
        for at, name in enumerate(NAMES, 1)
    ]
    datastore = "cluster: {datastore: {external: {endpointSecret: db}}}"
    return document("Site", "lyon", "\n".join(["nodes:", *lines, datastore, f"k3s: {{{k3s}}}", more]))


class Ground:
    """A cluster whose Nodes K3s registered with OLD, and nodes that hold the bundle which says so."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.records = MemoryRecords()
        self.asked: list[str] = []
        self.silent = False
        self.trouble: Exception | None = None
        self.seen: list[dict[str, dict[str, str]]] = []
        self.digests = self.sent(OLD)
        for name in NAMES:
            node = ClusterNode(name, f"machine of {name}", is_ready=True, taints=tuple(OLD_TAINTS))
            self.cluster.add_node(node, {**OLD_LABELS, "kubernetes.io/hostname": name})
        self.records.save(held(name, self.digests[name]) for name in NAMES)

    def intent(self, k3s: str, more: str = "") -> Intent:
        return intent(FLEET, site(k3s, more), records=self.records)

    def sent(self, k3s: str) -> dict[str, str]:
        """Digests by node; what a rollout would keep of them is kept."""
        made = self.intent(k3s)
        keep_contents(made, made.fleet.nodes, self.records)
        return {node.name: made.renderer.sketch(node).digest for node in made.fleet.nodes}

    def run(
        self, *names: str, k3s: str = NEW, results: dict[str, NodeResult] | None = None, only_adopt: bool = False
    ) -> dict[str, NodeResult]:
        """One batch, as the engine does it: what nodes tell is kept."""
        wanted = self.sent(k3s)
        self.inner = MemoryApplier(wanted, results)
        inner_run = self.inner.run_batch
        self.inner.run_batch = lambda order: self._watched(inner_run, order)  # type: ignore[method-assign]
        applier = MarkingApplier(
            self.inner, partial(marks, self.intent(k3s), self.records), self.cluster_of, self.records
        )  # type: ignore[arg-type]
        brought = {name: wanted[name] for name in names}
        order = BatchOrder("r-1", "r", 1, names, wanted=brought, only_adopt=only_adopt)
        found = applier.run_batch(order).results
        assert [each.node for each in found] == list(names)
        told = [each.record for each in found if each.record]
        self.records.save(msgspec.structs.replace(each, machine_id=f"machine of {each.node}") for each in told)
        return {each.node: each for each in found}

    def _watched(self, run: object, order: BatchOrder) -> BatchResult:
        self.seen.append({name: self.labels(name) for name in order.nodes if name in self.cluster.staged})
        if self.trouble:
            raise self.trouble
        found: BatchResult = run(order)  # type: ignore[operator]
        return found

    @contextmanager
    def cluster_of(self, server: Node) -> Iterator[MemoryCluster]:
        self.asked.append(server.name)
        self.cluster.unreachable = f"{server.name} is silent" if self.silent else ""
        yield self.cluster
        self.cluster.unreachable = ""

    def labels(self, name: str) -> dict[str, str]:
        found = self.cluster.staged[name].plain().labels
        return {key: value for key, value in found.items() if key != "kubernetes.io/hostname"}

    def taints(self, name: str) -> set[Taint]:
        return set(self.cluster.staged[name].plain().taints)

    def to_do(self, k3s: str) -> set[str]:
        return {change.node for change in plan(self.intent(k3s), self.records, Scope()).nodes}


def half(name: str, base: str, wanted: str) -> Record:
    return held(name, "", base=base, wanted=wanted)


def test_a_node_has_its_labels_and_taints_before_its_bundle_comes() -> None:
    ground = Ground()
    ground.cluster.others_label("flux", "a", {"team": "pos"})
    ground.cluster.others_taint("a", str(NOT_READY))
    assert ground.run("a")["a"].outcome == "applied"
    assert ground.seen == [{"a": {**NEW_LABELS, "team": "pos"}}], "what K3s has registered and nobody wants is gone"
    assert ground.taints("a") == {*NEW_TAINTS, NOT_READY}
    assert (ground.labels("b"), ground.taints("b")) == (OLD_LABELS, OLD_TAINTS)


def test_a_batch_that_is_only_adopted_changes_no_node() -> None:
    """What the spec says by now is the newer rollout's; whoever began the batch has set what it brings."""
    ground = Ground()
    assert ground.run("a", only_adopt=True)["a"].outcome == "applied"
    assert (ground.asked, ground.labels("a"), ground.taints("a")) == ([], OLD_LABELS, OLD_TAINTS)


def test_all_labels_and_taints_go_when_the_spec_has_none() -> None:
    ground = Ground()
    ground.run("a", k3s="config: {}")
    assert (ground.labels("a"), ground.taints("a")) == ({}, set())


def test_a_second_change_takes_away_what_the_first_gave() -> None:
    ground = Ground()
    ground.run("a")
    ground.run("a", k3s=OLD)
    assert (ground.labels("a"), ground.taints("a")) == (OLD_LABELS, OLD_TAINTS)


def test_kubernetes_is_not_asked_where_labels_and_taints_stay() -> None:
    ground = Ground()
    ground.silent = True
    for k3s in (
        OLD,
        OLD + ", config: {write-kubeconfig-mode: '0600'}",
        OLD.replace("app: pos, old: x", "old: x, app: pos"),
    ):
        assert ground.run(*NAMES, k3s=k3s)["s"].outcome == "applied"
    assert ground.asked == []


def test_one_connection_serves_all_of_a_cluster_by_another_server_first() -> None:
    ground = Ground()
    ground.run("a", "b")
    assert ground.asked == ["s"]
    ground.run("s")
    assert ground.asked == ["s", "t"]
    assert {name: ground.labels(name) for name in NAMES} == {
        "s": NEW_LABELS,
        "t": OLD_LABELS,
        "a": NEW_LABELS,
        "b": NEW_LABELS,
    }


def test_somebody_elses_value_is_refused_and_the_node_is_not_touched() -> None:
    ground = Ground()
    ground.cluster.others_label("flux", "a", {"app": "kiosk"})
    results = ground.run("a", "b")
    assert (results["a"].outcome, results["b"].outcome) == ("failed", "applied")
    assert results["a"].reason == (
        "its labels and taints could not be set: the label app of the Node a is 'kiosk' by flux "
        "(fleet apply --no-cluster leaves Kubernetes out of it)"
    )
    assert [order.nodes for order in ground.inner.orders] == [("b",)]
    assert ground.labels("a") == {**OLD_LABELS, "app": "kiosk"}
    assert "a" in ground.to_do(NEW)


def test_another_machine_under_the_name_is_left_alone() -> None:
    ground = Ground()
    staged = ground.cluster.staged["a"]
    staged.node = msgspec.structs.replace(staged.node, machine_id="another")
    assert "another machine" in ground.run("a")["a"].reason
    assert (ground.labels("a"), ground.inner.orders) == (OLD_LABELS, [])


def test_a_cluster_that_does_not_answer_keeps_its_nodes_as_they_are() -> None:
    ground = Ground()
    ground.silent = True
    results = ground.run("a", "s")
    assert {each.outcome for each in results.values()} == {"failed"}
    assert "s is silent; the API server could not list the Nodes: t is silent" in results["a"].reason
    assert (ground.inner.orders, ground.to_do(NEW)) == ([], set(NAMES))


def test_without_the_client_the_message_names_what_to_install() -> None:
    ground = Ground()

    class Missing(MemoryCluster):
        def nodes(self) -> list[ClusterNode]:
            raise UsageError(
                "talking to Kubernetes needs the kubernetes package", "pip install 'edgefleet[kubernetes]'"
            )

    ground.cluster_of = lambda _: Missing()  # type: ignore[method-assign, assignment]
    assert ground.run("a")["a"].reason == (
        "its labels and taints could not be set: talking to Kubernetes needs the kubernetes package "
        "(pip install 'edgefleet[kubernetes]'; fleet apply --no-cluster leaves Kubernetes out of it)"
    )
    assert ground.inner.orders == []


def test_who_has_not_registered_gets_them_from_k3s() -> None:
    ground = Ground()
    del ground.cluster.staged["a"]
    result = ground.run("a")["a"]
    assert (result.outcome, result.warnings) == (
        "applied",
        ("its cluster has no Node of it: K3s gives it its labels and taints when it registers",),
    )


def test_a_node_without_a_past_asks_nobody() -> None:
    ground = Ground()
    ground.records.forget(NAMES)
    ground.records.save([Record("a", "acme", "machine of a", "", arch="amd64")])  # looked at, for its architecture
    ground.silent = True
    assert {each.outcome for each in ground.run("s", "a").values()} == {"applied"}
    assert ground.asked == []


def test_sandboxes_ask_nobody() -> None:
    ground = Ground()
    made = ground.intent(NEW, "connection: {type: sandbox}")
    assert marks(made, ground.records, NAMES) == {}
    assert set(marks(ground.intent(NEW), ground.records, NAMES)) == set(NAMES)


# A run that ends in between


def test_a_controller_that_dies_before_the_bundle_leaves_the_node_to_do() -> None:
    ground = Ground()
    ground.trouble = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        ground.run("a")
    assert (ground.labels("a"), ground.to_do(NEW)) == (NEW_LABELS, set(NAMES))
    ground.cluster.others_label("k3s", "a", OLD_LABELS)  # it starts meanwhile, with the file that it has
    ground.trouble = None
    assert ground.run("a")["a"].outcome == "applied"
    assert (ground.labels("a"), ground.taints("a")) == (NEW_LABELS, NEW_TAINTS)
    assert "a" not in ground.to_do(NEW)


def test_and_a_commit_that_was_taken_back_meanwhile_takes_the_labels_back() -> None:
    ground = Ground()
    ground.trouble = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        ground.run("a")
    ground.trouble = None
    assert ground.to_do(OLD) == {"a"}, "its record says that it is done, but its Node may not be"
    ground.run("a", k3s=OLD)
    assert (ground.labels("a"), ground.taints("a"), ground.to_do(OLD)) == (OLD_LABELS, OLD_TAINTS, set())


def test_a_controller_that_dies_after_the_bundle_finds_everything_as_it_is() -> None:
    ground = Ground()
    ground.run("a")
    before = ground.cluster.revision("a")
    ground.records.save([held("a", ground.digests["a"])])  # it never heard of it
    ground.run("a")
    assert ground.cluster.revision("a") == before


@pytest.mark.parametrize("record", ["none", "as before"])
def test_a_node_that_did_not_take_the_bundle_has_its_labels_back(record: str) -> None:
    ground = Ground()
    ground.cluster.others_taint("a", str(NOT_READY))
    told = None if record == "none" else held("a", ground.digests["a"])
    result = ground.run("a", results={"a": NodeResult("a", "failed", reason="validate: no", record=told)})["a"]
    assert (result.reason, result.warnings) == ("validate: no", ())
    assert ground.seen == [{"a": NEW_LABELS}]
    assert (ground.labels("a"), ground.taints("a")) == (OLD_LABELS, {*OLD_TAINTS, NOT_READY})
    ground.run("a")
    assert (ground.labels("a"), ground.taints("a")) == (NEW_LABELS, {*NEW_TAINTS, NOT_READY})


def test_so_does_one_whose_labels_are_of_kubernetes_own_names() -> None:
    ground = Ground()
    zone, taint = "topology.kubernetes.io/zone", "node.kubernetes.io/pool={}:NoSchedule"
    for k3s in (f"labels: {{{zone}: a}}, taints: ['{taint.format('a')}']", f"labels: {{{zone}: b}}"):
        failed = {"a": NodeResult("a", "failed")} if k3s.endswith("b}") else {}
        ground.run("a", k3s=k3s, results=failed)
    assert (ground.labels("a"), ground.taints("a")) == ({zone: "a"}, {Taint.parse(taint.format("a"))})


def test_what_kubernetes_takes_away_meanwhile_is_not_put_back() -> None:
    ground = Ground()
    ground.cluster.others_taint("a", str(NOT_READY))
    ground.cluster.others_label("k3s", "a", {"node-role.kubernetes.io/control-plane": "true"})
    watched = ground.cluster.reconcile

    def ready_by_then(node: NodeIdentity, *wanted: object) -> ClusterNode:
        staged = ground.cluster.staged["a"]
        staged.taints = [taint for taint in staged.taints if taint != NOT_READY]
        staged.labels.pop("node-role.kubernetes.io/control-plane", None)
        return watched(node, *wanted)  # type: ignore[arg-type]

    ground.cluster.reconcile = ready_by_then  # type: ignore[method-assign, assignment]
    ground.run("a", results={"a": NodeResult("a", "failed")})
    assert (ground.labels("a"), ground.taints("a")) == (OLD_LABELS, OLD_TAINTS)


def test_it_has_back_what_another_controller_gave() -> None:
    """This one knows of OLD; another one has brought the node forward since, so that the node refuses."""
    ground = Ground()
    theirs = {"app": "theirs", "extra": "e"}
    given = Given(frozenset(OLD_LABELS), frozenset(map(str, OLD_TAINTS)))
    ground.cluster.reconcile(NodeIdentity("a", "machine of a"), theirs, ["gpu=theirs:NoSchedule"], given)
    before, taints = ground.labels("a"), ground.taints("a")
    ground.run("a", results={"a": NodeResult("a", "failed", reason="expect: another digest")})
    assert (ground.labels("a"), ground.taints("a")) == (before, taints)
    ground.cluster.reconcile(NodeIdentity("a", "machine of a"), {}, [])
    assert "extra" not in ground.labels("a"), "it is still fleet's own"


def test_what_could_not_be_set_back_is_told() -> None:
    ground = Ground()
    ground.trouble = None
    failed = NodeResult("a", "failed", reason="no")
    watched = ground._watched

    def silenced(run: object, order: BatchOrder) -> BatchResult:
        result = watched(run, order)
        ground.silent = True
        return result

    ground._watched = silenced  # type: ignore[method-assign]
    (warning,) = ground.run("a", results={"a": failed})["a"].warnings
    assert warning.startswith(
        "its Node has labels and taints of the bundle that did not come: the API server could not"
    )
    assert (ground.labels("a"), "a" in ground.to_do(OLD)) == (NEW_LABELS, True)


@pytest.mark.parametrize("outcome", ["half", "wanted", "unreachable"])
def test_a_node_that_may_have_the_bundle_keeps_the_new_labels(outcome: str) -> None:
    ground = Ground()
    new = ground.sent(NEW)["a"]
    results = {
        "half": NodeResult("a", "failed", record=half("a", ground.digests["a"], new)),
        "wanted": NodeResult("a", "failed", reason="its Node is not Ready", record=held("a", new)),
        "unreachable": NodeResult("a", "unreachable"),
    }
    ground.run("a", results={"a": results[outcome]})
    assert ground.labels("a") == NEW_LABELS
    if outcome == "unreachable":
        ground.records.note_unanswered({"a": new})  # as the engine does
    assert ground.to_do(OLD) == {"a"}
    ground.run("a", k3s=OLD)
    assert (ground.labels("a"), ground.taints("a")) == (OLD_LABELS, OLD_TAINTS)


def test_what_k3s_was_told_by_a_bundle_that_came_in_half_goes() -> None:
    """The very first one of a node: K3s had registered before another unit failed."""
    ground = Ground()
    first = ground.digests["a"]
    ground.records.forget(["a"])
    ground.records.save([half("a", "", first)])
    ground.run("a")
    assert (ground.labels("a"), ground.taints("a")) == (NEW_LABELS, NEW_TAINTS)


def test_what_was_sent_without_an_answer_counts_as_given() -> None:
    ground = Ground()
    ground.records.save([held("a", ground.sent("labels: {app: other}")["a"])])
    ground.records.note_unanswered({"a": ground.digests["a"]})
    ground.run("a")
    assert (ground.labels("a"), ground.taints("a")) == (NEW_LABELS, NEW_TAINTS)


def test_a_node_that_never_told_which_machine_it_is_is_asked_first() -> None:
    ground = Ground()
    ground.records.forget(["a"])
    ground.records.note_unanswered({"a": ground.digests["a"]})
    result = ground.run("a")["a"]
    assert "which machine the Node a is was never told (fleet plan --refresh --node a asks it; " in result.reason
    assert (ground.labels("a"), ground.inner.orders) == (OLD_LABELS, [])
    del ground.cluster.staged["a"]
    assert ground.run("a")["a"].warnings == (), "K3s has not registered it"


def test_a_bundle_that_nobody_knows_any_more_is_asked_for() -> None:
    ground = Ground()
    ground.records.save([held("a", "b1:lost")])
    result = ground.run("a")["a"]
    assert "the Node a has the taint gpu=true:NoSchedule, which fleet did not set" in result.reason
    ground.cluster.staged["a"].taints.clear()
    ground.run("a")
    assert ground.labels("a") == {**NEW_LABELS, "old": "x"}, "whether that was K3s's by git is not known"


def test_who_is_told_to_stop_begins_nothing() -> None:
    ground = Ground()
    inner = MemoryApplier({})
    applier = MarkingApplier(
        inner, partial(marks, ground.intent(NEW), ground.records), ground.cluster_of, ground.records
    )  # type: ignore[arg-type]
    applier.stop_now()
    with pytest.raises(StoppedError):
        applier.run_batch(BatchOrder("r-1", "r", 1, ("a",)))
    assert (ground.asked, inner.orders, inner.stopped) == ([], [], True)
