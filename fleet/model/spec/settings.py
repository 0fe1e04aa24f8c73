"""The layer that every level of inheritance may write: k3s, hardening, os, vars, connection (spec.md, Inheritance).

A field that is absent is `UNSET`; `None` (a `null` in YAML) removes what weaker layers gave; a `key+` twin appends
without duplicates. No defaults here: they are applied in `resolve` and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from fleet.model.spec.scalars import AbsolutePath, FileMode, K3sVersion, Port, UnitName


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An auto-deployed Kubernetes manifest: one of content, template or source."""

    name: Annotated[str, Meta(description="File name below server/manifests, without .yaml.", examples=["runtime-class"])]
    content: Annotated[str, Meta(description="The manifest's text; a template.", examples=["kind: Namespace\n"])] | UnsetType = UNSET
    template: Annotated[str, Meta(description="A template file of the repository.", examples=["ns.yaml.j2"])] | UnsetType = UNSET
    source: Annotated[str, Meta(description="A file of the repository, taken as it is.", examples=["files/ns.yaml"])] | UnsetType = UNSET


class K3sLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """K3s on a node: which version, and K3s's own configuration."""

    version: Annotated[K3sVersion | None, Meta(description="The K3s release.", examples=["v1.35.4+k3s1"])] | UnsetType = UNSET
    channel: Annotated[str | None, Meta(description="A release channel, pinned in fleet.lock.", examples=["stable", "v1.35"])] | UnsetType = UNSET
    config: Annotated[dict[str, Any] | None, Meta(description="Keys of K3s's config.yaml in K3s's own spelling; `key+` appends.", examples=[{"disable": ["traefik"]}])] | UnsetType = UNSET
    registries: Annotated[dict[str, Any] | None, Meta(description="K3s's registries.yaml.", examples=[{"mirrors": {"docker.io": {"endpoint": ["https://registry.acme.example"]}}}])] | UnsetType = UNSET
    labels: Annotated[dict[str, str | None] | None, Meta(description="Labels of the Kubernetes Node, reconciled there.", examples=[{"tier": "edge"}])] | UnsetType = UNSET
    taints: Annotated[list[str] | None, Meta(description="Taints of the Kubernetes Node: key=value:Effect.", examples=[["gpu=true:NoSchedule"]])] | UnsetType = UNSET
    taints_append: Annotated[list[str], Meta(description="Taints added to those of weaker layers.", examples=[["gpu=true:NoSchedule"]])] | UnsetType = field(name="taints+", default=UNSET)
    manifests: Annotated[list[Manifest] | None, Meta(description="Auto-deployed manifests; they merge by name.", examples=[[{"name": "ns", "source": "files/ns.yaml"}]])] | UnsetType = UNSET


class FileSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file on the node; merges by path. One of content, template or source."""

    path: Annotated[AbsolutePath, Meta(description="Where it stands on the node.", examples=["/etc/chrony/conf.d/acme.conf"])]
    content: Annotated[str, Meta(description="Its text; a template.", examples=["server {{ vars.ntp }} iburst\n"])] | UnsetType = UNSET
    template: Annotated[str, Meta(description="A template file of the repository.", examples=["chrony.conf.j2"])] | UnsetType = UNSET
    source: Annotated[str, Meta(description="A file of the repository, taken as it is.", examples=["files/raw.bin"])] | UnsetType = UNSET
    mode: Annotated[FileMode, Meta(description="Octal mode, as a string. Default 0644.", examples=["0644"])] | UnsetType = UNSET
    owner: Annotated[str, Meta(description="Default root.", examples=["root"])] | UnsetType = UNSET
    group: Annotated[str, Meta(description="Default root.", examples=["root"])] | UnsetType = UNSET
    validate: Annotated[str, Meta(description="Run on the node before the file takes its place; {file} is its new content.", examples=["chronyd -p -f {file}"])] | UnsetType = UNSET
    restart: Annotated[list[UnitName], Meta(description="Units to restart when it changes.", examples=[["chrony.service"]])] | UnsetType = UNSET
    reload: Annotated[list[UnitName], Meta(description="Units to reload when it changes.", examples=[["nginx.service"]])] | UnsetType = UNSET


class UnitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A systemd unit; merges by name."""

    name: Annotated[UnitName, Meta(description="Unit name with its suffix.", examples=["chrony.service"])]
    enabled: Annotated[bool, Meta(description="Whether it starts at boot.", examples=[True])] | UnsetType = UNSET
    state: Annotated[Literal["started", "stopped"], Meta(description="Whether it runs now.", examples=["started"])] | UnsetType = UNSET


class PackageSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package with a version; a plain string is one without."""

    name: Annotated[str, Meta(description="Debian package name.", pattern=r"^[a-z0-9][a-z0-9.+-]+$", examples=["chrony"])]
    version: Annotated[str, Meta(description="Exact version.", examples=["4.3-2"])] | UnsetType = UNSET


class UserSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A user of the node; merges by name. Users that were there before are never removed."""

    name: Annotated[str, Meta(description="Login name.", pattern=r"^[a-z_][a-z0-9_-]{0,31}$", examples=["ops"])]
    groups: Annotated[list[str], Meta(description="Supplementary groups.", examples=[["adm"]])] | UnsetType = UNSET
    shell: Annotated[AbsolutePath, Meta(description="Login shell.", examples=["/bin/bash"])] | UnsetType = UNSET
    authorized_keys: Annotated[list[str], Meta(description="Public SSH keys.", examples=[["ssh-ed25519 AAAA… ops"]])] | UnsetType = UNSET
    system: Annotated[bool, Meta(description="A system account.", examples=[False])] | UnsetType = UNSET


class UpdatesSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OS updates."""

    mode: Annotated[Literal["none", "security", "all"], Meta(description="Which updates are taken.", examples=["security"])] | UnsetType = UNSET
    snapshot: Annotated[str, Meta(description="Date of the archive snapshot to take them from.", pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-11-01"])] | UnsetType = UNSET
    reboot: Annotated[Literal["never", "window"], Meta(description="Whether a pending reboot is carried out in the window.", examples=["window"])] | UnsetType = UNSET


class OsLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operating system around K3s."""

    packages: Annotated[list[str | PackageSpec] | None, Meta(description="Packages to have; they merge by name.", examples=[["chrony"]])] | UnsetType = UNSET
    sysctl: Annotated[dict[str, str | int | None] | None, Meta(description="Kernel parameters.", examples=[{"vm.swappiness": 10}])] | UnsetType = UNSET
    files: Annotated[list[FileSpec] | None, Meta(description="Files to have; they merge by path.", examples=[[{"path": "/etc/motd", "content": "hello\n"}]])] | UnsetType = UNSET
    units: Annotated[list[UnitSpec] | None, Meta(description="systemd units; they merge by name.", examples=[[{"name": "chrony.service", "enabled": True}]])] | UnsetType = UNSET
    users: Annotated[list[UserSpec] | None, Meta(description="Users to have; they merge by name.", examples=[[{"name": "ops"}]])] | UnsetType = UNSET
    updates: Annotated[UpdatesSpec | None, Meta(description="OS updates.", examples=[{"mode": "security"}])] | UnsetType = UNSET


class ConnectionLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the controller reaches a node."""

    type: Annotated[Literal["ssh", "sandbox"], Meta(description="ssh, or a folder that plays the node.", examples=["ssh"])] | UnsetType = UNSET
    address: Annotated[str, Meta(description="Dial address where it is not the node's own.", examples=["203.0.113.7"])] | UnsetType = UNSET
    port: Annotated[Port, Meta(description="SSH port. Default 22.", examples=[22])] | UnsetType = UNSET
    user: Annotated[str, Meta(description="SSH user. Default fleet.", examples=["fleet"])] | UnsetType = UNSET
    become: Annotated[bool, Meta(description="Whether to become root by sudo. Default true.", examples=[True])] | UnsetType = UNSET
    jump_host: Annotated[str | None, Meta(description="SSH jump host: user@host:port.", examples=["jump@bastion.acme.example"])] | UnsetType = UNSET
    proxy_command: Annotated[str | None, Meta(description="SSH ProxyCommand.", examples=["cloudflared access ssh --hostname %h"])] | UnsetType = UNSET
    private_key: Annotated[str | None, Meta(description="Path of the SSH private key on the controller.", examples=["~/.ssh/fleet"])] | UnsetType = UNSET


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What Fleet, Profile, Site, node set and node may all say."""

    k3s: Annotated[K3sLayer, Meta(description="K3s on the nodes.")] | UnsetType = UNSET
    hardening: Annotated[Literal["none", "cis"], Meta(description="Hardening profile.", examples=["cis"])] | UnsetType = UNSET
    os: Annotated[OsLayer, Meta(description="The operating system around K3s.")] | UnsetType = UNSET
    vars: Annotated[dict[str, Any], Meta(description="Values that templates see as vars.", examples=[{"ntp": "ntp.acme.example"}])] | UnsetType = UNSET
    connection: Annotated[ConnectionLayer, Meta(description="How the controller reaches the nodes.")] | UnsetType = UNSET
