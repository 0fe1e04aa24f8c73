"""What a batch is run from: the project of its nodes, written by one thread at a time; and contents that are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from fleet.errors import SpecError
from fleet.model.project import FolderReport, ProjectFile
from fleet.model.record import Record
from fleet.operations.inventory import inventory
from fleet.operations.preparing import keep_contents, project_inputs, project_writer
from fleet.render.project import project
from fleet.testing import MemoryRecords
from tests.specs import FLEET, document
from tests.unit.render.ground import intent, shipped

HOSTS = """
nodes:
  - {name: a, role: none, address: 10.0.0.1}
  - {name: b, role: none, address: 10.0.0.2}
"""
KNOWN = "10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB\n"


class SlowFolder:
    """Keeps what is written where, takes its time over each file, and counts writers at work."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, ProjectFile]] = {}
        self.at_work = self.most_at_work = 0

    def write(self, folder: Path, files: Iterable[ProjectFile]) -> FolderReport:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        time.sleep(0.05)
        self.files[folder.name] = {file.path: file for file in files}
        self.at_work -= 1
        return FolderReport()


def test_batches_that_start_together_write_one_after_the_other() -> None:
    made, folder = intent(FLEET, document("Site", "lyon", HOSTS)), SlowFolder()
    write = project_writer(made, folder, shipped(), MemoryRecords())
    threads = [threading.Thread(target=write, args=(Path(f"/runs/{name}"), [name])) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.files) == ["a", "b"]
    assert folder.most_at_work == 1


def test_a_templates_fault_is_a_mistake_of_the_spec_here_too() -> None:
    """A look at nodes, or giving them back, renders what no plan has rendered before."""
    said = "os: {files: [{path: /etc/x, content: '{{ vars.x }}'}, {path: /etc/y, content: '{{ vars.y }}'}]}"
    write = project_writer(
        intent(FLEET, document("Site", "lyon", HOSTS + said)), SlowFolder(), shipped(), MemoryRecords()
    )
    with pytest.raises(SpecError) as caught:
        write(Path("/runs/1"), ["a", "b"])
    assert [problem.message.partition(":")[0] for problem in caught.value.problems] == ["undefined", "undefined"]


def test_a_batch_has_the_files_of_its_nodes_the_pinned_host_keys_and_the_enrolled_machine() -> None:
    records = MemoryRecords([Record("b", "acme", "0123456789abcdef0123456789abcdef", digest="")])
    made = intent(FLEET, document("Site", "lyon", HOSTS), files={"known_hosts": KNOWN}, records=records)
    folder = SlowFolder()
    project_writer(made, folder, shipped(), MemoryRecords())(Path("/runs/1"), ["b"])
    files = folder.files["1"]
    assert [path for path in files if path.startswith(("bundles/", "inventory/host_vars/"))] == [
        "inventory/host_vars/b.yml",
        "bundles/b.json",
    ]
    assert files["known_hosts"].data == KNOWN.encode()
    assert b"fleet_learned" not in files["inventory/host_vars/b.yml"].data
    assert b"fleet_machine_id: 0123456789abcdef0123456789abcdef\n" in files["inventory/host_vars/b.yml"].data.replace(
        b'"', b""
    )


CLUSTER = """
nodes:
  - {name: a, role: server, arch: amd64, address: 10.0.0.1}
  - {name: b, role: agent, arch: amd64, address: 10.0.0.2}
"""


def test_a_batch_has_what_a_server_told_of_its_ca_in_an_earlier_batch_of_the_same_rollout() -> None:
    records, folder = MemoryRecords(), SlowFolder()
    made = intent(FLEET, document("Site", "lyon", CLUSTER), records=records)
    write = project_writer(made, folder, shipped(), records)
    write(Path("/runs/1"), ["a"])
    records.save([Record("a", "acme", "m", "b1:aa", learned={"k3s_ca": "ab" * 32})])
    write(Path("/runs/2"), ["b"])
    assert b"fleet_learned" not in folder.files["1"]["inventory/host_vars/a.yml"].data
    assert f'fleet_learned:\n  k3s_ca: "{"ab" * 32}"\n' in folder.files["2"]["inventory/host_vars/b.yml"].data.decode()


def test_a_project_and_an_inventory_have_what_servers_told() -> None:
    told = Record("a", "acme", "m", "b1:aa", learned={"k3s_ca": "ab" * 32})
    made = intent(FLEET, document("Site", "lyon", CLUSTER), records=MemoryRecords([told]))
    files = {file.path: file.data for file in project(project_inputs(made, shipped()), made.fleet.nodes, "c0ffee")}
    for name in "ab":
        assert b"k3s_ca: " in files[f"inventory/host_vars/{name}.yml"]
        assert inventory(made)["_meta"]["hostvars"][name]["fleet_learned"] == {"k3s_ca": "ab" * 32}


def test_more_contents_than_are_kept_at_once_are_all_kept() -> None:
    files = ", ".join(f"{{path: /etc/x{at}, content: 'text {at} of {{{{ node.name }}}}'}}" for at in range(300))
    made = intent(
        FLEET,
        document("Site", "lyon", f"{HOSTS}  - {{name: c, role: none, address: 10.0.0.3}}\nos: {{files: [{files}]}}"),
    )
    records = MemoryRecords()
    keep_contents(made, made.fleet.nodes, records)
    kept = set(records._objects.values())
    assert kept >= {f"text {at} of {name}".encode() for at in range(300) for name in "abc"}
