"""A Bundle: everything that one node must hold. What travels to the node is its manifest plus contents.

The digest is `b1:` + sha256 of the canonical manifest (`render.manifest`). Connection data, timestamps and values
that are only used to join a cluster stay out of it (design, One line of flow).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Encoding = Literal["plain", "base64", "json", "k3s-server", "k3s-agent"]


class SecretRef(msgspec.Struct, frozen=True):
    """A secret's place in a content. `fingerprint` comes from secrets.lock: a new value is a new digest.

    The two of K3s are tokens, `K10<hash of the cluster's CA>::<user>:<secret>` where the node joins a cluster whose CA
    is known, the secret alone where it is not: a learned value that is of use only in joining, and no part of the digest.
    """

    name: str
    encoding: Encoding = "plain"
    fingerprint: str = ""


Segment = str | SecretRef


class BundleFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file. Either `sha256` names its content (a blob), or `segments` holds it with secrets in between.

    `mode` is four octal digits. `restart` and `reload` name units to restart or reload when the file changes;
    `validate` is a command run on the node before the file takes its place, `{file}` its new content.
    `seed` files are written when they are absent and never compared afterwards (values used only to join).
    """

    path: str
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    sha256: str = ""
    size: int = 0
    segments: tuple[Segment, ...] = ()
    validate: str = ""
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    seed: bool = False


class BundleFolder(msgspec.Struct, frozen=True, omit_defaults=True):
    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"


class BundleArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A large file by URL: tried in order of `urls`, verified by sha256 (hex), then moved into place.

    `urls` are where to look, not what to hold: they stay out of the digest.
    """

    path: str
    sha256: str
    urls: tuple[str, ...] = ()
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"
    restart: tuple[str, ...] = ()


class BundleUnit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One systemd unit: wanted enablement and state; None leaves it alone."""

    name: str
    enabled: bool | None = None
    state: Literal["started", "stopped"] | None = None


class BundlePackage(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    version: str = ""


class BundleUpdates(msgspec.Struct, frozen=True, omit_defaults=True):
    """OS updates that are part of what a node holds: another day, another digest. When it may be rebooted is not."""

    mode: Literal["security", "all"]
    snapshot: str = ""
    sources: tuple[str, ...] = ()


class BundleUser(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    groups: tuple[str, ...] = ()
    shell: str = ""
    authorized_keys: tuple[str, ...] = ()
    system: bool = False


class BundleLearn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is to tell of itself, out of files that programs there write.

    The first group of `pattern` in the file `path`; or, where there are `folders`, the end of that certificate which ends
    first, of files in them whose name is as `pattern` says.
    """

    name: str
    pattern: str
    path: str = ""
    folders: tuple[str, ...] = ()


class BundleSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a server's datastore is saved before another version of K3s takes its place.

    `command` is run on the controller, for an external one. `data_dir` is K3s's own.
    """

    kind: Literal["sqlite", "etcd", "external"]
    data_dir: str
    command: tuple[str, ...] = ()


class BundleToken(msgspec.Struct, frozen=True):
    """How a cluster that lives is told of another server token, before its servers start with it.

    `path` is the file that holds it, `data_dir` K3s's own. The server itself answers at `url`, and all of its cluster at
    `servers`.
    """

    path: str
    data_dir: str
    url: str
    servers: tuple[str, ...]


class BundleFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules compare between what a node holds and what it shall hold; part of the manifest.

    `config` holds only the keys of k3s.config that are critical or cannot change (k3s-contract.md, rule 2). `labels` and
    `taints` are those of the Kubernetes Node: what K3s has given it is known wherever the manifest is.
    """

    site: str = ""
    role: str = ""
    cluster: str = ""
    k3s_version: str = ""
    datastore: str = ""
    config: dict[str, object] = {}
    labels: dict[str, str] = {}
    taints: tuple[str, ...] = ()


class Bundle(msgspec.Struct, frozen=True):
    """Shapes: each tuple is sorted by path or name. `blobs` maps sha256 to the content of `files` without secrets.

    `digest` is that of the canonical manifest; `learn`, `snapshot` and `token` are no part of it.
    """

    node: str
    digest: str
    facts: BundleFacts
    files: tuple[BundleFile, ...] = ()
    folders: tuple[BundleFolder, ...] = ()
    artifacts: tuple[BundleArtifact, ...] = ()
    units: tuple[BundleUnit, ...] = ()
    packages: tuple[BundlePackage, ...] = ()
    users: tuple[BundleUser, ...] = ()
    sysctl: dict[str, str] = {}
    updates: BundleUpdates | None = None
    blobs: dict[str, bytes] = {}
    learn: tuple[BundleLearn, ...] = ()
    snapshot: BundleSnapshot | None = None
    token: BundleToken | None = None
