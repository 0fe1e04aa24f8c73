"""Sites from tables: values, what is left out, nodes of another table, overlays, and what is shared."""

from __future__ import annotations

import pytest
from load_specs import STORES, TABLE, problems_of, spec_of
from msgspec import UNSET

from fleet.load import to_problems
from fleet.model.problem import Mistake, Place
from fleet.model.spec.site import CoordinatesSpec

OVERLAY = """\
apiVersion: fleet/v1alpha1
kind: Site
metadata: {name: rome-1, labels: {ring: pilot}}
spec:
  from: stores
  timeZone: Europe/Vatican
  k3s: {config: {disable+: [traefik], flannel-backend: host-gw}}
  nodes:
    - {name: rome-1-a, labels: {gpu: nvidia}}
    - {name: rome-1-z, role: none, address: 10.0.1.99}
"""


def test_rows_become_sites() -> None:
    sites = spec_of(stores__yaml=STORES, stores__csv=TABLE).sites
    assert list(sites) == ["lyon-1", "rome-1", "oslo-1"]
    lyon = sites["lyon-1"]
    assert lyon.labels == {"country": "fr"}
    assert lyon.spec.time_zone == "Europe/Paris"
    assert lyon.spec.coordinates == CoordinatesSpec(latitude=45.76, longitude=4.0)
    assert [(node.name, node.role, node.address) for node in lyon.spec.nodes] == [
        ("lyon-1-a", "server", "10.0.0.1"),
        ("lyon-1-b", "agent", "10.0.0.2"),
    ]
    assert lyon.spec.node_sets[0].count == 12
    assert (lyon.file, lyon.index, lyon.table, lyon.row) == ("stores.yaml", 0, "stores.csv", 2)


def test_braces_of_others_stay() -> None:
    lyon = spec_of(stores__yaml=STORES, stores__csv=TABLE).sites["lyon-1"].spec
    assert lyon.vars == {"store": "S-lyon-1", "ntp": "{{ vars.ntp }}", "size": 7}
    assert lyon.node_sets[0].name_pattern == "{site}-{set}-{index:02d}"


def test_empty_cells_leave_the_field_out() -> None:
    sites = spec_of(stores__yaml=STORES, stores__csv=TABLE).sites
    assert sites["rome-1"].spec.coordinates is UNSET, "a map of which nothing is left goes too"
    assert [node.name for node in sites["rome-1"].spec.nodes] == ["rome-1-a"], "a thing without a name goes too"
    assert sites["oslo-1"].labels == {}
    assert sites["oslo-1"].spec.node_sets[0].count == 0


@pytest.mark.parametrize("cell", ["no", "007", "1e3", "true", "12:30:45", "null", "0x1f", " x ", "~"])
def test_values_stay_strings(cell: str) -> None:
    stores = STORES.replace("size: 7", 'size: "{size}"')
    table = "\n".join(f"{line},{cell if at else 'size'}" for at, line in enumerate(TABLE.splitlines())) + "\n"
    assert spec_of(stores__yaml=stores, stores__csv=table).sites["lyon-1"].spec.vars["size"] == cell


@pytest.mark.parametrize("cell", ["twelve", "1.5", "0x10", "1e3", "012", "+3", " 3"])
def test_a_number_must_be_one(cell: str) -> None:
    (found,) = problems_of(stores__yaml=STORES, stores__csv=TABLE.replace(",12\n", f",{cell}\n"))
    assert (found.file, found.line, found.path) == ("stores.csv", 2, "spec.template.spec.nodeSets[0].count")
    assert found.others == ("stores.yaml:17:31",)


def test_what_does_not_vary_is_one_object() -> None:
    sites = spec_of(stores__yaml=STORES, stores__csv=TABLE).sites
    assert sites["lyon-1"].spec.k3s is sites["rome-1"].spec.k3s
    assert sites["lyon-1"].spec.vars is not sites["rome-1"].spec.vars


def test_places_lead_to_the_template_and_the_row() -> None:
    rome = spec_of(stores__yaml=STORES, stores__csv=TABLE).sites["rome-1"]
    place = rome.place("spec", "nodes", 0, "address")
    assert place == Place("stores.yaml", 0, ("spec", "template", "spec", "nodes", 0, "address"), "stores.csv", 3)
    (problem,) = to_problems(
        [Mistake(place, "no good")], {"stores.yaml": STORES.encode(), "stores.csv": TABLE.encode()}
    )
    assert (problem.file, problem.line, problem.column) == ("stores.csv", 3, 1)
    assert problem.others == ("stores.yaml:14:54",)


def test_an_overlay_stands_above_its_row() -> None:
    spec = spec_of(stores__yaml=STORES, stores__csv=TABLE, rome__yaml=OVERLAY)
    assert list(spec.sites) == ["lyon-1", "rome-1", "oslo-1"]
    rome = spec.sites["rome-1"]
    assert rome.labels == {"country": "it", "ring": "pilot"}
    assert rome.spec.time_zone == "Europe/Vatican"
    assert rome.spec.k3s.config == {"disable": ["servicelb"], "disable+": ["traefik"], "flannel-backend": "host-gw"}
    assert [(node.name, node.role, node.address) for node in rome.spec.nodes] == [
        ("rome-1-a", "server", "10.0.1.1"),
        ("rome-1-z", "none", "10.0.1.99"),
    ]
    assert rome.spec.nodes[0].labels == {"gpu": "nvidia"}
    assert rome.spec.node_sets[0].count == 3


def test_an_overlay_s_places_are_its_own() -> None:
    rome = spec_of(stores__yaml=STORES, stores__csv=TABLE, rome__yaml=OVERLAY).sites["rome-1"]
    template = ("spec", "template", "spec")
    assert rome.place("spec", "timeZone") == Place("rome.yaml", 0, ("spec", "timeZone"))
    assert rome.place("spec", "nodes", 1, "address") == Place("rome.yaml", 0, ("spec", "nodes", 1, "address"))
    assert rome.place("spec", "nodes", 0, "labels") == Place("rome.yaml", 0, ("spec", "nodes", 0, "labels"))
    assert rome.place("spec", "nodes", 0, "address").path == (*template, "nodes", 0, "address")
    assert rome.place("metadata", "labels", "ring") == Place("rome.yaml", 0, ("metadata", "labels", "ring"))


def test_null_in_an_overlay() -> None:
    overlay = OVERLAY.replace("timeZone: Europe/Vatican", "timeZone: null").replace(
        "  k3s: {", "  vars: null\n  k3s: {"
    )
    rome = spec_of(stores__yaml=STORES, stores__csv=TABLE, rome__yaml=overlay).sites["rome-1"].spec
    assert rome.time_zone is UNSET, "a site's own field is gone"
    assert rome.vars is None, "a null that inheritance reads stays: it removes what weaker layers gave"


def test_only_one_overlay_per_row() -> None:
    found = problems_of(stores__yaml=STORES, stores__csv=TABLE, rome__yaml=OVERLAY, rome2__yaml=OVERLAY)
    assert [(each.file, each.message, each.others) for each in found] == [
        ("rome2.yaml", "a second Site `rome-1`", ("rome.yaml:3:18",))
    ]


NODES = """\
store,name,role,address,labels.app,rack
rome-1,rome-1-x,agent,10.0.1.7,pos,r1
lyon-1,lyon-1-x,none,10.0.0.7,,r2
rome-1,rome-1-y,agent,10.0.1.8,kiosk,
"""


def test_nodes_of_a_table_by_its_columns() -> None:
    stores = STORES + "  nodes: {csv: nodes.csv, key: store}\n"
    spec = spec_of(stores__yaml=stores, stores__csv=TABLE, nodes__csv=NODES)
    rome = spec.sites["rome-1"]
    assert [(node.name, node.role, node.address, node.labels) for node in rome.spec.nodes[1:]] == [
        ("rome-1-x", "agent", "10.0.1.7", {"app": "pos"}),
        ("rome-1-y", "agent", "10.0.1.8", {"app": "kiosk"}),
    ]
    assert spec.sites["lyon-1"].spec.nodes[2].labels is UNSET
    assert len(spec.sites["oslo-1"].spec.nodes) == 1
    assert rome.place("spec", "nodes", 2) == Place("stores.yaml", 0, ("spec", "nodes"), "nodes.csv", 4)


def test_nodes_of_a_table_by_a_template_that_sees_both_rows() -> None:
    stores = (
        STORES
        + """\
  nodes:
    csv: nodes.csv
    key: store
    template:
      name: "{name}"
      role: agent
      address: "{address}"
      vars: {country: "{country}", rack: "{rack}"}
      os: {packages: [chrony]}
"""
    )
    spec = spec_of(stores__yaml=stores, stores__csv=TABLE, nodes__csv=NODES)
    first, second = spec.sites["rome-1"].spec.nodes[1:]
    assert first.vars == {"country": "it", "rack": "r1"}
    assert second.vars == {"country": "it"}
    assert first.os is second.os
    place = spec.sites["rome-1"].place("spec", "nodes", 1, "role")
    assert place == Place("stores.yaml", 0, ("spec", "nodes", "template", "role"), "nodes.csv", 2)


def test_sites_of_a_table_with_a_row_per_node() -> None:
    stores = """\
apiVersion: fleet/v1alpha1
kind: SiteSet
metadata: {name: stores}
spec:
  source: {csv: hosts.csv, key: shop}
  template:
    metadata: {name: "{shop}"}
    spec: {timeZone: "{tz}"}
  nodes: {csv: hosts.csv, key: shop}
"""
    hosts = "name,shop,tz,role,address\na1,a,Europe/Paris,server,10.0.0.1\na2,a,Europe/Paris,agent,10.0.0.2\nb1,b,UTC,none,10.0.1.1\n"
    sites = spec_of(stores__yaml=stores, hosts__csv=hosts).sites
    assert {name: [node.name for node in site.spec.nodes] for name, site in sites.items()} == {
        "a": ["a1", "a2"],
        "b": ["b1"],
    }


def test_a_template_without_columns_still_takes_nodes() -> None:
    stores = """\
apiVersion: fleet/v1alpha1
kind: SiteSet
metadata: {name: stores}
spec:
  source: {csv: nodes.csv, key: store}
  template:
    metadata: {name: rome-1}
    spec: {timeZone: UTC}
  nodes: {csv: nodes.csv, key: store}
"""
    one = "\n".join(line for line in NODES.splitlines() if "lyon" not in line)
    assert [node.name for node in spec_of(stores__yaml=stores, nodes__csv=one).sites["rome-1"].spec.nodes] == [
        "rome-1-x",
        "rome-1-y",
    ]


def test_nodes_that_are_no_list_are_a_mistake() -> None:
    start = STORES.index("      nodes:")
    stores = STORES[:start] + "      nodes: null\n  nodes: {csv: nodes.csv, key: store}\n"
    found = problems_of(stores__yaml=stores, stores__csv=TABLE, nodes__csv=NODES)
    assert [(each.file, each.line, each.message) for each in found] == [
        ("stores.yaml", 13, "expected a list, found nothing")
    ]


def test_an_ansible_inventory_as_both_tables() -> None:
    stores = """\
apiVersion: fleet/v1alpha1
kind: SiteSet
metadata: {name: stores}
spec:
  source: {ansible: hosts.yml, key: group}
  template: {metadata: {name: "{group}"}, spec: {timeZone: "{tz}"}}
  nodes:
    ansible: hosts.yml
    key: group
    template: {name: "{inventory_hostname}", role: "{role}", address: "{ansible_host}"}
"""
    hosts = """\
all:
  children:
    lyon:
      vars: {tz: Europe/Paris, role: agent}
      hosts:
        lyon-a: {ansible_host: 10.0.0.1, role: server}
        lyon-b: {ansible_host: 10.0.0.2}
    rome:
      vars: {tz: Europe/Rome, role: none}
      hosts:
        rome-a: {ansible_host: 10.0.1.1}
"""
    spec = spec_of(stores__yaml=stores, hosts__yml=hosts)
    assert {name: site.spec.time_zone for name, site in spec.sites.items()} == {
        "lyon": "Europe/Paris",
        "rome": "Europe/Rome",
    }
    assert [(node.name, node.role) for node in spec.sites["lyon"].spec.nodes] == [
        ("lyon-a", "server"),
        ("lyon-b", "agent"),
    ]
    assert spec.sites["lyon"].place("spec", "nodes", 1).row == 7


def test_1250_rows_and_10000_nodes_are_quick() -> None:
    import time

    rows = "".join(f"s{at},fr,Europe/Paris,45.7,4.8,10.0.{at // 250}.{at % 250},,,7\n" for at in range(1250))
    begin = time.process_time()
    spec = spec_of(stores__yaml=STORES, stores__csv=TABLE.splitlines()[0] + "\n" + rows)
    assert len(spec.sites) == 1250
    assert time.process_time() - begin < 1.0
