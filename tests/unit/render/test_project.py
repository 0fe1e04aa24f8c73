"""The rendered project: its paths, inventory, groups, contents and secrets."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.adapters.folder import DiskFolder
from fleet.model.plan import Scope
from fleet.model.project import ProjectFile
from fleet.model.record import Record
from fleet.operations.intent import Intent
from fleet.operations.inventory import inventory
from fleet.operations.preparing import project_inputs
from fleet.operations.render import render
from fleet.render.project import project
from fleet.testing import MemoryRecords
from tests.specs import FLEET, document
from tests.unit.render.ground import COMMIT, HOME, intent, shipped

PLAIN = document("Fleet", "acme", "")
VAULT = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


def files(made: Intent, *names: str) -> dict[str, ProjectFile]:
    nodes = [node for node in made.fleet.nodes if not names or node.name in names]
    return {file.path: file for file in project(project_inputs(made, shipped()), nodes, COMMIT)}


def read(found: Mapping[str, ProjectFile], path: str) -> Any:
    return yaml.safe_load(found[path].data)


def members(made: Intent) -> dict[str, list[str]]:
    children = read(files(made), "inventory/hosts.yml")["all"].get("children", {})
    return {name: list(group["hosts"]) for name, group in children.items()}


def host(site: str, records: MemoryRecords | None = None, node: str = "a", fleet: str = PLAIN) -> dict[str, Any]:
    made = intent(fleet, document("Site", "lyon", site), records=records)
    values: dict[str, Any] = read(files(made), f"inventory/host_vars/{node}.yml")
    return values


def one(more: str = "", node: str = "") -> str:
    return f"nodes: [{{name: a, role: none, address: 10.0.0.1{node}}}]\n{more}"


def test_the_paths() -> None:
    site = one("os: {files: [{path: /etc/x, content: hello}]}")
    found = files(intent(PLAIN, document("Site", "lyon", site)))
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    own = {path for path in found if not path.startswith("collections/ansible_collections/edgefleet/fleet/")}
    assert own == {
        "README.md", "ansible.cfg", "known_hosts", "site.yml", "upkeep.yml", "bundles.yml", "failures.yml",
        "observe.yml", "adopt.yml", "retire.yml", "reset.yml", "probe.yml", "inventory/hosts.yml",
        "inventory/group_vars/all.yml", "inventory/host_vars/a.yml", "bundles/a.json", f"files/2c/{sha256}",
        "secrets/secrets.lock",
    }  # fmt: skip
    assert found[f"files/2c/{sha256}"].data == b"hello"
    collection = "collections/ansible_collections/edgefleet/fleet"
    assert f"{collection}/plugins/modules/fleet_bundle.py" in found
    assert f"{collection}/galaxy.yml" in found


def test_every_content_that_a_bundle_names_is_there_once() -> None:
    site = "nodes: [{name: a, role: none, address: 10.0.0.1}, {name: b, role: none, address: 10.0.0.2}]\n"
    site += "os: {files: [{path: /etc/x, content: same}, {path: /etc/y, content: same}, {path: /etc/z, content: '{{ node.name }}'}]}"
    made = intent(PLAIN, document("Site", "lyon", site))
    paths = [file.path for file in project(project_inputs(made, shipped()), made.fleet.nodes, COMMIT)]
    assert len(paths) == len(set(paths))
    found = files(made)
    for node in ("a", "b"):
        for entry in json.loads(found[f"bundles/{node}.json"].data)["manifest"]["files"]:
            data = found[f"files/{entry['sha256'][:2]}/{entry['sha256']}"].data
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    assert sum(path.startswith("files/") for path in paths) == 3


def test_a_batch_has_only_its_nodes() -> None:
    site = "nodes: [{name: a, role: none, address: 10.0.0.1}, {name: b, role: none, address: 10.0.0.2}]"
    made = intent(PLAIN, document("Site", "lyon", site))
    found = files(made, "b")
    assert [path for path in found if path.startswith(("bundles/", "inventory/host_vars/"))] == [
        "inventory/host_vars/b.yml", "bundles/b.json",
    ]  # fmt: skip
    assert read(found, "inventory/hosts.yml")["all"]["children"]["site_lyon"]["hosts"] == {"b": None}


def test_every_host_knows_the_fleet_and_the_commit() -> None:
    found = files(intent(PLAIN, document("Site", "lyon", one())))
    assert read(found, "inventory/group_vars/all.yml") == {"fleet_name": "acme", "fleet_commit": COMMIT}


def test_a_host_by_ssh() -> None:
    assert host(one("connection: {user: ops, port: 2222}")) == {
        "ansible_host": "10.0.0.1", "ansible_port": 2222, "ansible_user": "ops", "ansible_become": True,
        "fleet_node": "a", "fleet_site": "lyon", "fleet_role": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "name", "value"),
    [
        ("{address: gw.example}", "ansible_host", "gw.example"),
        ("{jumpHost: ops@jump.example}", "ansible_ssh_common_args", "-J ops@jump.example"),
        (
            "{proxyCommand: ssh -W %h:%p bastion}",
            "ansible_ssh_common_args",
            "-o ProxyCommand='ssh -W %h:%p bastion'",
        ),
        ("{privateKey: /home/ops/key}", "ansible_ssh_private_key_file", "/home/ops/key"),
    ],
)
def test_ways_of_reaching_a_host(said: str, name: str, value: str) -> None:
    assert host(one(f"connection: {said}"))[name] == value


def test_a_proxy_command_with_quotes_stays_one_argument() -> None:
    said = host(one("""connection: {proxyCommand: "sh -c 'nc %h %p'"}"""))["ansible_ssh_common_args"]
    assert shlex.split(said) == ["-o", "ProxyCommand=sh -c 'nc %h %p'"]


def test_without_become() -> None:
    assert "ansible_become" not in host(one("connection: {become: false}"))


def test_a_sandbox_is_a_folder_of_this_machine() -> None:
    values = host(one("connection: {type: sandbox}"))
    assert {key: value for key, value in values.items() if not key.startswith("fleet_") or key == "fleet_root"} == {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "fleet_root": f"{HOME}/a",
    }


def test_who_waits_for_whom() -> None:
    nodes = "".join(f"  - {{name: s{at}, role: server, arch: amd64, address: 10.0.0.{at}}}\n" for at in (1, 2, 3))
    nodes += (
        "  - {name: w, role: agent, arch: arm64, address: 10.0.0.9}\n  - {name: p, role: none, address: 10.0.0.8}\n"
    )
    found = files(intent(FLEET, document("Site", "lyon", "nodes:\n" + nodes)))
    after = {
        name: read(found, f"inventory/host_vars/{name}.yml").get("fleet_after") for name in ("s1", "s2", "s3", "w", "p")
    }
    assert after == {"s1": None, "s2": ["s1"], "s3": ["s1", "s2"], "w": ["s1", "s2", "s3"], "p": None}


def test_packages_users_and_machine_id() -> None:
    records = MemoryRecords([Record("a", "acme", "m-1", "b1:x"), Record("b", "acme", "", "b1:x")])
    said = "os: {packages: [chrony, {name: jq, version: '1.7'}], users: [{name: ops}, {name: kiosk, system: true, groups: [adm],"
    said += " shell: /bin/sh, authorizedKeys: [ssh-ed25519 A]}]}"
    values = host(one(said), records)
    assert values["fleet_packages"] == [{"name": "chrony"}, {"name": "jq", "version": "1.7"}]
    assert values["fleet_users"] == [
        {"name": "ops"},
        {"name": "kiosk", "system": True, "groups": ["adm"], "shell": "/bin/sh", "authorized_keys": ["ssh-ed25519 A"]},
    ]
    assert values["fleet_machine_id"] == "m-1"
    assert "fleet_machine_id" not in host(one(), MemoryRecords())


def test_groups() -> None:
    nodes = "".join(f"  - {{name: s{at}, role: server, arch: amd64, address: 10.0.0.{at}}}\n" for at in range(1, 8))
    nodes += (
        "  - {name: w, role: agent, arch: arm64, address: 10.0.0.9, labels: {app: pos, acme.example/Tier: Edge-1}}\n"
    )
    nodes += "  - {name: p, role: none, address: 10.0.0.8, os: {packages: [jq], users: [{name: ops}]}}\n"
    made = intent(FLEET, document("Site", "lyon-1", "nodes:\n" + nodes, labels="{ring: pilot}"))
    servers = [f"s{at}" for at in range(1, 8)]
    everyone = [*servers, "w", "p"]
    assert members(made) == {
        "cluster_lyon_1": [*servers, "w"],
        "has_packages": ["p"],
        "has_users": ["p"],
        "label_acme_example_Tier_Edge_1": ["w"],
        "label_app_pos": ["w"],
        "label_ring_pilot": everyone,
        "role_agent": ["w"],
        "role_none": ["p"],
        "role_server": servers,
        "server_rank_1": ["s1"],
        "server_rank_2": ["s2"],
        "server_rank_3": ["s3"],
        "server_rank_4": ["s4"],
        "server_rank_5": ["s5"],
        "server_rank_more": ["s6", "s7"],
        "site_lyon_1": everyone,
    }
    assert list(members(made)) == sorted(members(made))


def test_labels_that_ansible_would_take_for_one_get_suffixes_that_stay() -> None:
    def site(*labels: str) -> Intent:
        nodes = "".join(
            f"  - {{name: n{at}, role: none, address: 10.0.0.{at}, labels: {{{said}}}}}\n"
            for at, said in enumerate(labels, 1)
        )
        return intent(PLAIN, document("Site", "lyon", "nodes:\n" + nodes))

    found = {
        name: hosts for name, hosts in members(site("a.b: c", "a-b: c", "x: y")).items() if name.startswith("label")
    }
    assert found.pop("label_x_y") == ["n3"]
    assert sorted(found.values()) == [["n1"], ["n2"]]
    assert all(len(name) == len("label_a_b_c_123456") and name.startswith("label_a_b_c_") for name in found)
    turned = members(site("a-b: c", "a.b: c", "x: y"))
    assert {name: turned[name] for name in found} == {
        name: ["n2" if hosts == ["n1"] else "n1"] for name, hosts in found.items()
    }


def test_an_empty_fleet_has_an_inventory() -> None:
    made = intent(PLAIN)
    assert read(files(made), "inventory/hosts.yml") == {"all": {}}
    assert inventory(made)["_meta"] == {"hostvars": {}}


LOCKED = {
    name: {"file": f"secrets/{file}.yaml", "version": 1, "fingerprint": name}
    for name, file in (
        ("lyon.k3s-token", "lyon"), ("lyon.k3s-agent-token", "lyon"),
        ("turin.k3s-token", "turin"), ("turin.k3s-agent-token", "turin"),
        ("db", "shared"), ("unused", "unused"),
    )
}  # fmt: skip


def secretive() -> Intent:
    site = "nodes: [{name: NAME, role: server, arch: amd64, address: 10.0.0.AT}]\nos: {files: [{path: /etc/x, content: '{{ secrets.db }}'}]}"
    return intent(
        FLEET,
        document("Site", "lyon", site.replace("NAME", "a").replace("AT", "1")),
        document("Site", "turin", site.replace("NAME", "b").replace("AT", "2").replace("{{ secrets.db }}", "plain")),
        files={
            "secrets/secrets.lock": json.dumps({"format": "fleet.secrets/v1", "secrets": LOCKED}),
            **{f"secrets/{name}.yaml": VAULT + name for name in ("lyon", "turin", "shared", "unused")},
        },
    )


def test_secrets_come_encrypted_and_only_those_that_are_named() -> None:
    made = secretive()
    found = files(made, "a")
    held = {path: file for path, file in found.items() if path.startswith("secrets/")}
    assert set(held) == {"secrets/lyon.yaml", "secrets/shared.yaml", "secrets/secrets.lock"}
    assert held["secrets/lyon.yaml"].data == (VAULT + "lyon").encode()
    lock = json.loads(held["secrets/secrets.lock"].data)
    assert set(lock["secrets"]) == {"lyon.k3s-token", "lyon.k3s-agent-token", "db"}
    assert lock["secrets"]["db"] == {"file": "secrets/shared.yaml", "version": 1, "fingerprint": "db"}
    assert {path for path in files(made) if path.startswith("secrets/")} == set(held) | {"secrets/turin.yaml"}


def test_only_vaults_are_private() -> None:
    found = files(secretive())
    assert {path for path, file in found.items() if file.private} == {
        "secrets/lyon.yaml", "secrets/shared.yaml", "secrets/turin.yaml",
    }  # fmt: skip


def test_file_urls_do_not_depend_on_the_working_directory() -> None:
    mirrors = "artifacts: {mirrors: ['file:mirror', 'file:///srv/k3s/', 'file:/srv/k3s', https://m.example/k3s/]}"
    site = "nodes: [{name: a, role: server, arch: amd64, address: 10.0.0.1}]"
    fleet = document("Fleet", "acme", f"k3s: {{version: v1.36.3+k3s1}}\n{mirrors}")
    bundle = json.loads(files(intent(fleet, document("Site", "lyon", site)))["bundles/a.json"].data)
    assert bundle["urls"] == {
        "/usr/local/bin/k3s": [
            "file:///work/acme/mirror/v1.36.3+k3s1/k3s",
            "file:///srv/k3s/v1.36.3+k3s1/k3s",
            "file:///srv/k3s/v1.36.3+k3s1/k3s",
            "https://m.example/k3s/v1.36.3%2Bk3s1/k3s",
        ]
    }


def test_without_mirrors_k3s_comes_from_its_own_releases() -> None:
    site = "nodes: [{name: a, role: server, arch: arm64, address: 10.0.0.1}]"
    bundle = json.loads(files(intent(FLEET, document("Site", "lyon", site)))["bundles/a.json"].data)
    assert bundle["urls"] == {
        "/usr/local/bin/k3s": ["https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s-arm64"]
    }


def test_an_architecture_that_is_not_known_yet_has_no_binary() -> None:
    site = "nodes: [{name: a, role: server, address: 10.0.0.1}]"
    made = intent(FLEET, document("Site", "lyon", site))
    bundle = json.loads(files(made)["bundles/a.json"].data)
    assert (bundle["urls"], bundle["manifest"]["artifacts"]) == ({}, [])
    assert made.fleet.pending == {"arch": 1}
    learned = intent(
        FLEET, document("Site", "lyon", site), records=MemoryRecords([Record("a", "acme", "m", "", arch="arm")])
    )
    assert json.loads(files(learned)["bundles/a.json"].data)["manifest"]["artifacts"][0]["sha256"] == "c" * 64
    assert learned.fleet.pending == {}


def test_a_change_in_git_is_a_changed_line() -> None:
    def lines(content: str) -> list[bytes]:
        site = one(f"os: {{files: [{{path: /etc/a, content: {content}}}, {{path: /etc/b, content: b}}]}}")
        return files(intent(PLAIN, document("Site", "lyon", site)))["bundles/a.json"].data.splitlines()

    before, after = lines("x"), lines("y")
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert [line[:9] for line, _ in changed] == [b'{"digest"', b'{"path":"']


def test_render_writes_a_scope_and_removes_what_left_it(tmp_path: Path) -> None:
    site = "nodes: [{name: a, role: none, address: 10.0.0.1}, {name: b, role: none, address: 10.0.0.2}]"
    made = intent(PLAIN, document("Site", "lyon", site))
    folder = tmp_path / "out"
    whole = render(made, Scope(), DiskFolder(), folder, shipped())
    assert (whole.unchanged, whole.removed) == (0, 0)
    assert render(made, Scope(), DiskFolder(), folder, shipped()).written == 0
    narrow = render(made, Scope(nodes=("a",)), DiskFolder(), folder, shipped())
    assert (narrow.written, narrow.removed) == (1, 2)
    assert sorted(path.name for path in (folder / "bundles").iterdir()) == ["a.json"]
