"""The reference of the spec is what the types say, and its two tables are what the code does."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from types import ModuleType
from typing import Any

import pytest

from fleet.k3s.artifacts import RELEASES
from fleet.load import json_schema
from tests.specs import document, node_of, resolved
from tests.unit.docs.pages import ROOT, anchors, links


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()
DEFINITIONS: dict[str, Any] = json_schema()["$defs"]


def test_the_page_is_up_to_date():
    assert GENERATE.PAGE.read_text() == GENERATE.page(), "run `make docs`"


def test_every_field_of_every_kind_has_its_row():
    rows = Counter(re.findall(r"^\| `([^`]+)` \| \S", GENERATE.PAGE.read_text(), re.MULTILINE))
    parts = {name: each["properties"] for name, each in DEFINITIONS.items() if not name.endswith("Document")}
    expected = Counter(key for fields in parts.values() for key in fields)
    layers = [name for name in parts if name.endswith("Spec") and {"k3s", "vars", "connection"} <= parts[name].keys()]
    for key in ("k3s", "hardening", "os", "vars", "connection"):
        expected[key] -= len(layers) - 1  # shown once, for all layers

    assert layers == ["FleetSpec", "ProfileSpec", "SiteSpec", "NodeSpec", "NodeSetSpec"]
    assert len(parts) > 50
    assert rows == expected


def test_links_inside_the_page_lead_to_its_headings():
    inside = {link[1:] for link in links(GENERATE.PAGE) if link.startswith("#")}

    assert {"k3s-layer", "node-set", "rolloutpolicy"} <= inside
    assert inside - anchors(GENERATE.PAGE) == set()


def test_the_tables_name_fields_that_exist():
    named = {*GENERATE.DEFAULTS, *GENERATE.NOT_YET}

    assert [each for each in named if each[1] not in DEFINITIONS[each[0]]["properties"]] == []


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_default_that_a_description_tells_is_in_the_table(name: str):
    told = {
        (name, key): field["description"].partition("Default ")[2]
        for key, field in DEFINITIONS[name]["properties"].items()
        if "Default " in field.get("description", "") and not (name != GENERATE.LAYER and key == "hardening")
    }
    words = {each: text.partition(";")[0].rstrip(".").strip("`") for each, text in told.items()}

    assert {each: GENERATE.DEFAULTS.get(each, "").strip("`") for each in words} == words


SITE = """\
nodes:
  - {name: lyon-a, role: server, arch: amd64, address: 10.0.0.1}
nodeSets:
  - {name: till, count: 1, role: agent, arch: arm64, start: 10.0.0.9}
os:
  files: [{path: /etc/motd, content: hello}]
  users: [{name: ops}]
"""


def test_resolve_applies_the_defaults_of_the_table():
    fleet = resolved(document("Fleet", "acme", ""), document("Site", "lyon", SITE))
    node = node_of(fleet, "lyon-a")
    (file,), (user,), updates = node.settings.os.files, node.settings.os.users, node.settings.os.updates
    way, cluster = node.connection, fleet.clusters["lyon"]
    applied = {
        (GENERATE.LAYER, "hardening"): node.settings.hardening,
        ("FileSpec", "mode"): file.mode,
        ("FileSpec", "owner"): file.owner,
        ("FileSpec", "group"): file.group,
        ("UserSpec", "system"): str(user.system).lower(),
        ("UpdatesSpec", "mode"): updates.mode,
        ("UpdatesSpec", "reboot"): updates.reboot,
        ("ConnectionLayer", "type"): way.type,
        ("ConnectionLayer", "port"): str(way.port),
        ("ConnectionLayer", "user"): way.user,
        ("ConnectionLayer", "become"): str(way.become).lower(),
        ("FleetSpec", "maxRemoved"): fleet.max_removed,
        ("MaxConcurrentSpec", "perMirror"): str(fleet.downloads.per_mirror),
        ("MaxConcurrentSpec", "perSite"): str(fleet.downloads.per_site),
        ("SiteSpec", "timeZone"): fleet.sites["lyon"].time_zone,
        ("ClusterSpec", "growing"): str(cluster.growing).lower(),
    }

    assert {each: GENERATE.DEFAULTS[each].strip("`") for each in applied} == applied
    assert (way.address, cluster.url) == ("10.0.0.1", "https://10.0.0.1:6443")
    assert node.settings.k3s.version == "v1.36.3+k3s1"  # what channel stable is pinned to
    assert [each.name for each in fleet.nodes] == ["lyon-a", "lyon-till-001"]  # {site}-{set}-{index:03d}
    assert (cluster.datastore, fleet.mirrors) == ("sqlite", ())
    assert "github.com" in RELEASES


def test_three_servers_take_etcd():
    site = "nodes:\n" + "".join(f"  - {{name: n{at}, role: server, address: 10.0.0.{at}}}\n" for at in (1, 2, 3))
    fleet = resolved(document("Fleet", "acme", ""), document("Site", "lyon", site))

    assert fleet.clusters["lyon"].datastore == "etcd"


def test_what_the_page_calls_not_enforced_is_what_a_plan_is_told():
    policy = document("RolloutPolicy", "standard", "gates: [{type: node}]\nonFailure: rollback")
    zones = document("Segmentation", "shops", "zones: [{name: hq, cidrs: [10.0.0.0/16]}]")
    fleet = resolved(document("Fleet", "acme", "rolloutPolicy: standard"), document("Site", "lyon", ""), policy, zones)

    (told,) = fleet.unenforced
    assert [told.split()[0]] == [*GENERATE.NOT_YET_KINDS]
    assert not {field for struct, field in GENERATE.NOT_YET if struct == "RolloutPolicySpec"}
