"""What nodes told, and what follows from one server: architecture, pending questions, the join address, warnings."""

from __future__ import annotations

import pytest

from fleet.errors import MistakesError
from fleet.model.learned import Learned, LearnedNode
from tests.specs import FLEET, document, node_of, resolved

AMD = LearnedNode(machine_id="m" * 32, arch="amd64")
ARM = LearnedNode(machine_id="n" * 32, arch="arm64")


def test_plain_hosts_are_not_asked_for_their_architecture() -> None:
    nodes = "nodes: [{name: h, role: none, address: 10.0.0.1}, {name: s, role: server, address: 10.0.0.2}]"
    assert resolved(FLEET, document("Site", "lyon", nodes)).pending == {"arch": 1}
    hosts = "nodes: [{name: h, role: none, address: 10.0.0.1}]"
    assert resolved(FLEET, document("Site", "lyon", hosts)).pending == {}


def test_what_the_spec_says_stands_whatever_a_node_told() -> None:
    nodes = "nodes: [{name: s, role: server, arch: arm64, address: 10.0.0.2}]"
    fleet = resolved(FLEET, document("Site", "lyon", nodes), learned=Learned(nodes={"s": AMD}))
    assert node_of(fleet, "s").arch == "arm64"


def test_nodes_of_one_set_may_be_of_two_architectures() -> None:
    site = """
    nodes: [{name: s, role: server, arch: amd64, address: 10.0.0.1}]
    nodeSets: [{name: w, count: 3, role: agent, start: 10.0.0.9, profiles: [{name: big, selector: {matchLabels: {arch: arm64}}}]}]
    """
    fleet = resolved(
        FLEET,
        document("Profile", "big", "vars: {big: true}"),
        document("Site", "lyon", site),
        learned=Learned(nodes={"lyon-w-001": AMD, "lyon-w-002": ARM}),
    )
    found = [(node.name, node.arch, node.settings.vars) for node in fleet.nodes if node.set == "w"]
    assert found == [("lyon-w-001", "amd64", {}), ("lyon-w-002", "arm64", {"big": True}), ("lyon-w-003", "", {})]


def test_the_join_address_has_the_servers_port() -> None:
    nodes = "nodes: [{name: s, role: server, address: 10.0.0.2}]\nk3s: {config: {https-listen-port: 16443}}"
    fleet = resolved(FLEET, document("Site", "lyon", nodes))
    assert fleet.clusters["lyon"].url == "https://10.0.0.2:16443"


def test_sqlite_serves_one_server() -> None:
    nodes = "".join(f"  - {{name: s{at}, role: server, address: 10.0.0.{at}}}\n" for at in (1, 2, 3))
    with pytest.raises(MistakesError) as caught:
        resolved(FLEET, document("Site", "lyon", f"nodes:\n{nodes}cluster: {{datastore: sqlite}}"))
    assert [mistake.message for mistake in caught.value.mistakes] == [
        "cluster lyon has 3 servers on sqlite, which serves one only"
    ]


def test_what_is_doubtful_is_told_and_allowed_whoever_is_looked_at_first() -> None:
    server, agent = "{name: s, role: server, address: 10.0.0.2}", "{name: a, role: agent, address: 10.0.0.3}"
    for nodes in (f"{server}, {agent}", f"{agent}, {server}"):
        site = document("Site", "lyon", f"nodes: [{nodes}]\nk3s: {{config: {{disable: [nothing]}}}}")
        (warning,) = resolved(FLEET, site).warnings
        assert warning.severity == "warning"
        assert warning.message == "k3s.config.disable: `nothing` is no packaged component"
