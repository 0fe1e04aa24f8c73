"""Which changing nodes come in which wave."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import pytest

from fleet.model.fleet import ResolvedFleet
from fleet.resolve import waves
from tests.specs import document, resolved

PILOT = "{name: pilot, selector: {matchLabels: {ring: pilot}}}"


def site(at: int, servers: int, agents: int, labels: str = "", label: str = "") -> str:
    """Site sAT with servers sAT-s1 ... and agents sAT-a1 ...; `label` is one more of its first agent."""
    nodes = [f"{{name: s{at}-s{i}, role: server, address: 10.{at}.0.{i}}}" for i in range(1, servers + 1)]
    for i in range(1, agents + 1):
        more = f", labels: {label}" if label and i == 1 else ""
        nodes.append(f"{{name: s{at}-a{i}, role: agent, address: 10.{at}.1.{i}{more}}}")
    return document("Site", f"s{at}", f"nodes: [{', '.join(nodes)}]", labels)


def fleet(said: str, *sites: str) -> ResolvedFleet:
    named = document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}\nrolloutPolicy: standard")
    return resolved(named, document("RolloutPolicy", "standard", said), *sites)


def taken(made: ResolvedFleet, changing: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    return {wave.name: wave.nodes for wave in waves(made, changing or {node.name for node in made.nodes})}


def hosts(count: int, labels: str = "") -> str:
    nodes = ", ".join(f"{{name: h{i:02d}, role: none, address: 10.9.0.{i}}}" for i in range(1, count + 1))
    return document("Site", "yard", f"nodes: [{nodes}]", labels)


def test_without_a_policy_all_come_in_one_wave() -> None:
    made = resolved(document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}"), site(1, 1, 1), hosts(2))
    (wave,) = waves(made, {"s1-s1", "s1-a1", "h02"})
    assert (wave.name, wave.nodes, wave.units) == ("everyone", ("s1-s1", "s1-a1", "h02"), 2)
    assert (wave.success_threshold, wave.min_finished) == (None, None)


def test_a_selector_takes_units_and_the_rest_comes_last() -> None:
    made = fleet(f"waves: [{PILOT}]", site(1, 1, 1), site(2, 1, 1, "{ring: pilot}"), hosts(1))
    assert taken(made) == {"pilot": ("s2-s1", "s2-a1"), "everyone": ("s1-s1", "s1-a1", "h01")}


def test_a_wave_has_its_own_thresholds_and_the_rest_those_of_the_policy() -> None:
    said = f"waves: [{PILOT[:-1]}, successThreshold: 100%, minFinished: 90%}}]\nsuccessThreshold: 80%"
    pilot, rest = waves(fleet(said, site(1, 1, 0)), {"s1-s1"})
    assert (pilot.success_threshold, pilot.min_finished) == (Decimal(100), Decimal(90))
    assert (rest.success_threshold, rest.min_finished) == (Decimal(80), Decimal(50))


def test_one_named_node_takes_its_whole_cluster() -> None:
    said = f"waves: [{PILOT}]"
    sites = (site(1, 1, 2, label="{ring: pilot}"), site(2, 1, 1))
    assert taken(fleet(said, *sites))["pilot"] == ("s1-s1", "s1-a1", "s1-a2")
    assert taken(fleet(f"unit: cluster\n{said}", *sites))["pilot"] == ("s1-s1", "s1-a1", "s1-a2")
    # The node that is named does not change, so nothing of its unit is the pilot.
    assert taken(fleet(said, *sites), {"s1-s1", "s1-a2"}) == {"pilot": (), "everyone": ("s1-s1", "s1-a2")}


@pytest.mark.parametrize(("limit", "many"), [("3", 3), ("10%", 3), ("2%", 1), ("100%", 25), ("99", 25)])
def test_a_limit_counts_units(limit: str, many: int) -> None:
    made = fleet(f"waves: [{{name: ramp, limit: {limit}}}]", hosts(25))
    assert len(taken(made)["ramp"]) == many


def test_a_share_is_of_what_no_earlier_wave_took() -> None:
    said = "waves: [{name: one, limit: 50%}, {name: two, limit: 50%}, {name: three, limit: 50%}]"
    made = fleet(said, hosts(10))
    assert [len(names) for names in taken(made).values()] == [5, 3, 1, 1]
    assert sorted(name for names in taken(made).values() for name in names) == [f"h{i:02d}" for i in range(1, 11)]


def test_a_share_is_of_all_that_are_left_and_not_of_those_that_are_named() -> None:
    said = f"waves: [{PILOT[:-1]}, limit: 20%}}]"
    made = fleet(said, *(site(at, 1, 1, "{ring: pilot}" if at > 16 else "") for at in range(11, 21)))
    assert taken(made)["pilot"] == ("s17-s1", "s17-a1", "s18-s1", "s18-a1")
    # Of ten clusters five change: a fifth of them is one.
    changing = {f"s{at}-{node}" for at in (11, 12, 17, 18, 19) for node in ("s1", "a1")}
    assert taken(made, changing)["pilot"] == ("s17-s1", "s17-a1")


def test_a_limit_counts_clusters_whatever_their_size() -> None:
    made = fleet("waves: [{name: ramp, limit: 1}]", site(1, 3, 4), site(2, 1, 0))
    (ramp, rest) = waves(made, {node.name for node in made.nodes})
    assert (len(ramp.nodes), ramp.units, rest.nodes, rest.units) == (7, 1, ("s2-s1",), 1)


def test_the_last_wave_has_a_name_of_its_own() -> None:
    said = "waves: [{name: everyone, limit: 1}, {name: everyone-else, limit: 1}]"
    assert list(taken(fleet(said, hosts(3)))) == ["everyone", "everyone-else", "everyone-else-else"]
    assert list(taken(fleet(said, hosts(2)))) == ["everyone", "everyone-else"]


def test_nodes_as_units_are_split() -> None:
    made = fleet("unit: node\nwaves: [{name: ramp, limit: 2}]", site(1, 1, 3))
    assert taken(made) == {"ramp": ("s1-s1", "s1-a1"), "everyone": ("s1-a2", "s1-a3")}


def test_no_agent_comes_in_a_wave_before_its_servers() -> None:
    said = "unit: node\nwaves: [{name: agents, selector: {matchLabels: {role: agent}}}, {name: one, limit: 1}]"
    made = fleet(said, site(1, 3, 1))
    assert taken(made) == {"agents": (), "one": ("s1-s1",), "everyone": ("s1-s2", "s1-s3", "s1-a1")}
    assert taken(made, {"s1-a1"}) == {"agents": ("s1-a1",), "one": ()}, "its servers do not change"


def test_a_later_server_waits_for_the_one_before_it() -> None:
    last = "{name: last, selector: {matchExpressions: [{key: role, operator: In, values: [server]}]}, limit: 1}"
    made = fleet(f"unit: node\nwaves: [{last}]", site(1, 3, 0))
    assert taken(made, {"s1-s2", "s1-s3"}) == {"last": ("s1-s2",), "everyone": ("s1-s3",)}
