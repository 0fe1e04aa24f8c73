"""Whole fleets: sets grow without moving anybody, order of documents is nothing, a scope only narrows, origins tell the truth."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.load import load
from fleet.model.fleet import ResolvedFleet
from fleet.model.learned import Learned
from fleet.model.node import Node
from fleet.model.plan import Scope
from fleet.model.tree import Tree
from fleet.resolve import in_scope, origins, resolve, seen_labels
from tests import specs

LABELS = st.dictionaries(st.sampled_from(["app", "ring", "gpu"]), st.sampled_from(["a", "b", "no"]), max_size=2)
VARS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(0, 3), max_size=3)
SELECTORS = st.one_of(
    st.builds(lambda labels: {"matchLabels": labels}, LABELS),
    st.builds(
        lambda key, operator: {"matchExpressions": [{"key": key, "operator": operator}]},
        st.sampled_from(["app", "ring", "set", "arch"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)


@st.composite
def fleets(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Documents: profiles p0… with selectors, sites s0… with nodes and a set each."""
    profiles = [(f"p{at}", draw(VARS), draw(SELECTORS)) for at in range(draw(st.integers(0, 3)))]
    uses = [{"name": name, "selector": selector} for name, _, selector in profiles]
    made = [("Fleet", "acme", {}, {"vars": draw(VARS), "profiles": uses})]
    made += [("Profile", name, {}, {"vars": values}) for name, values, _ in profiles]
    for at in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 3))
        nodes = [
            {
                "name": f"s{at}-n{number}",
                "role": "none",
                "address": f"10.{at}.0.{number + 1}",
                "labels": draw(LABELS),
                "vars": draw(VARS),
            }
            for number in range(count)
        ]
        member = {"name": "till", "role": "none", "count": draw(st.integers(1, 4)), "start": f"10.{at}.1.1"}
        sets = [{**member, "labels": draw(LABELS), "vars": draw(VARS)}]
        made.append(("Site", f"s{at}", draw(LABELS), {"vars": draw(VARS), "nodes": nodes, "nodeSets": sets}))
    return [
        {"apiVersion": "fleet/v1alpha1", "kind": kind, "metadata": {"name": name, **({"labels": labels} if labels else {})}, "spec": spec}
        for kind, name, labels, spec in made
    ]  # fmt: skip


def read(files: dict[str, list[dict[str, Any]]]) -> Any:
    texts = {path: "\n---\n".join(json.dumps(each) for each in documents) for path, documents in files.items()}
    return load(
        Tree({path: text.encode() for path, text in {**texts, "fleet.lock": specs.lock(specs.VERSION)}.items()})
    )


def resolved(*documents: dict[str, Any]) -> ResolvedFleet:
    return resolve(read({"spec.yaml": list(documents)}), Learned())


def said(node: Node) -> tuple[Any, ...]:
    return (node.name, node.site, node.addresses, node.labels, node.settings.vars, node.set, node.connection.address)


@settings(max_examples=100, deadline=None)
@given(documents=fleets(), order=st.randoms(use_true_random=False))
def test_the_order_of_documents_and_files_is_nothing(documents: list[dict[str, Any]], order: Any) -> None:
    expected = [said(node) for node in resolved(*documents).nodes]
    shuffled = list(documents)
    order.shuffle(shuffled)
    assert [said(node) for node in resolved(*shuffled).nodes] == expected
    apart = {f"{order.randrange(10**6):06}-{at}/x.yml": [each] for at, each in enumerate(shuffled)}
    assert [said(node) for node in resolve(read(apart), Learned()).nodes] == expected


@settings(max_examples=100, deadline=None)
@given(documents=fleets(), more=st.integers(1, 5))
def test_growing_a_set_moves_and_changes_nobody(documents: list[dict[str, Any]], more: int) -> None:
    before = {node.name: said(node) for node in resolved(*documents).nodes}
    for each in documents:
        for node_set in each["spec"].get("nodeSets", ()):
            node_set["count"] += more
    after = {node.name: said(node) for node in resolved(*documents).nodes}
    assert {name: after[name] for name in before} == before
    sites = sum(each["kind"] == "Site" for each in documents)
    assert len(after) == len(before) + sites * more


@settings(max_examples=100, deadline=None)
@given(documents=fleets())
def test_values_are_those_of_the_strongest_layer_that_says_them(documents: list[dict[str, Any]]) -> None:
    by_name = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in documents}
    fleet = by_name["Fleet", "acme"]
    for node in resolved(*documents).nodes:
        site = by_name["Site", node.site]
        own = [*(each for each in site["nodes"] if each["name"] == node.name), *(site["nodeSets"] if node.set else ())]
        layers = [
            fleet,
            *(by_name["Profile", use["name"]] for use in fleet["profiles"] if holds(use["selector"], node)),
        ]
        expected: dict[str, Any] = {}
        for layer in (*layers, site, *own[:1]):
            expected |= layer["vars"]
        assert node.settings.vars == expected


def holds(selector: dict[str, Any], node: Node) -> bool:
    """Kubernetes's meaning, said once more: built-in labels are there on every node, be they empty."""
    seen = seen_labels(node)
    if "matchLabels" in selector:
        return all(seen.get(key) == value for key, value in selector["matchLabels"].items())
    (expression,) = selector["matchExpressions"]
    return (expression["key"] in seen) == (expression["operator"] == "Exists")


@settings(max_examples=60, deadline=None)
@given(documents=fleets())
def test_origins_give_the_values_and_where_they_stand(documents: list[dict[str, Any]]) -> None:
    spec = read({"spec.yaml": documents})
    fleet = resolve(spec, Learned())
    for node in fleet.nodes:
        found = {each.path: each for each in origins(spec, Learned(), node)}
        told = {path.removeprefix("vars."): each.value for path, each in found.items() if path.startswith("vars.")}
        assert told == node.settings.vars
        for path, each in found.items():
            value: Any = documents[each.place.document]
            for step in each.place.path:
                value = value[step]
            assert value == each.value, path


@settings(max_examples=100, deadline=None)
@given(
    documents=fleets(),
    sites=st.lists(st.just("s0"), max_size=1),
    selector=st.sampled_from(["", "app=a", "app!=a", "app in (a,b)", "app notin (a)", "!gpu", "gpu", "set=till,ring", "role=none"]),
    limit=st.integers(0, 4),
)  # fmt: skip
def test_a_scope_only_narrows_and_keeps_the_order(
    documents: list[dict[str, Any]], sites: list[str], selector: str, limit: int
) -> None:
    fleet = resolved(*documents)
    names = [node.name for node in fleet.nodes]
    found = [node.name for node in in_scope(fleet, Scope(tuple(sites), selector, (), limit))]
    assert [name for name in names if name in set(found)] == found
    assert len(found) <= (limit or len(names))
    whole = in_scope(fleet, Scope(tuple(sites), selector))
    assert found == [node.name for node in whole][: limit or None]
    plain = selector.replace("!=", "≠")
    if "=" in plain and "," not in plain:
        key, _, value = plain.partition("=")
        wanted = [n.name for n in fleet.nodes if seen_labels(n).get(key) == value and n.site in (sites or [n.site])]
        assert [node.name for node in whole] == wanted


@settings(max_examples=60, deadline=None)
@given(
    prefix=st.integers(20, 32),
    base=st.integers(0, 2**32 - 1),
    count=st.integers(1, 3),
)
@example(prefix=30, base=0x0A000004, count=2)
@example(prefix=31, base=0x0A000004, count=2)
@example(prefix=32, base=0x0A000004, count=1)
def test_addresses_of_a_network_are_its_usable_ones_from_the_first(prefix: int, base: int, count: int) -> None:
    network = ipaddress.ip_network((base >> (32 - prefix) << (32 - prefix), prefix))
    usable = [str(address) for _, address in zip(range(count), network.hosts(), strict=False)]
    if len(usable) < count:
        return
    site = {"nodeSets": [{"name": "t", "role": "none", "count": count, "addresses": str(network)}]}
    documents = [
        {"apiVersion": "fleet/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, name, spec in (("Fleet", "acme", {}), ("Site", "s", site))
    ]
    assert [node.addresses for node in resolved(*documents).nodes] == [(address,) for address in usable]
