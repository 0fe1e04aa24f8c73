"""The layer that every level of inheritance may write: k3s, hardening, os, vars, connection (spec.md, Inheritance).

A field that is absent is `UNSET`; `None` (a `null` in YAML) removes what weaker layers gave; a `key+` twin appends
without duplicates. No defaults here: they are applied in `resolve` and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from fleet.model.spec.scalars import (
    AbsolutePath,
    AptSource,
    Channel,
    Date,
    Duration,
    FileMode,
    HostName,
    K3sVersion,
    PackageName,
    Port,
    RepositoryPath,
    SecretText,
    Taint,
    UnitName,
    UserName,
    doc,
    text,
)

ManifestName = Annotated[
    str, text("a file name without .yaml: letters, digits, `.`, `_` and `-`", r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", "ns")
]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An auto-deployed Kubernetes manifest: one of content, template or source."""

    name: Annotated[ManifestName, doc("File name below server/manifests, without .yaml.", "runtime-class")]
    content: Annotated[str, doc("The manifest's text; a template.", "kind: Namespace\n")] | UnsetType = UNSET
    template: Annotated[RepositoryPath, doc("A template file of the repository.", "ns.yaml.j2")] | UnsetType = UNSET
    source: Annotated[RepositoryPath, doc("A file of the repository, as it is.", "files/ns.yaml")] | UnsetType = UNSET


class K3sLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """K3s on a node: which version, and K3s's own configuration."""

    version: Annotated[K3sVersion | None, doc("The K3s release.", "v1.35.4+k3s1")] | UnsetType = UNSET
    channel: Annotated[Channel | None, doc("A release channel, pinned in fleet.lock.", "stable")] | UnsetType = UNSET
    config: (
        Annotated[
            dict[str, Any] | None,
            doc("Keys of K3s's config.yaml in K3s's own spelling; `key+` appends.", {"disable": ["traefik"]}),
        ]
        | UnsetType
    ) = UNSET
    registries: (
        Annotated[
            dict[str, Any] | None,
            doc("K3s's registries.yaml.", {"mirrors": {"docker.io": {"endpoint": ["https://registry.acme.example"]}}}),
        ]
        | UnsetType
    ) = UNSET
    labels: (
        Annotated[
            dict[str, str | None] | None, doc("Labels of the Kubernetes Node, reconciled there.", {"tier": "edge"})
        ]
        | UnsetType
    ) = UNSET
    taints: (
        Annotated[list[Taint] | None, doc("Taints of the Kubernetes Node, reconciled there.", ["gpu=true:NoSchedule"])]
        | UnsetType
    ) = UNSET
    taints_append: (
        Annotated[list[Taint], doc("Taints added to those of weaker layers.", ["gpu=true:NoSchedule"])] | UnsetType
    ) = field(name="taints+", default=UNSET)
    manifests: (
        Annotated[
            list[Manifest] | None,
            doc("Auto-deployed manifests; they merge by name.", [{"name": "ns", "source": "files/ns.yaml"}]),
        ]
        | UnsetType
    ) = UNSET
    air_gap: (
        Annotated[
            bool | None,
            doc("Whether nodes get K3s's own images from the mirror, and a default route where there is none.", True),
        ]
        | UnsetType
    ) = UNSET


class FileSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file on the node; merges by path. One of content, template or source."""

    path: Annotated[AbsolutePath, doc("Where it stands on the node.", "/etc/chrony/conf.d/acme.conf")]
    content: Annotated[str, doc("Its text; a template.", "server {{ vars.ntp }} iburst\n")] | UnsetType = UNSET
    template: Annotated[RepositoryPath, doc("A template file of the repository.", "motd.j2")] | UnsetType = UNSET
    source: Annotated[RepositoryPath, doc("A file of the repository, as it is.", "files/raw.bin")] | UnsetType = UNSET
    mode: (
        Annotated[
            FileMode | None, doc("Octal mode, as a string. Default 0644; 0600 for a file that holds a secret.", "0644")
        ]
        | UnsetType
    ) = UNSET
    owner: Annotated[UserName | None, doc("Default root.", "root")] | UnsetType = UNSET
    group: Annotated[UserName | None, doc("Default root.", "root")] | UnsetType = UNSET
    validate: (
        Annotated[
            str | None,
            doc("Run on the node before the file takes its place; {file} is its new content.", "chronyd -p -f {file}"),
        ]
        | UnsetType
    ) = UNSET
    restart: (
        Annotated[list[UnitName] | None, doc("Units to restart when it changes.", ["chrony.service"])] | UnsetType
    ) = UNSET
    restart_append: (
        Annotated[list[UnitName], doc("Units added to those of weaker layers.", ["chrony.service"])] | UnsetType
    ) = field(name="restart+", default=UNSET)
    reload: Annotated[list[UnitName] | None, doc("Units to reload when it changes.", ["nginx.service"])] | UnsetType = (
        UNSET
    )
    reload_append: (
        Annotated[list[UnitName], doc("Units added to those of weaker layers.", ["nginx.service"])] | UnsetType
    ) = field(name="reload+", default=UNSET)
    confirm: (
        Annotated[
            bool | None,
            doc(
                "Whether a change of it is confirmed over a new connection, as those of the way to the node are.", True
            ),
        ]
        | UnsetType
    ) = UNSET


class UnitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A systemd unit; merges by name."""

    name: Annotated[UnitName, doc("Unit name with its suffix.", "chrony.service")]
    enabled: Annotated[bool | None, doc("Whether it starts at boot.", True)] | UnsetType = UNSET
    state: Annotated[Literal["started", "stopped"] | None, doc("Whether it runs now.", "started")] | UnsetType = UNSET


class PackageSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package with a version; a plain string is one without."""

    name: Annotated[PackageName, doc("Debian package name.", "chrony")]
    version: Annotated[str | None, doc("Exact version.", "4.3-2")] | UnsetType = UNSET


class UserSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A user of the node; merges by name. Users that were there before are never removed."""

    name: Annotated[UserName, doc("Login name.", "ops")]
    groups: Annotated[list[UserName] | None, doc("Supplementary groups.", ["adm"])] | UnsetType = UNSET
    groups_append: Annotated[list[UserName], doc("Groups added to those of weaker layers.", ["adm"])] | UnsetType = (
        field(name="groups+", default=UNSET)
    )
    shell: Annotated[AbsolutePath | None, doc("Login shell.", "/bin/bash")] | UnsetType = UNSET
    authorized_keys: Annotated[list[str] | None, doc("Public SSH keys.", ["ssh-ed25519 AAAA… ops"])] | UnsetType = UNSET
    authorized_keys_append: (
        Annotated[list[str], doc("Keys added to those of weaker layers.", ["ssh-ed25519 AAAA… ops"])] | UnsetType
    ) = field(name="authorizedKeys+", default=UNSET)
    system: Annotated[bool | None, doc("A system account.", False)] | UnsetType = UNSET


class UpdatesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OS updates."""

    mode: (
        Annotated[Literal["none", "security", "all"] | None, doc("Which updates are taken.", "security")] | UnsetType
    ) = UNSET
    snapshot: Annotated[Date | None, doc("The archive's day that they come from.", "2026-11-01")] | UnsetType = UNSET
    sources: (
        Annotated[
            list[AptSource] | None,
            doc(
                "Where they come from; {snapshot} is that day. Default: what the node's own apt is set to.",
                ["deb https://apt.acme.example/{snapshot} bookworm-security main"],
            ),
        ]
        | UnsetType
    ) = UNSET
    reboot: (
        Annotated[
            Literal["never", "window"] | None, doc("Whether a pending reboot is carried out in the window.", "window")
        ]
        | UnsetType
    ) = UNSET


class OsLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operating system around K3s."""

    packages: (
        Annotated[list[PackageName | PackageSpec] | None, doc("Packages to have; they merge by name.", ["chrony"])]
        | UnsetType
    ) = UNSET
    sysctl: (
        Annotated[dict[str, str | int | None] | None, doc("Kernel parameters.", {"vm.swappiness": 10})] | UnsetType
    ) = UNSET
    files: (
        Annotated[
            list[FileSpec] | None,
            doc("Files to have; they merge by path.", [{"path": "/etc/motd", "content": "hello\n"}]),
        ]
        | UnsetType
    ) = UNSET
    units: (
        Annotated[
            list[UnitSpec] | None,
            doc("systemd units; they merge by name.", [{"name": "chrony.service", "enabled": True}]),
        ]
        | UnsetType
    ) = UNSET
    users: (
        Annotated[list[UserSpec] | None, doc("Users to have; they merge by name.", [{"name": "ops"}])] | UnsetType
    ) = UNSET
    updates: Annotated[UpdatesSpec | None, doc("OS updates.", {"mode": "security"})] | UnsetType = UNSET


class ConnectionLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the controller reaches a node."""

    type: (
        Annotated[Literal["ssh", "sandbox"] | None, doc("ssh, or a folder that plays the node.", "ssh")] | UnsetType
    ) = UNSET
    address: (
        Annotated[HostName | None, doc("Dial address where it is not the node's own.", "203.0.113.7")] | UnsetType
    ) = UNSET
    port: Annotated[Port | None, doc("SSH port. Default 22.", 22)] | UnsetType = UNSET
    user: Annotated[UserName | None, doc("SSH user. Default fleet.", "fleet")] | UnsetType = UNSET
    become: Annotated[bool | None, doc("Whether to become root by sudo. Default true.", True)] | UnsetType = UNSET
    become_password: (
        Annotated[SecretText | None, doc("The secret that holds what sudo asks for.", "secret:sudo")] | UnsetType
    ) = UNSET
    jump_host: Annotated[str | None, doc("SSH jump host: user@host:port.", "jump@bastion.acme.example")] | UnsetType = (
        UNSET
    )
    proxy_command: (
        Annotated[str | None, doc("SSH ProxyCommand.", "cloudflared access ssh --hostname %h")] | UnsetType
    ) = UNSET
    private_key: (
        Annotated[str | None, doc("Path of the SSH private key on the controller.", "~/.ssh/fleet")] | UnsetType
    ) = UNSET
    confirm_timeout: (
        Annotated[
            Duration | None,
            doc(
                "In what time a change of the way to a node (firewall, WireGuard, SSH, users, sudo, network) must be confirmed"
                " over a new connection, or the node undoes it. 0s: never.",
                "90s",
            ),
        ]
        | UnsetType
    ) = UNSET


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What Fleet, Profile, Site, node set and node may all say."""

    k3s: Annotated[K3sLayer | None, doc("K3s on the nodes.", {"version": "v1.35.4+k3s1"})] | UnsetType = UNSET
    hardening: Annotated[Literal["none", "cis"] | None, doc("Hardening profile.", "cis")] | UnsetType = UNSET
    os: Annotated[OsLayer | None, doc("The operating system around K3s.", {"packages": ["chrony"]})] | UnsetType = UNSET
    vars: (
        Annotated[dict[str, Any] | None, doc("Values that templates see as vars.", {"ntp": "ntp.acme.example"})]
        | UnsetType
    ) = UNSET
    connection: (
        Annotated[ConnectionLayer | None, doc("How the controller reaches the nodes.", {"user": "fleet"})] | UnsetType
    ) = UNSET
