"""secret generate: makes the K3s tokens of clusters that have none. Before a commit, and never by apply.

Vault files are written before secrets.lock. A crash in between leaves at worst values that the lock does not list yet:
the next run lists them, and never makes others in their place.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from fleet.model.cluster import Cluster
from fleet.model.secret import SecretsLock
from fleet.operations.secret.events import SecretEvent, SecretsComplete, SecretsListed, SecretsMade
from fleet.operations.secret.names import FOLDER, KEY_FILE
from fleet.ports.secrets import Secrets

_TOKEN_BYTES = 32
FILES_AT_ONCE = 25
"""Vault files between two writes of secrets.lock, and so between two signs of progress."""


def generate(clusters: Iterable[Cluster], lock: SecretsLock, store: Secrets) -> Iterator[SecretEvent]:
    """Makes what `lock` does not list: `NAME.k3s-token` and `NAME.k3s-agent-token`, apart from each other.

    The file is `secrets/SITE.yaml`, after the cluster's site. A value that is there is never made anew. Raises what the
    port raises.
    """
    clusters = list(clusters)
    missing: dict[str, list[str]] = {}
    for cluster in clusters:
        names = [name for name in (cluster.token, cluster.agent_token) if name not in lock.secrets]
        if names:
            missing.setdefault(f"{FOLDER}/{cluster.site}.yaml", []).extend(names)
    made = done = 0
    waiting = sorted(missing.items())
    for start in range(0, len(waiting), FILES_AT_ONCE):
        files = waiting[start : start + FILES_AT_ONCE]
        held = {file: store.read(file) for file, _ in files}
        store.write({file: {name: new_token() for name in names} | dict(held[file]) for file, names in files})
        for file, names in files:
            done += 1
            found = tuple(name for name in names if name in held[file])
            made += len(names) - len(found)
            yield SecretsMade(file, tuple(names), done, len(missing), found)
    yield SecretsComplete(len(clusters), made)


def list_own(
    files: Iterable[str], clusters: Iterable[Cluster], lock: SecretsLock, store: Secrets, *, everything: bool = False
) -> Iterator[SecretEvent]:
    """Lists what is in vault files that people keep themselves (`ansible-vault edit secrets/registry.yaml`).

    A value that was changed there gets its new fingerprint, so that plans see it. `files` are the repository's paths;
    those of clusters' tokens are left to `generate`, and are opened only with `everything`.
    """
    tokens = {KEY_FILE, *(f"{FOLDER}/{cluster.site}.yaml" for cluster in clusters)}
    for file in sorted(files):
        is_vault = file.startswith(f"{FOLDER}/") and file.endswith((".yaml", ".yml"))
        if not is_vault or (file in tokens and not everything):
            continue
        values = store.read(file)
        store.write({file: values})
        after = store.lock().secrets
        listed = sorted(name for name in values if name in after)
        new = tuple(name for name in listed if name not in lock.secrets)
        changed = tuple(name for name in listed if name in lock.secrets and after[name] != lock.secrets[name])
        if new or changed:
            yield SecretsListed(file, new, changed)


def new_token() -> str:
    """256 random bits in hex: the short form of a K3s token."""
    return secrets.token_hex(_TOKEN_BYTES)
