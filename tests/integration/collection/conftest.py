"""A small rendered project, written by hand: what `fleet render` makes, without `fleet`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
MODULE = PLAYBOOKS / "ansible_collections/edgefleet/fleet/plugins/modules/fleet_bundle.py"
CONFIG = """\
[defaults]
collections_path = collections
inventory = inventory/hosts.yml
forks = 5
stdout_callback = ansible.builtin.default
[inventory]
host_pattern_mismatch = ignore
[connection]
pipelining = true
"""


def digest_of(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "b1:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Result:
    """What ansible-playbook printed, and the result of fleet_bundle per host."""

    code: int
    output: str
    hosts: dict[str, dict[str, Any]]
    stats: dict[str, dict[str, int]]


@dataclass
class Project:
    """`nodes` maps a node to its manifest; `write` brings all of it to disk."""

    root: Path
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    urls: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    hostvars: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    learn: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    snapshot: dict[str, dict[str, Any]] = field(default_factory=dict)
    confirm: dict[str, dict[str, Any]] = field(default_factory=dict)

    def blob(self, data: bytes) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        path = self.root / "files" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"sha256": name, "size": len(data)}

    def file(self, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        return {"path": path, **self.blob(data), **more}

    def sandbox(self, node: str) -> Path:
        return self.root.parent / "nodes" / node

    def bundle(self, node: str) -> dict[str, Any]:
        manifest = self.nodes[node]
        bundle = {"format": "fleet.bundle/v1", "node": node, "digest": digest_of(manifest), "fleet": "acme"}
        beside = {"urls": self.urls.get(node, {}), "seeds": self.seeds.get(node, []), "learn": self.learn.get(node, [])}
        beside |= {"snapshot": self.snapshot[node]} if node in self.snapshot else {}
        beside |= {"confirm": self.confirm[node]} if node in self.confirm else {}
        return {**bundle, "manifest": manifest, **beside}

    def write(self) -> None:
        for name in ("bundles", "host_vars", "group_vars", "inventory", "collections"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "ansible.cfg").write_text(CONFIG)
        for book in PLAYBOOKS.glob("*.yml"):
            shutil.copy(book, self.root / book.name)
        collections = self.root / "collections" / "ansible_collections"
        if not collections.exists():
            shutil.copytree(PLAYBOOKS / "ansible_collections", collections)
        everyone = {"fleet_name": "acme", "fleet_commit": "4be1f02", "fleet_controller": "test", "fleet_epoch": 0}
        (self.root / "group_vars" / "all.yml").write_text(yaml.safe_dump(everyone, explicit_start=True))
        for node in self.nodes:
            own = {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "fleet_node": node,
                "fleet_root": str(self.sandbox(node)),
                **self.hostvars.get(node, {}),
            }
            (self.root / "host_vars" / f"{node}.yml").write_text(yaml.safe_dump(own, explicit_start=True))
            (self.root / "bundles" / f"{node}.json").write_text(json.dumps(self.bundle(node)))
        groups = self.groups or {"role_none": list(self.nodes)}
        children = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in groups.items()}
        (self.root / "inventory" / "hosts.yml").write_text(json.dumps({"all": {"children": children}}) + "\n")

    def play(self, *args: str, book: str = "site.yml", machine: bool = True) -> Result:
        """Run the stock ansible-playbook. `machine` reads results as JSON, else `output` is what people see."""
        program = Path(sys.executable).parent / "ansible-playbook"
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self.root.parent / "ansible")}
        if machine:
            env["ANSIBLE_CALLBACK_PLUGINS"] = str(Path(__file__).parent / "callbacks")
            env["ANSIBLE_STDOUT_CALLBACK"] = "results"
        done = subprocess.run(
            [program, book, *args], check=False, cwd=self.root, env=env, capture_output=True, text=True, timeout=120
        )
        if not machine:
            return Result(done.returncode, done.stdout + done.stderr, {}, {})
        try:
            told = json.loads(
                done.stdout[done.stdout.index("\n{") :] if not done.stdout.startswith("{") else done.stdout
            )
        except ValueError:
            raise AssertionError(done.stdout + done.stderr) from None
        return Result(done.returncode, done.stdout + done.stderr, told["hosts"], told["stats"])

    def apply(self, *args: str) -> Result:
        self.write()
        return self.play(*args)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def module() -> Path:
    return MODULE
