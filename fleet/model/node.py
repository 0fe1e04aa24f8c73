"""A Node: what was meant for one machine. Total: every default applied, nothing left to look up."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fleet.model.bundle import BundlePackage, BundleUnit, BundleUser
from fleet.model.confirmation import Confirmation
from fleet.model.problem import Place

Role = Literal["server", "agent", "none"]


class ContentSource(msgspec.Struct, frozen=True):
    """Where a file's content comes from: `text` (a template), the template file `template`, or the file `source`.

    `missing`: no layer that the node has gives one; `resolve` refuses such a node.
    """

    kind: Literal["text", "template", "source", "missing"]
    value: str


class NodeFile(msgspec.Struct, frozen=True):
    """`has_mode`: the spec says the mode. Where it does not, a file that holds a secret is 0600 all the same. `confirm`: a
    change of it is confirmed over a new connection, wherever it stands.
    """

    path: str
    content: ContentSource
    mode: str = "0644"
    has_mode: bool = False
    owner: str = "root"
    group: str = "root"
    validate: str = ""
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    confirm: bool = False


class NodeManifest(msgspec.Struct, frozen=True):
    name: str
    content: ContentSource


class Updates(msgspec.Struct, frozen=True):
    """`snapshot` is a day (2026-11-01) or empty: what the archive has. `sources` are apt's, the node's own where none."""

    mode: Literal["none", "security", "all"] = "none"
    snapshot: str = ""
    reboot: Literal["never", "window"] = "never"
    sources: tuple[str, ...] = ()

    @property
    def are_wanted(self) -> bool:
        return self.mode != "none"


class K3sSettings(msgspec.Struct, frozen=True):
    """`version` is always a release: a channel was looked up in fleet.lock. Empty version: role none."""

    version: str
    config: dict[str, Any]
    registries: dict[str, Any]
    labels: dict[str, str]
    taints: tuple[str, ...]
    manifests: tuple[NodeManifest, ...]
    air_gap: bool = False


class OsSettings(msgspec.Struct, frozen=True):
    packages: tuple[BundlePackage, ...]
    sysctl: dict[str, str]
    files: tuple[NodeFile, ...]
    units: tuple[BundleUnit, ...]
    users: tuple[BundleUser, ...]
    updates: Updates


class Settings(msgspec.Struct, frozen=True, eq=False):
    """What inheritance gives a node. One object serves all nodes with the same layers: compare by identity."""

    k3s: K3sSettings
    hardening: Literal["none", "cis"]
    os: OsSettings
    vars: dict[str, Any]


class Connection(msgspec.Struct, frozen=True):
    """How to reach a node. `address` is the dial address; root by sudo when `become`, and `become_password` names the
    secret that sudo asks for, empty for none. `confirm_seconds`: in so many a change of the way to it must be confirmed
    over a new connection; 0 for never.
    """

    type: Literal["ssh", "sandbox"]
    address: str
    port: int
    user: str
    become: bool
    jump_host: str = ""
    proxy_command: str = ""
    private_key: str = ""
    become_password: str = ""
    confirm_seconds: int = 0


class Identity(msgspec.Struct, frozen=True):
    serial: str = ""
    mac: str = ""


class Node(msgspec.Struct, frozen=True, eq=False):
    """`addresses` are textual IPs, the first one K3s's node-ip unless dual stack. `arch` is empty while pending.

    `labels` are the spec's labels of site, set and node merged, without the built-in ones; `cluster` is empty for
    role none. `place` points at the node (or its set) in the spec.
    """

    name: str
    site: str
    cluster: str
    role: Role
    set: str
    addresses: tuple[str, ...]
    arch: Literal["amd64", "arm64", "arm", ""]
    labels: dict[str, str]
    settings: Settings
    connection: Connection
    place: Place
    identity: Identity = Identity()

    @property
    def is_k3s(self) -> bool:
        return self.role != "none"

    @property
    def confirmation(self) -> Confirmation | None:
        """What of it is confirmed when it changes: the way to it, and what the spec marks. None for nothing."""
        if not self.connection.confirm_seconds:
            return None
        known = Confirmation(self.connection.confirm_seconds)
        marked = tuple(file.path for file in self.settings.os.files if file.confirm)
        return msgspec.structs.replace(known, paths=(*known.paths, *marked)) if marked else known

    @property
    def k3s_unit(self) -> str:
        """The systemd unit that runs K3s, empty for a plain host."""
        return {"server": "k3s.service", "agent": "k3s-agent.service", "none": ""}[self.role]
