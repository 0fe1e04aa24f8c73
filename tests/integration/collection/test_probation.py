"""site.yml confirms what a node has on probation, tells what became undone, and brings a node back by order."""

from __future__ import annotations

import json
from typing import Any

import pytest

NODE = "till"
WAY = {"seconds": 60, "paths": ["/etc/nftables.conf"], "units": [], "sysctl": []}


@pytest.fixture
def firewall(project: Any) -> Any:
    """The first rules are in, and others are to come."""
    rules(project, b"first\n")
    project.confirm[NODE] = dict(WAY)
    project.apply()
    rules(project, b"second\n")
    return project


def rules(project: Any, data: bytes) -> None:
    project.nodes[NODE] = {"files": [project.file("/etc/nftables.conf", data)]}


def held(project: Any) -> tuple[str, bytes]:
    root = project.sandbox(NODE)
    record = json.loads((root / "var/lib/fleet/record.json").read_text())
    assert not (root / "var/lib/fleet/probation").exists()
    return record["digest"], (root / "etc/nftables.conf").read_bytes()


def test_it_is_confirmed_within_the_one_task(firewall: Any) -> None:
    done = firewall.apply()
    assert (done.code, done.stats[NODE]["changed"], done.stats[NODE]["ok"]) == (0, 1, 1)
    digest = firewall.bundle(NODE)["digest"]
    result = done.hosts[NODE]
    assert "unconfirmed" not in result
    assert [one["path"] for one in result["changes"]] == ["/etc/nftables.conf"]
    assert result["digest"] == result["record"]["digest"] == digest
    assert held(firewall) == (digest, b"second\n")
    assert firewall.play().stats[NODE]["changed"] == 0


def test_what_is_undone_fails_with_the_nodes_own_words(firewall: Any) -> None:
    before = held(firewall)
    firewall.confirm[NODE]["seconds"] = 0
    done = firewall.apply()
    assert (done.code, done.stats[NODE]["failures"]) == (2, 1)
    result = done.hosts[NODE]
    assert (result["step"], result["record"]["digest"]) == ("undone", before[0])
    said = "undone: nobody confirmed it over a new connection within 0 s: what was there before is back"
    assert result["msg"] == said
    assert held(firewall) == before


def test_a_node_goes_back_by_order_without_its_packages_and_users(firewall: Any) -> None:
    before = held(firewall)
    firewall.hostvars[NODE] = {
        "fleet_packages": [{"name": "no-such-package"}],
        "fleet_users": [{"name": "nobody-else"}],
    }
    firewall.apply()
    firewall.groups = {"role_none": [NODE], "has_packages": [NODE], "has_users": [NODE]}
    firewall.write()
    done = firewall.play("-e", f"fleet_undo={before[0]}", "-e", f"fleet_expect={firewall.bundle(NODE)['digest']}")
    assert (done.code, done.stats[NODE]["changed"]) == (0, 1), done.output
    assert done.hosts[NODE]["digest"] == before[0]
    assert held(firewall) == before


def test_a_node_that_cannot_go_back_says_why(firewall: Any) -> None:
    digest = "b1:" + "0" * 64
    before = held(firewall)
    firewall.write()
    done = firewall.play("-e", f"fleet_undo={digest}")
    assert done.code == 2
    assert done.hosts[NODE]["msg"] == f"undo: {digest} is not kept here: found none"
    assert held(firewall) == before
