"""A cluster that was away for long goes up through each minor, all of its nodes together."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from fleet.load import load
from fleet.model.fleet import Walk
from fleet.model.learned import Learned, LearnedNode
from fleet.resolve import resolve
from tests import specs
from tests.specs import document

V33, V34, V34B, V35, V36 = "v1.33.9+k3s1", "v1.34.3+k3s1", "v1.34.6+k3s2", "v1.35.4+k3s1", "v1.36.3+k3s1"
NODES = """
nodes:
  - {name: s1, role: server, address: 10.0.0.1}
  - {name: a1, role: agent, address: 10.0.0.2}
  - {name: kiosk, role: none, address: 10.0.0.3}
"""


def going(
    held: Mapping[str, str], *, wanted: str = V36, releases: tuple[str, ...] = (V34, V34B, V35, V36), more: str = ""
):
    """What each node of cluster lyon is to have, and which clusters have a way to go after that."""
    files = {"fleet.lock": specs.lock(*releases)}
    fleet = document("Fleet", "acme", f"k3s: {{version: {wanted}}}")
    tree = specs.tree(fleet, document("Site", "lyon", NODES + more), document("Site", "nice", OTHER), files=files)
    learned = Learned(nodes={name: LearnedNode(k3s_version=version) for name, version in held.items()})
    made = resolve(load(tree), learned)
    return {node.name: node.settings.k3s.version for node in made.nodes if node.site == "lyon"}, made


OTHER = "nodes: [{name: other, role: server, address: 10.0.1.1}]"


def test_a_step_is_the_newest_release_of_the_next_minor_that_the_lock_has() -> None:
    versions, made = going({"s1": V33, "a1": V33, "other": V35})
    assert versions == {"s1": V34B, "a1": V34B, "kiosk": ""}
    assert made.walking == (Walk("lyon", V34B, V36),)
    assert [node.settings.k3s.version for node in made.nodes if node.name == "other"] == [V36], (
        "that one is near enough"
    )


def test_an_air_gapped_cluster_goes_only_by_releases_with_images() -> None:
    lock = json.loads(specs.lock(V34, V34B, V35, V36))
    for version in (V34, V36):
        lock["releases"][version]["images"] = {"amd64": {"name": "i", "sha256": "1" * 64}}
    files = {"fleet.lock": json.dumps(lock)}
    fleet = document("Fleet", "acme", f"k3s: {{version: {V36}, airGap: true}}")
    tree = specs.tree(fleet, document("Site", "lyon", NODES), files=files)
    for held, version in ((V33, V34), (V34, V36)):  # of v1.35 there are none: the rules refuse to skip it
        learned = Learned(nodes={name: LearnedNode(k3s_version=held) for name in ("s1", "a1")})
        made = resolve(load(tree), learned)
        assert {node.settings.k3s.version for node in made.nodes if node.cluster} == {version}


def test_the_next_step_waits_for_the_last_node_of_the_cluster() -> None:
    assert going({"s1": V34B, "a1": V33})[0] == {"s1": V34B, "a1": V34B, "kiosk": ""}
    assert going({"s1": V34B, "a1": V34})[0] == {"s1": V35, "a1": V35, "kiosk": ""}
    versions, made = going({"s1": V35, "a1": V35})
    assert (versions["s1"], versions["a1"], made.walking) == (V36, V36, ())


def test_a_new_agent_joins_at_the_step_where_its_cluster_is() -> None:
    assert going({"s1": V33})[0]["a1"] == V34B
    assert going({})[0]["a1"] == V36


def test_a_node_that_wants_less_is_not_brought_further() -> None:
    versions, made = going({"s1": V33, "a1": V33}, more=f"k3s: {{version: {V34}}}")
    assert (versions["s1"], versions["a1"], made.walking) == (V34, V34, ())


def test_without_a_release_for_the_next_minor_the_rules_have_to_refuse() -> None:
    versions, made = going({"s1": V33, "a1": V33}, releases=(V35, V36))
    assert (versions["s1"], made.walking) == (V36, ())


def test_what_is_no_version_is_nobodys_step() -> None:
    versions, made = going({"s1": "latest", "a1": ""})
    assert (versions["s1"], made.walking) == (V36, ())


def test_nodes_that_are_alike_share_their_settings() -> None:
    """Rendering goes by identity: a copy for each node would cost 10,000 nodes their speed."""
    _, made = going({"s1": V33, "a1": V33, "other": V33})
    stepped = [node.settings for node in made.nodes if node.name in ("s1", "a1")]
    assert msgspec.structs.asdict(stepped[0].k3s)["version"] == V34B
    assert len({id(node.settings) for node in made.nodes if node.settings.k3s.version == V34B}) <= 2
