"""Both sides of the comparison: what `ansible-inventory` says of an inventory, and what fleet resolves an import to.

They share no code: one is a process of Ansible's, the other the workspace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from fleet import Workspace
from fleet.formats import vault
from fleet.formats.vaulted import read_vaulted
from fleet.formats.yaml import parse
from fleet.load import load
from fleet.model.fleet import ResolvedFleet
from fleet.model.learned import Learned
from fleet.model.node import Node
from fleet.model.translation import ImportOptions, ImportReport
from fleet.model.tree import Tree
from fleet.resolve import resolve

CORPUS = Path(__file__).parent
CASES = sorted(path.parent.name for path in CORPUS.glob("*/case.toml"))
PASSWORD = "open sesame"  # of every vault of the corpus
BECAME_CONNECTION = {
    "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
    "ansible_become", "ansible_private_key_file", "ansible_ssh_private_key_file", "ansible_ssh_common_args",
    "ansible_ssh_extra_args", "ansible_ssh_args", "ansible_become_password",
}  # fmt: skip
"""Variables that became fields of `connection`, or addresses: docs/import.md lists them. Nothing else goes untold but
Kubespray's `ip` and `ip6`, which became addresses, too."""
BECAME_ADDRESS = {"ip", "ip6"}


class Case(NamedTuple):
    name: str
    hosts: str
    options: ImportOptions
    password: str
    is_refused: bool
    is_valid: bool
    sealed: frozenset[str]
    """Variables in vaults that nobody opened for the import: no report can name them."""

    @property
    def folder(self) -> Path:
        return CORPUS / self.name


def case(name: str) -> Case:
    said = tomllib.loads((CORPUS / name / "case.toml").read_text())
    options = ImportOptions(**said.get("options", {}))
    return Case(
        name,
        said["hosts"],
        options,
        said.get("password", ""),
        said.get("refused", False),
        said.get("valid", True),
        frozenset(said.get("sealed", ())),
    )


def imported(of: Case, out: Path) -> ImportReport:
    """The import as a user would do it, from the case's own folder."""
    before = Path.cwd()
    os.chdir(of.folder)
    try:
        password = of.password.encode if of.password else None
        workspace = Workspace.open(".", vault_password=password)
        return workspace.import_ansible(of.hosts, out, of.options)
    finally:
        os.chdir(before)


def resolved(out: Path) -> ResolvedFleet:
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return resolve(load(Tree(files)), Learned())


def listed(hosts: Path, home: Path, password: str = "") -> dict[str, Any]:
    """What `ansible-inventory --list` says, with nothing but Ansible's defaults."""
    home.mkdir(exist_ok=True)
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(hosts), "--list"]
    if password:
        (home / "password").write_text(password)
        command += ["--vault-password-file", str(home / "password")]
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "ANSIBLE_LOCAL_TEMP": str(home / "tmp")}
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout, object_hook=_plain)
    return found


def _plain(value: dict[str, Any]) -> Any:
    """Ansible says of a text that it is no template."""
    return value["__ansible_unsafe"] if list(value) == ["__ansible_unsafe"] else value


def hosts_of(group: str, inventory: Mapping[str, Any]) -> set[str]:
    """The hosts of a group and of all below it."""
    entry = inventory.get(group, {})
    below = (hosts_of(child, inventory) for child in entry.get("children", ()))
    return {*entry.get("hosts", ()), *(host for hosts in below for host in hosts)}


def differences(of: Case, report: ImportReport, out: Path, inventory: Mapping[str, Any]) -> Iterator[str]:
    """What fleet has otherwise than Ansible, and the report does not tell."""
    fleet = resolved(out)
    nodes = {node.name: node for node in fleet.nodes}
    hosts = {each.host: nodes[each.node] for each in report.hosts}
    theirs = inventory["_meta"]["hostvars"]
    everyone = hosts_of("all", inventory)
    if everyone != hosts.keys() or len(hosts) != len(nodes):
        yield f"hosts: {sorted(everyone)} and {sorted(hosts)}"
    labels = {each.group: (each.label, each.value) for each in report.groups}
    for group in inventory:
        if group not in {"all", "_meta", "ungrouped"}:
            members = hosts_of(group, inventory)
            found = {host for host, node in hosts.items() if _seen(node).get(labels[group][0]) == labels[group][1]}
            if members != found:
                yield f"group {group}: {sorted(members)} and {sorted(found)}"
    told = {note.subject for note in report.notes} | of.sealed
    secrets = Secrets(out, of.password)
    for host, node in hosts.items():
        yield from _variables(host, node, theirs.get(host, {}), told, secrets)
        yield from _connection(host, node, theirs.get(host, {}), told)
        yield from _sudo(host, node, theirs.get(host, {}), told, secrets)


class Secrets:
    """The secrets of an import: ciphertexts of values, and whole files under the password."""

    def __init__(self, out: Path, password: str) -> None:
        self.inline: dict[str, str] = {}
        self.clear: dict[str, str] = {}
        for path in sorted((out / "secrets").rglob("*.yaml")):
            data = path.read_bytes()
            if not vault.is_vault(data):
                self.inline |= read_vaulted(data)
            elif password:
                (values,) = parse(vault.decrypt(data, {"default": password.encode()}))
                self.clear |= values
        if password:
            passwords = {"default": password.encode()}
            self.clear |= {name: vault.decrypt(text, passwords).decode() for name, text in self.inline.items()}

    def is_same(self, theirs: Any, ours: Any) -> bool:
        """Whether a value of ours is theirs, with references for what is vaulted."""
        if isinstance(ours, str) and ours.startswith("secret:"):
            name = ours.removeprefix("secret:")
            if isinstance(theirs, dict) and "__ansible_vault" in theirs:
                return bool(self.inline.get(name) == theirs["__ansible_vault"])
            return str(theirs) == self.clear.get(name)
        if isinstance(theirs, dict) and isinstance(ours, dict):
            return theirs.keys() == ours.keys() and all(self.is_same(theirs[key], ours[key]) for key in theirs)
        if isinstance(theirs, list) and isinstance(ours, list):
            return len(theirs) == len(ours) and all(map(self.is_same, theirs, ours))
        return type(theirs) is type(ours) and bool(theirs == ours)


def _seen(node: Node) -> dict[str, str]:
    return {**node.labels, "site": node.site, "role": node.role}


def _variables(host: str, node: Node, theirs: Mapping[str, Any], told: set[str], secrets: Secrets) -> Iterator[str]:
    ours = dict(node.settings.vars)
    if node.name != host and ours.pop("inventory_hostname", None) != host:
        yield f"{host}: its old name is lost"
    for name in sorted({*theirs, *ours} - BECAME_CONNECTION):
        is_address = name in BECAME_ADDRESS and theirs.get(name) in node.addresses
        if (
            not is_address
            and name not in told
            and not (name in theirs and name in ours and secrets.is_same(theirs[name], ours[name]))
        ):
            yield f"{host}: {name}: {theirs.get(name, 'nothing')!r} and {ours.get(name, 'nothing')!r}"


def _sudo(host: str, node: Node, theirs: Mapping[str, Any], told: set[str], secrets: Secrets) -> Iterator[str]:
    wanted, found = theirs.get("ansible_become_password"), node.connection.become_password
    if isinstance(wanted, str) and "{{" in wanted:
        wanted = theirs[wanted.strip("{} ")]
    is_same = secrets.is_same(wanted, f"secret:{found}") if found else wanted is None
    if not is_same and (found or "ansible_become_password" not in told):
        yield f"{host}: ansible_become_password: {found or 'nothing'}"


def _address(text: str) -> str:
    """IPv6 in one spelling."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def _connection(host: str, node: Node, theirs: Mapping[str, Any], told: set[str]) -> Iterator[str]:
    way = node.connection
    pairs = {
        "ansible_host": (_address(theirs.get("ansible_ssh_host") or theirs.get("ansible_host") or host), _address(way.address)),
        "ansible_port": (str(theirs.get("ansible_ssh_port") or theirs.get("ansible_port") or 22), str(way.port)),
        "ansible_user": (theirs.get("ansible_ssh_user") or theirs.get("ansible_user") or "fleet", way.user),
        "ansible_private_key_file": (
            theirs.get("ansible_ssh_private_key_file") or theirs.get("ansible_private_key_file") or "", way.private_key,
        ),
        "ansible_become": (str(theirs.get("ansible_become", True)).lower() in {"true", "yes", "1"}, way.become),
    }  # fmt: skip
    arguments = "".join(str(theirs.get(name, "")) for name in BECAME_CONNECTION if name.endswith("args"))
    for text in (way.jump_host, way.proxy_command):
        if text and text not in arguments.replace("\\", ""):
            yield f"{host}: nobody said {text}"
    if ("ProxyCommand" in arguments or "ProxyJump" in arguments or "-J" in arguments) and not (
        way.jump_host or way.proxy_command or told & BECAME_CONNECTION
    ):
        yield f"{host}: its jump host is lost: {arguments}"
    for name, (wanted, found) in pairs.items():
        if (
            wanted != found
            and "{{" not in str(wanted)
            and not told & {name, host, name.replace("ansible_", "ansible_ssh_")}
        ):
            yield f"{host}: {name}: {wanted!r} and {found!r}"
