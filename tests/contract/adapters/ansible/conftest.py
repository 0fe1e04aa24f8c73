"""A tiny Ansible project: the real ansible-runner and ansible-playbook, with a fleet_bundle of its own.

Each node is a folder. Its module appends a line to `runs` when it starts, waits while `hold` is there, obeys `fail`,
`crash` and `large`, and answers as the real module does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fleet.adapters.ansible.process import end_marked
from fleet.errors import StoppedError
from fleet.model.batch import BatchOrder

MODULE = """\
#!/usr/bin/python3
import json, os, sys, time
from ansible.module_utils.basic import AnsibleModule

spec = {name: {"type": "str", "default": ""} for name in ("expect", "controller", "take_over", "secret", "undo")}
spec["secret"]["no_log"] = True
spec.update(home={"type": "path", "required": True}, node={"type": "str"}, read={"type": "bool"}, epoch={"type": "int"})
module = AnsibleModule(argument_spec=spec)
home, wanted = module.params["home"], module.params
path = lambda name: os.path.join(home, name)
if os.path.exists(path("crash")):
    raise RuntimeError("the disk of this node is gone")
if wanted["read"]:
    record = json.load(open(path("record"))) if os.path.exists(path("record")) else {}
    changes = [{"kind": "file", "path": "/etc/motd"}] if os.path.exists(path("tampered")) else []
    module.exit_json(changed=False, record=record, machine_id="m-1", arch="amd64", changes=changes)
open(path("runs"), "a").write("%d\\n" % os.getpid())
deadline = time.time() + 300
while os.path.exists(path("hold")) and time.time() < deadline:
    time.sleep(0.02)
if os.path.exists(path("fail")):
    module.fail_json(**json.load(open(path("fail"))))
held = json.load(open(path("record")))["digest"] if os.path.exists(path("record")) else ""
aim = wanted["undo"] or "b1:new"
is_new = held != aim
record = {"node": wanted["node"], "fleet": "acme", "machine_id": "m-1", "digest": aim, "epoch": wanted["epoch"],
    "controller": wanted["controller"], "manifest": json.dumps({"expect": wanted["expect"],
    "take_over": wanted["take_over"], "secret": len(wanted["secret"]), "undo": wanted["undo"]})}
json.dump(record, open(path("record"), "w"))
module.warn("a small remark")
module.exit_json(changed=is_new, digest=aim, changes=[{"path": "/a"}, {"path": "/b"}] if is_new else [],
    restarted=["x.service"] if is_new else [], record=record)
"""
SITE = """\
- hosts: bundles
  gather_facts: false
  tasks:
    - name: Bring the bundle in
      fleet_bundle:
        home: "{{ home }}"
        node: "{{ inventory_hostname }}"
        undo: "{{ fleet_undo | default('') }}"
        expect: "{{ fleet_expect | default('') }}"
        epoch: "{{ fleet_epoch }}"
        controller: "{{ fleet_controller }}"
        take_over: "{{ fleet_take_over }}"
        secret: "{{ (lookup('file', playbook_dir ~ '/secrets/acme.yaml') | from_yaml).token if vaulted | default(false) else '' }}"
- hosts: after
  gather_facts: false
  tasks:
    - name: Look after it
      ansible.builtin.command: "{{ after }}"
      changed_when: false
- hosts: rescued
  gather_facts: false
  tasks:
    - block:
        - name: Try
          ansible.builtin.command: "false"
      rescue:
        - name: Bring the bundle in
          fleet_bundle: {home: "{{ home }}", node: "{{ inventory_hostname }}", epoch: 0}
"""
OBSERVE = """\
- hosts: all
  gather_facts: false
  ignore_unreachable: true
  tasks:
    - name: Read the record
      fleet_bundle: {home: "{{ home }}", read: true}
"""
CONFIG = """\
[defaults]
inventory = inventory.json
[connection]
pipelining = true
"""


class Project:
    """Writes the project, as `fleet.render` would; `hosts` may be changed before a run."""

    def __init__(self, folder: Path) -> None:
        self.nodes_dir = folder / "nodes"
        self.hosts: dict[str, dict[str, object]] = {}
        self.groups: dict[str, list[str]] = {"bundles": []}
        self.extra: dict[str, str | bytes] = {}
        self.site = SITE

    def add(self, *names: str, group: str = "bundles", **variables: object) -> None:
        for name in names:
            home = self.nodes_dir / name
            home.mkdir(parents=True, exist_ok=True)
            local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "home": str(home)}
            self.hosts[name] = local | variables
            self.groups.setdefault(group, []).append(name)

    def write(self, folder: Path, nodes: Sequence[str]) -> None:
        children = {group: {"hosts": {n: {} for n in names if n in nodes}} for group, names in self.groups.items()}
        inventory = {"all": {"hosts": {node: self.hosts[node] for node in nodes}, "children": children}}
        files: dict[str, str | bytes] = {
            "inventory.json": json.dumps(inventory),
            "library/fleet_bundle.py": MODULE,
            "site.yml": self.site,
            "observe.yml": OBSERVE,
            "ansible.cfg": CONFIG,
            "known_hosts": "",
        } | self.extra
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def runs(self, node: str) -> int:
        path = self.nodes_dir / node / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def put(self, node: str, name: str, content: object = "") -> None:
        (self.nodes_dir / node / name).write_text(json.dumps(content))

    def take(self, node: str, name: str) -> None:
        (self.nodes_dir / node / name).unlink()

    def wait_for_run(self, node: str, count: int = 1) -> None:
        until(lambda: self.runs(node) >= count)


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Runs `work` beside the test; the list gets its result or its error."""
    got: list[object] = []

    def run() -> None:
        try:
            got.append(work())
        except StoppedError as error:
            got.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, got


def until(is_so: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Ends whatever a failing test left running: everything of a run carries its folder as a mark."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(_short_runtime()))
    folder = tmp_path / "runs"
    yield folder
    for path in folder.iterdir() if folder.is_dir() else ():
        end_marked(str(path), grace=0.5)


def _short_runtime() -> Path:
    folder = Path(f"/tmp/fleet-tests-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@pytest.fixture
def order() -> Callable[..., BatchOrder]:
    def make(*nodes: str, epoch: int = 1, batch_id: str = "r1-0001", **more: object) -> BatchOrder:
        return BatchOrder(batch_id=batch_id, rollout_id="r1", epoch=epoch, nodes=nodes, **more)

    return make
