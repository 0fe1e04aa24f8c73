"""The registry of rules: names, pages, order, and what all of them together cost."""

import re
import time
from pathlib import Path

from fleet.check import RULES, check
from fleet.check.picture import Picture
from fleet.k3s.keys import SUPPORTED_MINORS
from tests.unit.check.fleets import changed, cluster, facts, given, node, settings

PAGES = Path(__file__).resolve().parents[3] / "docs" / "rules"
NAMES = {rule.RULE for rule in RULES}


def test_every_rule_has_its_name_its_module_and_its_source():
    assert len(NAMES) == len(RULES) == 27
    for rule in RULES:
        assert rule.__name__ == f"fleet.check.{rule.RULE.replace('-', '_')}"
        assert "Source:" in rule.__doc__


def test_every_module_of_the_folder_is_in_the_registry():
    folder = Path(__file__).resolve().parents[3] / "fleet" / "check"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "picture", "values"}
    assert modules == {rule.RULE.replace("-", "_") for rule in RULES}


def test_every_rule_has_a_page_and_every_page_a_rule():
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == NAMES


def test_pages_say_what_why_where_from_how_to_mend_and_show_it():
    for name in NAMES:
        text = (PAGES / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["What it looks at", "Why", "Source", "How to mend it", "What it looks like"]
        assert f"docs/rules/{name}.md" in text


def test_the_index_lists_every_rule_in_the_order_of_judgement():
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(\1\.md\)", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert listed == [rule.RULE for rule in RULES]


def test_the_page_of_unsupported_versions_names_the_minors_of_today():
    assert ", ".join(SUPPORTED_MINORS) in (PAGES / "version-unsupported.md").read_text()


def test_refusals_come_first_and_name_their_rule():
    nodes = [node("a"), node("b")]
    verdicts = check(
        given(
            *nodes,
            clusters=[cluster("ab", growing=True)],
            now={name: facts("v1.33.5+k3s1", datastore="etcd") for name in "ab"},
            wanted={name: facts(datastore="etcd", config={"cluster-domain": "shop.local"}) for name in "ab"},
        )
    )
    assert [(verdict.outcome, verdict.rule) for verdict in verdicts] == [
        ("refused", "version-skip"),
        ("refused", "immutable-keys"),
        ("warning", "even-etcd"),
    ]


def test_a_refusal_comes_before_a_warning_of_an_earlier_rule():
    verdicts = check(
        given(
            node("a"),
            clusters=[cluster()],
            now={"a": facts("v1.28.1+k3s1")},
            wanted={"a": facts("v1.29.1+k3s1", config={"cluster-domain": "shop.local"})},
            locked=["v1.29.1+k3s1"],
        )
    )
    assert [verdict.rule for verdict in verdicts] == ["immutable-keys", "version-unsupported"]


def test_a_server_that_does_not_change_holds_what_is_wanted_of_it():
    a, b, c = node("a"), node("b"), node("c")
    wanted = {name: facts(datastore="etcd") for name in "abc"}
    picture = Picture(given(a, b, c, wanted=wanted, records="ab", changes=[changed(b), changed(c)]))
    assert picture.current("a") == wanted["a"]
    assert picture.current("b") is None, "it changes, and nobody kept what it holds"
    assert picture.current("c") is None, "it never held anything"
    assert picture.after("b") == wanted["b"]


def test_a_healthy_fleet_has_nothing_to_hear():
    assert check(fleet_of(1_000, changes=False)) == ()
    assert check(fleet_of(1_000, changes=True)) == ()


def fleet_of(count: int, *, changes: bool):
    """Sites of ten nodes (three servers) that share their settings; all upgrade, or none changes."""
    shared = settings({"disable": ["traefik"], "write-kubeconfig-mode": "0600"}, registries={"mirrors": {"*": {}}})
    nodes, clusters = [], []
    for i in range(count // 10):
        site = f"s{i:05d}"
        names = [f"{site}-{k}" for k in range(10)]
        nodes += [
            node(name, "server" if k < 3 else "agent", site=site, cluster=site, given=shared)
            for k, name in enumerate(names)
        ]
        clusters.append(cluster(names[:3], names[3:], name=site))
    old = {
        n.name: facts("v1.34.6+k3s1" if changes else "v1.35.4+k3s1", n.role, "etcd", site=n.site, cluster=n.site)
        for n in nodes
    }
    new = {n.name: facts("v1.35.4+k3s1", n.role, "etcd", site=n.site, cluster=n.site) for n in nodes}
    moving = [changed(n) for n in nodes] if changes else []
    return given(*nodes, clusters=clusters, now=old, wanted=new, changes=moving)


def spent(count: int, *, changes: bool) -> float:
    picture = fleet_of(count, changes=changes)
    start = time.process_time()
    assert check(picture) == ()
    return time.process_time() - start


def test_ten_thousand_nodes_cost_next_to_nothing():
    assert spent(10_000, changes=False) < 0.15
    assert spent(10_000, changes=True) < 0.5


def test_a_picture_of_no_changes_touches_no_cluster():
    assert Picture(fleet_of(100, changes=False)).touched == ()
