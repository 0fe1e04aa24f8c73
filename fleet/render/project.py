"""Bundles -> a complete Ansible project that stock `ansible-playbook site.yml` applies without fleet (decision 4).

    ansible.cfg  site.yml  upkeep.yml  (both of: bundles.yml  failures.yml)  README.md  known_hosts
    observe.yml  adopt.yml  retire.yml  reset.yml  probe.yml
    inventory/hosts.yml  inventory/group_vars/all.yml  inventory/host_vars/NODE.yml
    bundles/NODE.json    the manifest of what a node must hold
    files/AA/SHA256      contents, each once
    secrets/             the vault files, encrypted as in git, and secrets.lock
    collections/         the collection edgefleet.fleet

Byte-identical for equal input: no clock, no locale, every order is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from fleet.formats.yaml_write import dump
from fleet.model.bundle import Bundle, BundleSnapshot
from fleet.model.confirmation import Confirmation
from fleet.model.fleet import ResolvedFleet
from fleet.model.node import Node
from fleet.model.project import ProjectFile, Shipped
from fleet.model.secret import SecretsLock
from fleet.render.inventory import all_vars, groups, host_vars, hosts_text
from fleet.render.manifest import encoded
from fleet.render.renderer import Renderer

BUNDLE_FORMAT = "fleet.bundle/v1"
SECRETS_LOCK = "secrets/secrets.lock"
_PLAYBOOKS = (
    "site.yml",
    "upkeep.yml",
    "bundles.yml",
    "failures.yml",
    "observe.yml",
    "adopt.yml",
    "retire.yml",
    "reset.yml",
    "probe.yml",
)


class ProjectInputs(msgspec.Struct, frozen=True, eq=False):
    """What a project is made of beside the bundles.

    `files` are the repository's. `absolute` makes a `file:` URL of a mirror absolute; `machine_ids` are those of enrolled
    nodes; `ca_hashes` those of the CAs of clusters, by cluster, as far as a server told one. `root` is where the repository lies.
    """

    fleet: ResolvedFleet
    renderer: Renderer
    secrets: SecretsLock
    files: Mapping[str, bytes]
    known_hosts: bytes
    shipped: Shipped
    absolute: Callable[[str], str]
    machine_ids: Mapping[str, str] = {}
    ca_hashes: Mapping[str, str] = {}
    root: str = ""


def project(inputs: ProjectInputs, nodes: Sequence[Node], commit: str) -> Iterator[ProjectFile]:
    """Every file of the project for `nodes`. Raises RenderError."""
    yield from _frame(inputs)
    yield ProjectFile("inventory/hosts.yml", hosts_text(groups(inputs.fleet, nodes)).encode())
    yield ProjectFile("inventory/group_vars/all.yml", dump(all_vars(inputs.fleet, commit)).encode())
    written: set[str] = set()
    secrets: set[str] = set()
    for node in nodes:
        bundle = inputs.renderer.bundle(node)
        ca_hash = inputs.ca_hashes.get(node.cluster, "")
        variables = host_vars(inputs.fleet, node, inputs.machine_ids.get(node.name, ""), ca_hash)
        yield ProjectFile(f"inventory/host_vars/{node.name}.yml", dump(variables).encode())
        yield ProjectFile(f"bundles/{node.name}.json", bundle_text(inputs, bundle, node.confirmation))
        for sha256, content in bundle.blobs.items():
            if sha256 not in written:
                written.add(sha256)
                yield ProjectFile(f"files/{sha256[:2]}/{sha256}", content)
        secrets |= _named(bundle) | ({node.connection.become_password} - {""})
    yield from _vaults(inputs, secrets)


def bundle_text(inputs: ProjectInputs, bundle: Bundle, asked: Confirmation | None = None) -> bytes:
    """bundles/NODE.json: one entry a line, so that a change in git is a changed line. `asked` is what has to be confirmed."""
    urls = {artifact.path: [inputs.absolute(url) for url in artifact.urls] for artifact in bundle.artifacts}
    files = [encoded(file) for file in bundle.files if not file.seed]
    seeds = [encoded(file) for file in bundle.files if file.seed]
    artifacts = [encoded(msgspec.structs.replace(artifact, urls=())) for artifact in bundle.artifacts]
    parts = (
        b'{"digest":', encoded(bundle.digest), b',\n"fleet":', encoded(inputs.fleet.name),
        b',\n"format":', encoded(BUNDLE_FORMAT), b',\n"manifest":{\n"artifacts":', _lines(artifacts),
        b',\n"facts":', encoded(bundle.facts), b',\n"files":', _lines(files),
        b',\n"folders":', _lines([encoded(folder) for folder in bundle.folders]),
        b',\n"packages":', encoded(bundle.packages), b',\n"sysctl":', encoded(bundle.sysctl),
        b',\n"units":', encoded(bundle.units),
        b',\n"updates":' + encoded(bundle.updates) if bundle.updates is not None else b"",
        b',\n"users":', encoded(bundle.users),
        b'\n},\n"node":', encoded(bundle.node), b',\n"seeds":', _lines(seeds),
        b',\n"learn":' + encoded(bundle.learn) if bundle.learn else b"",
        b',\n"snapshot":' + encoded(_snapshot(inputs, bundle.snapshot)) if bundle.snapshot is not None else b"",
        b',\n"token":' + encoded(bundle.token) if bundle.token is not None else b"",
        b',\n"confirm":' + encoded(asked) if asked is not None else b"",
        b',\n"urls":', encoded(urls), b"}\n",
    )  # fmt: skip
    return b"".join(parts)


def _snapshot(inputs: ProjectInputs, how: BundleSnapshot) -> dict[str, object]:
    """The user's command is run where the repository is."""
    folder = {"folder": inputs.root} if how.command else {}
    return {**msgspec.to_builtins(how), **folder}


def _lines(entries: list[bytes]) -> bytes:
    return b"[\n" + b",\n".join(entries) + b"\n]" if entries else b"[]"


def _frame(inputs: ProjectInputs) -> Iterator[ProjectFile]:
    """What is the same for every fleet."""
    yield ProjectFile("README.md", inputs.shipped.texts["project/README.md"].encode())
    yield ProjectFile("ansible.cfg", inputs.shipped.texts["project/ansible.cfg"].encode())
    yield ProjectFile("known_hosts", inputs.known_hosts)
    for name in _PLAYBOOKS:
        yield ProjectFile(name, inputs.shipped.playbooks[name])
    for path, data in sorted(inputs.shipped.playbooks.items()):
        if path.startswith("ansible_collections/"):
            yield ProjectFile(f"collections/{path}", data)


def _named(bundle: Bundle) -> set[str]:
    return {segment.name for file in bundle.files for segment in file.segments if not isinstance(segment, str)}


def _vaults(inputs: ProjectInputs, names: set[str]) -> Iterator[ProjectFile]:
    """The vault files that hold these secrets, as they are in git, and the part of secrets.lock that names them."""
    locked = {name: inputs.secrets.secrets[name] for name in sorted(names) if name in inputs.secrets.secrets}
    for path in sorted({secret.file for secret in locked.values()}):
        if path in inputs.files:
            yield ProjectFile(path, inputs.files[path], private=True)
    lock = SecretsLock(secrets=locked)
    yield ProjectFile(SECRETS_LOCK, msgspec.json.format(encoded(lock), indent=1) + b"\n")
