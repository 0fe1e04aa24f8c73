"""simulate: what is rehearsed is the order that apply would start, and larger fleets are copies of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.decide import initial
from fleet.errors import UsageError
from fleet.model.fleet import Walk
from fleet.model.plan import Scope
from fleet.model.record import Record
from fleet.model.rollout import AwayNode
from fleet.model.verdict import Verdict
from fleet.operations.apply import ApplyOptions
from fleet.operations.intent import Intent
from fleet.operations.plan import plan
from fleet.operations.simulate import copied, everything, rehearsal_of
from fleet.testing import MemoryRecords
from tests.specs import document
from tests.unit.operations.test_ordering import NAMED, POLICY, SITES, made, ordered
from tests.unit.render.ground import intent, known

OPTIONS = ApplyOptions()
NONE = MemoryRecords()
EVERYTHING = Scope()
ZONED = document("Site", "reno", "timeZone: America/Los_Angeles\nnodes: [{name: r, role: none, address: 10.9.0.1}]")


def all_done() -> Intent:
    """Every node holds what git wants."""
    fresh = made()
    records = [
        Record(change.node, "acme", "machine", change.wanted) for change in plan(fresh, MemoryRecords(), Scope()).nodes
    ]
    return intent(NAMED, document("RolloutPolicy", "standard", POLICY), *SITES, records=known(records))


def test_it_is_the_order_that_apply_starts() -> None:
    found = rehearsal_of(made(), plan(made(), NONE, EVERYTHING), NONE, OPTIONS)

    order = ordered(made())
    assert replace(found.order, id=order.id, controller=order.controller) == order
    assert (found.order.controller, found.copies, found.notes) == ("fleet simulate", 1, ())


def test_the_id_does_not_come_from_chance() -> None:
    first, again = (rehearsal_of(made(), plan(made(), NONE, EVERYTHING), NONE, OPTIONS) for _ in range(2))

    assert first == again


def test_everything_changes_also_where_all_is_done() -> None:
    found = everything(all_done(), EVERYTHING)

    assert [change.node for change in found.nodes] == ["a", "b", "c", "d", "e"]
    assert all(change.base.startswith("b1:") and change.base != change.wanted for change in found.nodes)
    assert [(wave.name, wave.nodes) for wave in found.waves] == [("pilot", 2), ("everyone", 3)]
    assert rehearsal_of(all_done(), found, NONE, OPTIONS).order.budgets == ordered(made()).budgets


def test_everything_is_a_fleet_that_runs_already() -> None:
    """Nobody joins: that would be slower than the change that is rehearsed."""
    order = rehearsal_of(made(), everything(made(), EVERYTHING), NONE, OPTIONS).order

    assert {node.base for node in order.nodes} == {"b1:before"}
    assert {node.base for node in ordered(made()).nodes} == {""}


def test_everything_keeps_to_the_scope() -> None:
    assert [change.node for change in everything(made(), Scope(sites=("lyon",))).nodes] == ["a", "b"]


def test_sites_bring_their_time_zones() -> None:
    zoned = intent(NAMED, document("RolloutPolicy", "standard", POLICY), *SITES, ZONED)

    found = rehearsal_of(zoned, plan(zoned, NONE, EVERYTHING), NONE, OPTIONS, nodes=12)

    assert found.zones == {
        "lyon": "UTC", "lyon~2": "UTC", "nice": "UTC", "nice~2": "UTC",
        "reno": "America/Los_Angeles", "reno~2": "America/Los_Angeles",
    }  # fmt: skip


def test_copies_are_in_the_waves_and_budgets_of_their_own() -> None:
    order = ordered(made())
    with_away = replace(order, budgets=tuple(replace(group, away=(AwayNode("gone", 7.0),)) for group in order.budgets))

    found = copied(with_away, 3)

    initial(found)
    assert [[node.name for node in wave.nodes] for wave in found.waves] == [
        ["a", "b", "a~2", "b~2", "a~3", "b~3"],
        ["c", "d", "e", "c~2", "d~2", "e~2", "c~3", "d~3", "e~3"],
    ]
    assert {(node.site, node.groups) for node in found.waves[0].nodes} == {
        ("lyon", ("site=lyon, no app",)),
        ("lyon~2", ("site=lyon, no app~2",)),
        ("lyon~3", ("site=lyon, no app~3",)),
    }
    assert [(group.name, group.allowed, group.away) for group in found.budgets][2:4] == [
        ("site=lyon, no app~2", 1, (AwayNode("gone~2", 7.0),)),
        ("site=nice, no app~2", 2, (AwayNode("gone~2", 7.0),)),
    ]
    assert copied(order, 1) is order


def test_clusters_are_copied_too() -> None:
    site = document("Site", "lyon", "nodes: [{name: s, role: server, arch: amd64, address: 10.0.0.1}]")
    fleet = intent(document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}"), site)

    found = rehearsal_of(fleet, everything(fleet, EVERYTHING), NONE, OPTIONS, nodes=2).order

    assert [(node.name, node.cluster, node.role) for node in found.nodes] == [
        ("s", "lyon", "server"),
        ("s~2", "lyon~2", "server"),
    ]


@pytest.mark.parametrize(("wanted", "copies", "stop_at"), [(0, 1, 2), (5, 1, 2), (6, 2, 3), (11, 3, 4), (100, 20, 25)])
def test_as_many_nodes_as_asked_for_rounded_up(wanted: int, copies: int, stop_at: int) -> None:
    """maxFailures is 25 % of all of them."""
    found = rehearsal_of(made(), plan(made(), NONE, EVERYTHING), NONE, OPTIONS, wanted)

    assert (found.copies, len(found.order.nodes), found.order.stop_at) == (copies, 5 * copies, stop_at)


def test_fewer_than_change_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"--nodes 4 is less than the 5 nodes that change") as caught:
        rehearsal_of(made(), plan(made(), NONE, EVERYTHING), NONE, OPTIONS, 4)
    assert "--site" in caught.value.hint


def test_nothing_to_rehearse_says_why() -> None:
    done, empty = all_done(), intent(document("Fleet", "acme", ""))

    for fleet, message, hint in (
        (done, "nothing to rehearse: 5 nodes hold what git wants", "--all rehearses"),
        (empty, "fleet acme has no node to rehearse with", "Add a Site"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            rehearsal_of(fleet, plan(fleet, NONE, EVERYTHING), NONE, OPTIONS)
        assert hint in caught.value.hint
    with pytest.raises(UsageError, match="no node is in this scope"):
        rehearsal_of(made(), everything(made(), Scope(selector="site=nowhere")), NONE, OPTIONS)


def test_what_apply_would_refuse_or_leave_out_is_noted() -> None:
    stuck = made(POLICY.replace("maxUnavailable: 50%", "minAvailable: 2"))
    planned = replace(
        everything(stuck, EVERYTHING),
        verdicts=(Verdict("quorum", "refused", "lyon", "no quorum"), Verdict("quorum", "warning", "nice", "beware")),
        unenforced=("gates", "approval of waves"),
        walking=(Walk("nice", "v1.35.4+k3s1", "v1.36.3+k3s1"), Walk("lyon", "v1.35.4+k3s1", "v1.36.3+k3s1")),
    )

    assert rehearsal_of(stuck, planned, NONE, OPTIONS).notes == (
        "fleet apply would not begin: 1 change refused (fleet plan shows why)",
        "declared, but not enforced yet: gates, approval of waves",
        "the first of several rollouts: K3s goes up step by step in lyon, nice",
        "the budget of site=lyon, no app lets no node change",
    )
