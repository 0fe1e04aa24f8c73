# ruff: noqa: S101 - a contract suite is made of asserts
from __future__ import annotations

import pytest

from fleet.errors import RefusedError
from fleet.model.cluster_node import (
    CORDON_MANAGER,
    ClusterNode,
    DatastoreHealth,
    EtcdMember,
    Given,
    NodeIdentity,
    Taint,
)
from fleet.ports.cluster import Cluster
from fleet.testing.contracts.cluster_stage import FIRST, IMPOSTOR, REGISTERED, RULE, SECOND, WEB, A, B, Stage, node_of
from fleet.testing.contracts.drain import DrainContract


class ClusterContract(DrainContract):
    """Wants two fixtures: `cluster`, whose clock does not really wait, and its `stage`: an empty cluster with the
    namespace shop.
    """

    def test_nodes_are_told_by_name(self, cluster: Cluster) -> None:
        found = cluster.nodes()
        assert [(node.name, node.machine_id, node.version, node.is_ready, node.reason) for node in found] == [
            (node.name, node.machine_id, node.version, node.is_ready, node.reason) for node in (FIRST, SECOND)
        ]
        assert [node.is_cordoned for node in found] == [False, False]

    # Labels

    def test_labels_are_set_and_others_stay(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_label("flux", A.name, {"team": "pos"})
        found = cluster.reconcile(A, {"app": "till", "ring": "pilot"}, [])
        assert found.labels == {**REGISTERED, "team": "pos", "app": "till", "ring": "pilot"}
        assert node_of(cluster).labels == found.labels
        assert node_of(cluster, B).labels == {"kubernetes.io/hostname": B.name}

    def test_a_label_that_is_wanted_no_more_goes_and_only_that(self, cluster: Cluster, stage: Stage) -> None:
        cluster.reconcile(A, {"app": "till", "ring": "pilot"}, [])
        stage.others_label("flux", A.name, {"team": "pos"})
        assert cluster.reconcile(A, {"ring": "ramp"}, []).labels == {**REGISTERED, "team": "pos", "ring": "ramp"}

    def test_what_registration_set_is_taken_over_and_goes_when_it_is_wanted_no_more(self, cluster: Cluster) -> None:
        assert cluster.reconcile(A, {"gpu": "amd"}, []).labels == {**REGISTERED, "gpu": "amd"}
        assert "gpu" not in cluster.reconcile(A, {}, []).labels
        cluster.reconcile(B, {"kubernetes.io/hostname": B.name}, [])
        assert cluster.reconcile(B, {}, []).labels == {}

    def test_what_registration_alone_set_goes_where_that_is_known(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_label("flux", A.name, {"team": "pos"})
        given = Given(labels=frozenset({"gpu", "team", "gone-already"}))
        assert cluster.reconcile(A, {"gpu": "nvidia"}, [], given).labels == {**REGISTERED, "team": "pos"}
        assert cluster.reconcile(A, {}, [], given).labels == {"kubernetes.io/hostname": A.name, "team": "pos"}
        assert "gpu" not in node_of(cluster).labels

    def test_what_registration_set_and_somebody_else_changed_stays(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_label("flux", A.name, {"gpu": "amd"})
        assert cluster.reconcile(A, {}, [], Given(labels=frozenset({"gpu"}))).labels["gpu"] == "amd"

    def test_registration_alone_is_not_ours_to_take_out(self, cluster: Cluster) -> None:
        assert cluster.reconcile(A, {}, []).labels == REGISTERED

    def test_somebody_elses_value_is_refused_and_kept(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_label("flux", A.name, {"team": "pos"})
        with pytest.raises(RefusedError, match=r"team.*pos.*flux"):
            cluster.reconcile(A, {"app": "till", "team": "back"}, ["gpu=true:NoSchedule"])
        assert node_of(cluster).labels == {**REGISTERED, "team": "pos"}
        assert node_of(cluster).taints == ()

    def test_a_label_that_somebody_else_wants_too_stays_when_we_let_go(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_label("flux", A.name, {"team": "pos"})
        cluster.reconcile(A, {"team": "pos"}, [])
        assert cluster.reconcile(A, {}, []).labels["team"] == "pos"

    def test_what_is_so_already_is_not_written(self, cluster: Cluster, stage: Stage) -> None:
        cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
        before = stage.revision(A.name)
        cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
        assert stage.revision(A.name) == before
        cluster.reconcile(A, {"app": "kiosk"}, ["gpu=true:NoSchedule"])
        assert stage.revision(A.name) != before

    # Taints

    def test_taints_come_and_go_and_others_stay(self, cluster: Cluster, stage: Stage) -> None:
        theirs = Taint("node.kubernetes.io/unreachable", "", "NoExecute")
        stage.others_taint(A.name, str(theirs))
        first = cluster.reconcile(A, {}, ["gpu=true:NoSchedule", "edge:PreferNoSchedule"])
        ours = {Taint("gpu", "true", "NoSchedule"), Taint("edge", "", "PreferNoSchedule")}
        assert set(first.taints) == {theirs, *ours}
        assert set(cluster.reconcile(A, {}, ["gpu=shared:NoSchedule"]).taints) == {
            theirs,
            Taint("gpu", "shared", "NoSchedule"),
        }
        assert cluster.reconcile(A, {}, []).taints == (theirs,)
        assert node_of(cluster).taints == (theirs,)

    def test_a_taint_of_registration_is_ours_where_that_is_known(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_taint(A.name, "edge=a:NoExecute")
        stage.others_taint(A.name, "gpu=true:NoSchedule")
        given = Given(taints=frozenset({"gpu=true:NoSchedule", "gpu=old:NoSchedule"}))
        theirs, ours = Taint("edge", "a", "NoExecute"), Taint("gpu", "shared", "NoSchedule")
        assert set(cluster.reconcile(A, {}, ["gpu=shared:NoSchedule"], given).taints) == {theirs, ours}
        assert cluster.reconcile(A, {}, [], given).taints == (theirs,)

    def test_a_taint_of_registration_goes_at_the_first_call(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_taint(A.name, "gpu=true:NoSchedule")
        assert cluster.reconcile(A, {}, []).taints == (Taint("gpu", "true", "NoSchedule"),)
        assert cluster.reconcile(A, {}, [], Given(taints=frozenset({"gpu=true:NoSchedule"}))).taints == ()
        assert node_of(cluster).taints == ()

    def test_somebody_elses_taint_is_refused_and_kept(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_taint(A.name, "gpu=false:NoSchedule")
        with pytest.raises(RefusedError, match="gpu=false:NoSchedule"):
            cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"])
        assert node_of(cluster).taints == (Taint("gpu", "false", "NoSchedule"),)
        assert node_of(cluster).labels == REGISTERED

    # Cordon

    def test_a_cordon_of_ours_is_remembered_on_the_node_and_taken_back(self, cluster: Cluster) -> None:
        found = cluster.cordon(A, "rollout 7f3c")
        assert (found.is_cordoned, found.cordoned_by, found.is_cordoned_by_fleet) == (True, (CORDON_MANAGER,), True)
        assert cluster.cordon(A, "rollout 7f3c") == found
        assert [node.name for node in cluster.nodes() if node.is_cordoned_by_fleet] == [A.name]
        assert not cluster.uncordon(A).is_cordoned
        assert not cluster.uncordon(A).is_cordoned

    def test_somebody_elses_cordon_stays(self, cluster: Cluster, stage: Stage) -> None:
        stage.others_cordon("kubectl-cordon", A.name)
        assert cluster.uncordon(A).is_cordoned
        assert cluster.cordon(A, "rollout 7f3c").cordoned_by == (CORDON_MANAGER, "kubectl-cordon")
        after = cluster.uncordon(A)
        assert (after.is_cordoned, after.cordoned_by) == (True, ("kubectl-cordon",))

    def test_a_cordon_that_came_after_ours_was_lifted_stays(self, cluster: Cluster, stage: Stage) -> None:
        cluster.cordon(A, "rollout 7f3c")
        stage.others_uncordon(A.name)
        stage.others_cordon("kubectl-cordon", A.name)
        after = cluster.uncordon(A)
        assert (after.is_cordoned, after.cordoned_by) == (True, ("kubectl-cordon",))

    def test_labels_and_cordons_leave_each_other_alone(self, cluster: Cluster) -> None:
        cluster.cordon(A, "rollout 7f3c")
        assert cluster.reconcile(A, {"app": "till"}, ["gpu=true:NoSchedule"]).is_cordoned_by_fleet
        after = cluster.uncordon(A)
        assert (after.labels["app"], after.taints) == ("till", (Taint("gpu", "true", "NoSchedule"),))

    # Which machine

    def test_another_machine_under_the_name_is_left_alone(self, cluster: Cluster, stage: Stage) -> None:
        stage.add_pod(A.name, WEB)
        before = node_of(cluster)
        for who in (IMPOSTOR, NodeIdentity(A.name, "")):
            for does in (
                lambda who=who: cluster.reconcile(who, {"app": "till"}, ["gpu=true:NoSchedule"]),
                lambda who=who: cluster.cordon(who, "rollout 7f3c"),
                lambda who=who: cluster.uncordon(who),
                lambda who=who: list(cluster.drain(who, RULE, "rollout 7f3c")),
                lambda who=who: cluster.delete(who),
            ):
                with pytest.raises(RefusedError, match=rf"{A.name}.*another machine.*{A.machine_id}"):
                    does()
        assert node_of(cluster) == before
        assert stage.pods_on(A.name) == {WEB.name}
        assert stage.has_password(A.name)

    def test_a_node_that_never_came(self, cluster: Cluster) -> None:
        nobody = NodeIdentity("lyon-1-z", A.machine_id)
        for does in (
            lambda: cluster.reconcile(nobody, {"app": "till"}, []),
            lambda: cluster.cordon(nobody, "rollout 7f3c"),
            lambda: cluster.uncordon(nobody),
            lambda: list(cluster.drain(nobody, RULE, "rollout 7f3c")),
        ):
            with pytest.raises(RefusedError, match="lyon-1-z"):
                does()
        assert [node.name for node in cluster.nodes()] == [A.name, B.name]

    # Leaving

    def test_a_node_goes_with_its_password(self, cluster: Cluster, stage: Stage) -> None:
        cluster.delete(A)
        assert [node.name for node in cluster.nodes()] == [B.name]
        assert (stage.has_password(A.name), stage.has_password(B.name)) == (False, True)
        cluster.delete(A)

    def test_the_datastore_and_its_members(self, cluster: Cluster, stage: Stage) -> None:
        assert cluster.datastore() == DatastoreHealth(is_serving=True)
        for name, said in (("lyon-1-d", "MemberIsLearner"), ("lyon-1-c", "MemberNotLearner")):
            stage.add_node(ClusterNode(name, A.machine_id), etcd=said)
        assert cluster.datastore().members == (
            EtcdMember("lyon-1-c", is_voter=True, reason="MemberNotLearner"),
            EtcdMember("lyon-1-d", is_voter=False, reason="MemberIsLearner"),
        )
