"""`fleet inventory` says what Ansible's own ansible-inventory says of the rendered project, whatever nodes are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.adapters.folder import DiskFolder
from fleet.model.plan import Scope
from fleet.model.record import Record
from fleet.operations.intent import Intent
from fleet.operations.inventory import inventory
from fleet.operations.render import render
from fleet.testing import MemoryRecords
from tests.golden.renders import rendering
from tests.specs import FLEET, document
from tests.unit.render.ground import intent, shipped

ODD = [
    "0",
    "007",
    "0o17",
    "0x1f",
    "1e3",
    "36171e236692",
    "12-30-45",
    "2026-11-01",
    "no",
    "y",
    "null",
    "true",
    "nan",
    "a",
]
"""DNS labels that one reader of YAML or another takes for something else, quoted in the spec as they have to be."""
ANSIBLE = Path(sys.executable).with_name("ansible-inventory")


def odd_fleet() -> Intent:
    nodes = "".join(
        f"""  - {{name: "{name}", role: none, address: 10.0.0.{at}, labels: {{serial: "{name}"}},
    identity: {{serial: "{name}"}}}}\n"""
        for at, name in enumerate(ODD, 1)
    )
    site = f"nodes:\n{nodes}os: {{packages: [{{name: chrony, version: '1e3'}}], users: [{{name: ops, authorizedKeys: ['#no: x']}}]}}\n"
    site += "connection: {user: 'ops', proxyCommand: \"sh -c 'nc %h %p'\"}\n"
    return intent(
        document("Fleet", '"no"', ""),
        document("Site", '"1e3"', site, labels="{ring: '0777', 'on': 'off'}"),
        document("Site", "lyon", "nodes: [{name: box, role: none, address: 10.0.1.1}]\nconnection: {type: sandbox}"),
        records=MemoryRecords([Record("007", "no", "0123456789", "b1:x"), Record("a", "no", "1e3", "b1:x")]),
    )


def servers() -> Intent:
    nodes = "".join(f"  - {{name: s{at}, role: server, arch: amd64, address: 10.0.0.{at}}}\n" for at in range(1, 8))
    nodes += "  - {name: w, role: agent, arch: arm64, addresses: [10.0.0.9, 'fd00::9']}\n"
    return intent(FLEET, document("Site", "lyon", "nodes:\n" + nodes))


def from_ansible(folder: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder.parent / "tmp"),
    }
    command = [sys.executable, ANSIBLE, "-i", "inventory/hosts.yml", "--list"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    assert ran.stderr == ""
    listed: dict[str, Any] = json.loads(ran.stdout)
    listed["_meta"].pop("profile", None)
    return listed


@pytest.mark.parametrize(
    "make", [odd_fleet, servers, lambda: rendering.intent("v1.37"), lambda: intent(FLEET)], ids=["odd", "servers", "golden", "empty"]
)  # fmt: skip
def test_the_same_as_ansible_reads_from_the_project(make: Any, tmp_path: Path) -> None:
    made = make()
    render(made, Scope(), DiskFolder(), tmp_path / "project", shipped())
    told = json.loads(json.dumps(inventory(made)))
    assert told == from_ansible(tmp_path / "project")
    assert set(told["_meta"]["hostvars"]) == {node.name for node in made.fleet.nodes}


@pytest.mark.parametrize("name", ODD)
def test_odd_names_stay_texts(name: str, tmp_path: Path) -> None:
    made = odd_fleet()
    hosts = inventory(made)["_meta"]["hostvars"]
    assert hosts[name]["fleet_node"] == name
    render(made, Scope(), DiskFolder(), tmp_path / "project", shipped())
    read = yaml.safe_load((tmp_path / "project/inventory/hosts.yml").read_text())
    assert name in read["all"]["children"]["site_1e3"]["hosts"]
    variables = yaml.safe_load((tmp_path / f"project/inventory/host_vars/{name}.yml").read_text())
    assert variables["fleet_node"] == name
    assert variables["fleet_site"] == "1e3"
