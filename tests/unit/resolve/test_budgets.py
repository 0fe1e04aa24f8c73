"""Which nodes share a budget."""

from __future__ import annotations

from fleet.model.fleet import ResolvedFleet
from fleet.model.policy import NodeGroup
from fleet.resolve import budgets
from tests.specs import document, resolved
from tests.unit.resolve.test_waves import fleet, hosts, site


def everyone(made: ResolvedFleet) -> set[str]:
    return {node.name for node in made.nodes}


def test_a_group_is_all_nodes_with_the_same_labels() -> None:
    made = fleet("disruptionBudget: {groupBy: [site], maxUnavailable: 50%}", site(1, 1, 2), site(2, 1, 0))
    assert budgets(made, everyone(made), ()) == (
        NodeGroup("site=s1", ("s1-s1", "s1-a1", "s1-a2"), 2),
        NodeGroup("site=s2", ("s2-s1",), 1),
    )


def test_a_group_counts_nodes_that_do_not_change_and_one_that_does_not_change_has_no_budget() -> None:
    made = fleet("disruptionBudget: {groupBy: [site], minAvailable: 2}", site(1, 1, 2), site(2, 1, 0))
    assert budgets(made, {"s1-a2"}, ()) == (NodeGroup("site=s1", ("s1-s1", "s1-a1", "s1-a2"), 1),)


def test_nodes_without_the_label_are_a_group_of_their_own() -> None:
    said = "disruptionBudget: {groupBy: [site, app], maxUnavailable: 1}"
    made = fleet(said, site(1, 1, 2, label="{app: pos}"), site(2, 1, 0))
    assert budgets(made, everyone(made), ()) == (
        NodeGroup("site=s1, no app", ("s1-s1", "s1-a2"), 1, ("app",)),
        NodeGroup("site=s1, app=pos", ("s1-a1",), 1),
        NodeGroup("site=s2, no app", ("s2-s1",), 1, ("app",)),
    )


def test_labels_of_sites_and_the_built_in_ones_group() -> None:
    said = "disruptionBudget: {groupBy: [region, role], maxUnavailable: 1}"
    made = fleet(said, site(1, 1, 1, "{region: eu}"), site(2, 1, 0, "{region: eu}"))
    assert [(group.name, group.nodes) for group in budgets(made, everyone(made), ())] == [
        ("region=eu, role=server", ("s1-s1", "s2-s1")),
        ("region=eu, role=agent", ("s1-a1",)),
    ]


def test_without_labels_the_fleet_is_the_group() -> None:
    made = fleet("disruptionBudget: {maxUnavailable: 10%}", hosts(11))
    assert [(group.name, group.allowed) for group in budgets(made, everyone(made), ())] == [("the fleet", 2)]


def test_servers_keep_their_quorum_where_one_of_them_is_away() -> None:
    made = fleet("batchSize: 10", *(site(at, servers, 1) for at, servers in ((1, 1), (3, 3), (5, 5))), hosts(1))
    names = everyone(made)
    assert budgets(made, names, ()) == ()
    away = {"s1-s1", "s3-s2", "s5-s5", "h01", "s1-a1"}
    assert [(group.name, len(group.nodes), group.allowed) for group in budgets(made, names, away)] == [
        ("servers of cluster s1", 1, 1),
        ("servers of cluster s3", 3, 1),
        ("servers of cluster s5", 5, 2),
    ]


def test_without_a_policy_there_is_no_budget() -> None:
    plain = resolved(document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}"), site(3, 3, 0))
    assert budgets(plain, {"s3-s1"}, {"s3-s2"}) == ()
