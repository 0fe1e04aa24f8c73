"""The kind Fleet: exactly one, the fleet's defaults."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fleet.model.spec.scalars import AbsolutePath, Amount, Duration, MirrorUrl, Name, RepositoryPath, doc
from fleet.model.spec.selector import Selector
from fleet.model.spec.settings import Layer


class ProfileUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile for those nodes only that the selector matches; a plain string is one for all."""

    name: Annotated[Name, doc("The profile.", "gpu")]
    selector: Annotated[Selector, doc("Which nodes take it.", {"matchLabels": {"gpu": "nvidia"}})] | UnsetType = UNSET


Profiles = list[Name | ProfileUse]


class MaxConcurrentSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How many nodes may download at once. One that has what it needs already is not counted."""

    per_mirror: (
        Annotated[
            int,
            Meta(
                title="1 or more",
                description="From one mirror, of the whole fleet. Default 50.",
                ge=1,
                examples=[50],
            ),
        ]
        | UnsetType
    ) = UNSET
    per_site: (
        Annotated[
            int, Meta(title="1 or more", description="Of one site, over its line. Default 4.", ge=1, examples=[4])
        ]
        | UnsetType
    ) = UNSET


class ArtifactsSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where nodes fetch K3s from."""

    mirrors: (
        Annotated[
            list[MirrorUrl],
            doc(
                "Mirrors in the order in which they are tried: https, http, or a folder (`file:`, relative too).",
                ["https://mirror.acme.example/k3s"],
            ),
        ]
        | UnsetType
    ) = UNSET
    max_concurrent: (
        Annotated[
            MaxConcurrentSpec,
            doc(
                "How many nodes may download at once. Mirrors that are folders (`file:`) bear any number.",
                {"perMirror": 50, "perSite": 4},
            ),
        ]
        | UnsetType
    ) = UNSET


class SecretsSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where secret values come from."""

    type: (
        Annotated[
            Literal["vault", "command"],
            doc("vault: Ansible Vault files in secrets/. command: a program. Default vault.", "vault"),
        ]
        | UnsetType
    ) = UNSET
    command: (
        Annotated[
            list[str], doc("With command: names as JSON on its stdin, values as JSON on its stdout.", ["./secrets.sh"])
        ]
        | UnsetType
    ) = UNSET


class DriftSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How drift is looked for, and what follows when it is found."""

    interval: Annotated[Duration, doc("How often a watch looks at every node.", "30m")] | UnsetType = UNSET
    mode: (
        Annotated[Literal["report", "fix"], doc("Whether local edits are only reported, or put right.", "report")]
        | UnsetType
    ) = UNSET
    ignore: (
        Annotated[list[AbsolutePath], doc("Paths that are left out, with * and ** as in a shell.", ["/etc/motd"])]
        | UnsetType
    ) = UNSET


class GitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which commits are followed."""

    branch: Annotated[str, doc("The branch that is followed.", "main")] | UnsetType = UNSET
    poll_interval: Annotated[Duration, doc("How often the remote is asked for new commits.", "1m")] | UnsetType = UNSET
    require_signature: (
        Annotated[bool, doc("Whether a commit must be signed by one of allowedSigners.", True)] | UnsetType
    ) = UNSET
    allowed_signers: (
        Annotated[
            RepositoryPath,
            doc("A file of the repository in the form of ssh-keygen's allowed_signers.", "allowed_signers"),
        ]
        | UnsetType
    ) = UNSET


class ProxySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The proxy that K3s and its containerd use."""

    http: Annotated[str, doc("HTTP_PROXY.", "http://proxy.acme.example:3128")] | UnsetType = UNSET
    https: Annotated[str, doc("HTTPS_PROXY.", "http://proxy.acme.example:3128")] | UnsetType = UNSET
    no_proxy: (
        Annotated[list[str], doc("NO_PROXY: names, addresses and networks.", [".acme.example", "10.0.0.0/8"])]
        | UnsetType
    ) = UNSET


class FleetSpec(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The fleet's defaults, and what concerns all of it."""

    profiles: Annotated[Profiles, doc("Profiles of every node, weakest first.", ["base"])] | UnsetType = UNSET
    rollout_policy: Annotated[Name, doc("The RolloutPolicy that rollouts follow.", "standard")] | UnsetType = UNSET
    artifacts: (
        Annotated[ArtifactsSpec, doc("Where nodes fetch K3s from.", {"mirrors": ["file:mirror"]})] | UnsetType
    ) = UNSET
    secrets: Annotated[SecretsSpec, doc("Where secret values come from.", {"type": "vault"})] | UnsetType = UNSET
    drift: Annotated[DriftSpec, doc("How drift is looked for.", {"interval": "30m"})] | UnsetType = UNSET
    git: Annotated[GitSpec, doc("Which commits are followed.", {"branch": "main"})] | UnsetType = UNSET
    proxy: Annotated[ProxySpec, doc("The proxy of K3s.", {"https": "http://proxy.acme.example:3128"})] | UnsetType = (
        UNSET
    )
    max_removed: (
        Annotated[Amount, doc("How many nodes may leave the spec at once before a plan is refused. Default 1%.", "1%")]
        | UnsetType
    ) = UNSET
