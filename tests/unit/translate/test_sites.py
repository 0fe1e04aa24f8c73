"""Sites, labels, and the name of the fleet."""

from __future__ import annotations

import pytest

from fleet.errors import UsageError
from fleet.translate.sites import fleet_name
from tests.unit.translate.inventories import documents, made, nodes, spec, told

SHOPS = """\
shops:
  children:
    lyon: {hosts: {l1: , l2: }, vars: {street: Rue A, zip: 1}}
    paris: {hosts: {p1: }, vars: {street: Rue B}}
    empty: {vars: {street: none}}
pos: {hosts: {l1: , p1: }, vars: {zip: 9}}
office: {hosts: {hq: }}
"""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/shop/inventory/hosts.yml", "shop"),
        ("/srv/inventory/my-cluster/hosts.ini", "my-cluster"),
        ("/srv/production.ini", "production"),
        ("/srv/inventories/prod", "prod"),
        ("/inventory/hosts", "fleet"),
        ("hosts", "fleet"),
        ("/srv/My Shop/inventory", "my-shop"),
        ("/srv/sample/inventory-sample.yml", "srv"),
    ],
)
def test_the_name_of_the_fleet(path, name):
    assert fleet_name(path, "") == name
    assert fleet_name(path, "acme") == "acme"


def test_a_name_that_is_none():
    with pytest.raises(UsageError, match="--name 'My Shop' is no DNS label") as caught:
        fleet_name("x", "My Shop")
    assert caught.value.hint == "did you mean `my-shop`?"


def test_one_site_after_the_fleet_is_the_default():
    found = made(SHOPS)
    assert {path for path in documents(found) if path.startswith("sites/")} == {"sites/shop.yaml"}
    assert found.sites == 1


@pytest.mark.parametrize("option", ["shops", "lyon|paris|empty", "(lyon|paris)"])
def test_sites_are_the_children_of_a_group_or_all_that_match(option):
    found = made(SHOPS, site_group=option, name="acme")
    documented = documents(found)
    assert sorted(path for path in documented if path.startswith("sites/")) == [
        "sites/acme.yaml", "sites/lyon.yaml", "sites/paris.yaml",
    ]  # fmt: skip
    assert documented["sites/lyon.yaml"]["spec"]["vars"] == {"street": "Rue A", "zip": 1}
    assert "in no group that --site-group names: at the site `acme`" in told(found, "hq")[0]


def test_what_a_stronger_group_says_as_well_stays_a_profile():
    """`pos` comes after `lyon` by its name, and says `zip`, too."""
    documented = documents(made(SHOPS.replace("shops:\n  children:", "all:\n  children:"), site_group="lyon|paris"))
    assert documented["fleet.yaml"]["spec"]["profiles"] == [
        {"name": "empty", "selector": {"matchLabels": {"empty": "true"}}},
        {"name": "lyon", "selector": {"matchLabels": {"site": "lyon"}}},
        {"name": "pos", "selector": {"matchLabels": {"pos": "true"}}},
    ]
    assert documented["profiles/lyon.yaml"]["spec"] == {"vars": {"zip": 1}}
    assert documented["sites/lyon.yaml"]["spec"]["vars"] == {"street": "Rue A"}


def test_a_site_without_hosts_keeps_its_variables():
    assert spec(made(SHOPS, site_group="lyon|paris|empty"), "profiles/empty.yaml") == {"vars": {"street": "none"}}


def test_a_site_that_says_a_map_anew():
    text = SHOPS.replace("shops:\n", "shops:\n  vars: {street: {name: A, number: 1}}\n").replace("Rue B", "{name: B}")
    found = documents(made(text, site_group="lyon|paris"))
    assert found["sites/paris.yaml"]["spec"]["profiles"] == ["without-street"]
    assert found["profiles/without-street.yaml"]["spec"] == {"vars": {"street": None}}
    assert "profiles" not in found["sites/lyon.yaml"]["spec"]


def test_no_host_may_be_at_two_sites():
    with pytest.raises(UsageError, match=r"puts hosts at two sites: l1 \(lyon and pos\), p1 \(paris and pos\)"):
        made(SHOPS, site_group="lyon|paris|pos")


def test_labels_that_all_nodes_of_a_site_have_stand_at_the_site():
    found = documents(made(SHOPS, site_group="shops"))
    assert found["sites/lyon.yaml"]["metadata"] == {"name": "lyon", "labels": {"shops": "true"}}
    assert found["sites/paris.yaml"]["metadata"] == {"name": "paris", "labels": {"pos": "true", "shops": "true"}}
    assert nodes(made(SHOPS, site_group="shops"))["l1"]["labels"] == {"pos": "true"}


def test_hosts_without_a_group_get_a_label_where_something_is_said_of_them():
    found = made("b\n[web]\na\n", file="hosts.ini", group_vars={"ungrouped": "x: 1\n"})
    assert nodes(found)["b"]["labels"] == {"ungrouped": "true"}
    assert spec(found, "profiles/ungrouped.yaml") == {"vars": {"x": 1}}
    assert "labels" not in nodes(made("b\n[web]\na\n", file="hosts.ini"))["b"]
