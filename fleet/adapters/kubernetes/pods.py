"""Pods as the API server writes them, as far as a drain looks at them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fleet.model.drain import Pod

_MIRROR: Final = "kubernetes.io/config.mirror"
_FINISHED: Final = frozenset({"Succeeded", "Failed"})


class OwnerReference(msgspec.Struct, frozen=True):
    kind: str = ""
    controller: bool = False


class PodMetadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    uid: str
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    deletion_timestamp: str = ""


class Volume(msgspec.Struct, frozen=True, rename="camel"):
    empty_dir: dict[str, Any] | None = None


class PodSpec(msgspec.Struct, frozen=True):
    volumes: tuple[Volume, ...] = ()


class PodStatus(msgspec.Struct, frozen=True):
    phase: str = ""


class WirePod(msgspec.Struct, frozen=True):
    metadata: PodMetadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodList(msgspec.Struct, frozen=True):
    items: tuple[WirePod, ...] = ()


def plain(pod: WirePod) -> Pod:
    about = pod.metadata
    return Pod(
        name=f"{about.namespace}/{about.name}",
        uid=about.uid,
        controller=next((owner.kind for owner in about.owner_references if owner.controller), ""),
        is_mirror=_MIRROR in about.annotations,
        is_finished=pod.status.phase in _FINISHED,
        has_empty_dir=any(volume.empty_dir is not None for volume in pod.spec.volumes),
        is_ending=bool(about.deletion_timestamp),
    )
