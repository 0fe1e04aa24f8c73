"""Node -> Bundle. One Renderer serves a whole fleet and shares what nodes have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fleet.k3s.artifacts import ARCHES
from fleet.model.bundle import (
    Bundle,
    BundleArtifact,
    BundleFacts,
    BundleFile,
    BundleFolder,
    BundleLearn,
    BundlePackage,
    BundleSnapshot,
    BundleToken,
    BundleUnit,
    BundleUpdates,
    BundleUser,
)
from fleet.model.fleet import ResolvedFleet
from fleet.model.lock import Lock
from fleet.model.node import Node, OsSettings
from fleet.model.secret import LockedSecret
from fleet.render.content import ContentError, Contents
from fleet.render.k3s_files import K3sInputs, K3sKind, K3sShape, k3s_kind, k3s_shape
from fleet.render.manifest import artifact_entry, assembled, digest_of, encoded
from fleet.render.slots import BrokenSlot, FixedSlot, Made, NodeSlot, Slot, clashes

SYSCTL_FILE = "/etc/sysctl.d/80-fleet.conf"
SYSCTL_MODE = "0644"
SECRET_MODE = "0600"  # noqa: S105 - a file mode, no password


class RenderError(ValueError):
    """A node's bundle cannot be made. `path` is the file on the node that the fault is about."""

    def __init__(self, node: Node, path: str, fault: ContentError) -> None:
        super().__init__(fault.message)
        self.node = node
        self.path = path
        self.fault = fault


class Sketch(msgspec.Struct, frozen=True):
    """As much of a bundle as a plan needs of a node that does not change: the digest and the canonical manifest."""

    node: str
    digest: str
    manifest: bytes


class _Encoded(msgspec.Struct, frozen=True):
    """The parts of the manifest that all nodes of a shape share, as canonical text."""

    artifacts: list[bytes]
    facts: bytes
    folders: list[bytes]
    packages: bytes
    sysctl: bytes
    units: bytes
    updates: bytes
    users: bytes


class _OsPart(msgspec.Struct, frozen=True, eq=False):
    """What nodes with the same OsSettings share; packages and users by name."""

    slots: tuple[Slot, ...]
    packages: tuple[BundlePackage, ...]
    users: tuple[BundleUser, ...]
    updates: BundleUpdates | None
    encoded_packages: bytes
    encoded_users: bytes


class _Shape(msgspec.Struct, frozen=True, eq=False):
    """What nodes with the same settings, role and cluster share; `slots` in the order of their path."""

    facts: BundleFacts
    slots: tuple[Slot, ...]
    seeds: tuple[Slot, ...]
    folders: tuple[BundleFolder, ...]
    artifacts: tuple[BundleArtifact, ...]
    units: tuple[BundleUnit, ...]
    sysctl: dict[str, str]
    learn: tuple[BundleLearn, ...]
    snapshot: BundleSnapshot | None
    token: BundleToken | None
    os: _OsPart
    encoded: _Encoded


class Renderer:
    """`files` are the repository's, `texts` fleet's own templates by their name below templates/."""

    def __init__(
        self,
        fleet: ResolvedFleet,
        lock: Lock,
        secrets: Mapping[str, LockedSecret],
        files: Mapping[str, bytes],
        texts: Mapping[str, str],
    ) -> None:
        self._fleet = fleet
        self._contents = Contents(fleet, files, secrets)
        self._inputs = K3sInputs(fleet, lock, secrets, texts, self._contents)
        self._shapes: dict[tuple[object, ...], _Shape] = {}
        self._k3s: dict[tuple[object, ...], K3sShape] = {}
        self._kinds: dict[tuple[object, ...], K3sKind] = {}
        self._os: dict[int, _OsPart] = {}
        self._of: dict[str, _Shape] = {}

    def sketch(self, node: Node) -> Sketch:
        """The node's digest and manifest. Raises RenderError."""
        shape = self._shape(node)
        entries = []
        for slot in shape.slots:
            try:
                entries.append(slot.entry(node))
            except ContentError as error:
                raise RenderError(node, slot.path, error) from None
        ready = shape.encoded
        manifest = assembled(
            artifacts=ready.artifacts,
            facts=ready.facts,
            files=entries,
            folders=ready.folders,
            packages=ready.packages,
            sysctl=ready.sysctl,
            units=ready.units,
            updates=ready.updates,
            users=ready.users,
        )
        return Sketch(node.name, digest_of(manifest), manifest)

    def bundle(self, node: Node) -> Bundle:
        """The whole bundle, with contents. Raises RenderError."""
        shape = self._shape(node)
        sketch = self.sketch(node)
        files = [self._made(slot, node) for slot in shape.slots]
        seeds = [self._made(slot, node) for slot in shape.seeds]
        return Bundle(
            node=node.name,
            digest=sketch.digest,
            facts=shape.facts,
            files=tuple(each.file for each in (*files, *seeds)),
            folders=shape.folders,
            artifacts=shape.artifacts,
            units=shape.units,
            packages=shape.os.packages,
            users=shape.os.users,
            sysctl=shape.sysctl,
            updates=shape.os.updates,
            blobs={each.file.sha256: each.blob for each in (*files, *seeds) if each.blob is not None},
            learn=shape.learn,
            snapshot=shape.snapshot,
            token=shape.token,
        )

    def faults(self, node: Node) -> Iterator[RenderError]:
        """Every fault of the node's bundle, where `sketch` raises the first one."""
        for slot in self._shape(node).slots:
            try:
                slot.entry(node)
            except ContentError as error:
                yield RenderError(node, slot.path, error)

    def facts(self, node: Node) -> BundleFacts:
        """The facts alone: what rules compare."""
        return self._shape(node).facts

    def _made(self, slot: Slot, node: Node) -> Made:
        try:
            return slot.made(node)
        except ContentError as error:
            raise RenderError(node, slot.path, error) from None

    def _shape(self, node: Node) -> _Shape:
        known = self._of.get(node.name)
        if known is None:
            known = self._of[node.name] = self._shape_anew(node)
        return known

    def _shape_anew(self, node: Node) -> _Shape:
        settings = node.settings
        first = bool(node.cluster) and self._fleet.clusters[node.cluster].servers[0] == node.name
        key = (
            id(settings.k3s),
            id(settings.os),
            settings.hardening,
            node.role,
            node.arch,
            node.cluster,
            first,
            node.site,
        )
        shape = self._shapes.get(key)
        if shape is None:
            kind_key = (id(settings.k3s), settings.hardening, node.role, node.arch)
            k3s = self._k3s_shape(node, kind_key, (*kind_key, node.cluster, first)) if node.is_k3s else None
            shape = self._shapes[key] = self._made_shape(node, k3s)
        return shape

    def _k3s_shape(self, node: Node, kind_key: tuple[object, ...], key: tuple[object, ...]) -> K3sShape:
        known = self._k3s.get(key)
        if known is None:
            kind = self._kinds.get(kind_key)
            if kind is None:
                kind = self._kinds[kind_key] = k3s_kind(self._inputs, node)
            known = self._k3s[key] = k3s_shape(self._inputs, kind, node, self._fleet.clusters[node.cluster])
        return known

    def _made_shape(self, node: Node, k3s: K3sShape | None) -> _Shape:
        settings = node.settings.os
        own = self._os.get(id(settings))
        if own is None:
            own = self._os[id(settings)] = self._os_part(node, settings)
        kind = None if k3s is None else k3s.kind
        sysctl = {**({} if kind is None else kind.sysctl), **settings.sysctl}
        slots = [*(() if k3s is None else k3s.slots), *own.slots]
        slots += clashes([*slots, *(() if k3s is None else k3s.seeds)])
        units = sorted((*(() if kind is None else kind.units), *settings.units), key=lambda unit: unit.name)
        folders = () if kind is None else kind.folders
        artifacts = () if kind is None else kind.artifacts
        facts = self._facts(node, k3s)
        return _Shape(
            facts=facts,
            slots=tuple(sorted(slots, key=lambda slot: slot.path)),
            seeds=() if k3s is None else k3s.seeds,
            folders=folders,
            artifacts=artifacts,
            units=tuple(units),
            sysctl=sysctl,
            learn=() if kind is None else kind.learn,
            snapshot=None if k3s is None else k3s.snapshot,
            token=None if k3s is None else k3s.token,
            os=own,
            encoded=_Encoded(
                artifacts=[artifact_entry(artifact) for artifact in artifacts],
                facts=encoded(facts),
                folders=[encoded(folder) for folder in folders],
                packages=own.encoded_packages,
                sysctl=encoded(sysctl),
                units=encoded(tuple(units)),
                updates=b"" if own.updates is None else encoded(own.updates),
                users=own.encoded_users,
            ),
        )

    def _os_part(self, node: Node, settings: OsSettings) -> _OsPart:
        packages = tuple(sorted(settings.packages, key=lambda package: package.name))
        users = tuple(sorted(settings.users, key=lambda user: user.name))
        slots = tuple(self._os_slots(node, settings))
        said = settings.updates
        updates = None
        if said.mode != "none":
            updates = BundleUpdates(said.mode, said.snapshot, said.sources)
        return _OsPart(slots, packages, users, updates, encoded(packages), encoded(users))

    def _os_slots(self, node: Node, settings: OsSettings) -> Iterable[Slot]:
        contents = self._contents
        for file in settings.files:
            blank = BundleFile(
                file.path, file.mode, file.owner, file.group,
                validate=file.validate, restart=file.restart, reload=file.reload,
            )  # fmt: skip
            secret_mode = "" if file.has_mode else SECRET_MODE
            try:
                if contents.is_fixed(file.content):
                    yield FixedSlot(blank, contents.of(file.content, node), secret_mode)
                else:
                    yield NodeSlot(blank, contents.maker(file.content), secret_mode)
            except ContentError as error:
                yield BrokenSlot(file.path, error)
        if settings.sysctl:
            text = "".join(f"{key} = {value}\n" for key, value in sorted(settings.sysctl.items()))
            yield FixedSlot(BundleFile(SYSCTL_FILE, mode=SYSCTL_MODE), (text,))

    def _facts(self, node: Node, k3s: K3sShape | None) -> BundleFacts:
        if k3s is None:
            return BundleFacts(site=node.site, role=node.role)
        return BundleFacts(
            site=node.site,
            role=node.role,
            cluster=node.cluster,
            k3s_version=node.settings.k3s.version,
            datastore=self._fleet.clusters[node.cluster].datastore,
            config=k3s.kind.facts,
            labels=node.settings.k3s.labels,
            taints=node.settings.k3s.taints,
        )


def is_complete(node: Node) -> bool:
    """Whether everything that the bundle needs is known; a plan announces a second pass for the others."""
    return not node.is_k3s or node.arch in ARCHES
