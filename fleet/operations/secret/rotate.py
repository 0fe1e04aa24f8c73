"""secret rotate: new values for K3s tokens that `fleet` makes. Nothing reaches a node before a plan is applied.

A server token is also the passphrase of a cluster's bootstrap data, in its datastore and in each snapshot of it
(docs.k3s.io/cli/token): a running cluster has to be told of another one, which fleet_bundle does, and a snapshot from
before opens with the old one for ever. So the old value is kept, in the same file and the same write, as NAME.previous.
It is never overwritten unasked: a token that was rotated twice would take with it the only value that the snapshots
know, and, where nothing was applied in between, the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.errors import UsageError
from fleet.model.cluster import Cluster
from fleet.model.secret import PREVIOUS, SecretsLock
from fleet.operations.secret.events import TokenRotated, TokensRotated
from fleet.operations.secret.generate import FILES_AT_ONCE, new_token
from fleet.operations.secret.names import unknown
from fleet.operations.secret.storing import value_of
from fleet.ports.secrets import Secrets


def rotate(
    names: Sequence[str], clusters: Iterable[Cluster], store: Secrets, *, forgets: bool
) -> Iterator[TokenRotated | TokensRotated]:
    """One event a token, and one at the end. With `forgets`, a NAME.previous that is there gives way.

    Everything is checked before anything is written. Raises UsageError with every reason.
    """
    lock = store.lock()
    owners = {token: cluster for cluster in clusters for token in (cluster.token, cluster.agent_token)}
    names = list(dict.fromkeys(names))
    _refuse(names, owners, lock, forgets=forgets)
    files: dict[str, list[str]] = {}
    for name in names:
        files.setdefault(lock.secrets[name].file, []).append(name)
    waiting = sorted(files.items())
    servers = {name for name in names if owners[name].token == name}
    for start in range(0, len(waiting), FILES_AT_ONCE):
        some = waiting[start : start + FILES_AT_ONCE]
        store.write({file: _rotated(file, held, servers, lock, store) for file, held in some})
        versions = store.lock().secrets
        for file, held in some:
            for name in held:
                previous = f"{name}{PREVIOUS}" if name in servers else ""
                yield TokenRotated(name, file, versions[name].version, owners[name].name, previous)
    yield TokensRotated(len(names), len(servers))


def _rotated(file: str, names: Sequence[str], servers: set[str], lock: SecretsLock, store: Secrets) -> dict[str, str]:
    """What the file shall hold. A NAME.previous that is there and not listed is from a call that was cut short between
    the file and secrets.lock: both of its values stay, and are listed now.
    """
    values = dict(store.read(file))
    for name in names:
        kept = f"{name}{PREVIOUS}"
        if name in servers and kept in values and kept not in lock.secrets:
            continue
        if name in servers:
            values[kept] = value_of(name, store)
        values[name] = new_token()
    return values


def _refuse(names: Sequence[str], owners: dict[str, Cluster], lock: SecretsLock, *, forgets: bool) -> None:
    reasons: list[tuple[str, str]] = []
    for name in names:
        kept = f"{name}{PREVIOUS}"
        if name not in lock.secrets and name not in owners:
            error = unknown(name, lock)
            reasons.append((error.message, error.hint))
        elif name not in lock.secrets:
            reasons.append((f"`{name}` was never made", "fleet secret generate makes it"))
        elif name not in owners:
            hint = f"give it the new one: fleet secret set {name}"
            reasons.append((f"`{name}` is no token that fleet makes: only you know its new value", hint))
        elif owners[name].token == name and kept in lock.secrets and not forgets:
            hint = (
                f"once every server of {owners[name].name} has the new token and no snapshot from before it is needed: "
                f"fleet secret rotate {name} --forget-previous"
            )
            reasons.append((f"`{name}` was rotated before, and `{kept}` may be the one that the cluster has", hint))
    if reasons:
        raise UsageError("\n".join(message for message, _ in reasons), reasons[0][1])
