"""A Cluster: servers and agents that share tokens, quorum, critical keys and NetworkPolicies."""

from __future__ import annotations

from typing import Literal

import msgspec

from fleet.model.problem import Place


class ExternalDatastore(msgspec.Struct, frozen=True):
    """Names of secrets and repository files; the endpoint holds credentials, so it is always a secret."""

    endpoint_secret: str
    ca: str = ""
    cert: str = ""
    key: str = ""


class Cluster(msgspec.Struct, frozen=True, eq=False):
    """`servers` in the order in which they are touched, `server_urls` where they answer; `url` is where everyone but the first server joins, `rejoin`
    where that one does when it is empty and the cluster lives: empty where it is alone.

    `tls_san` are the names and addresses that the API certificate must carry. `quorum` is how many servers must
    stay up: 1 for sqlite and external, a majority for etcd. `existed` is learned; `converts`: it
    lives on SQLite, and becomes etcd by a restart with cluster-init, as one that never existed. `is_lost`: it existed, and no
    server of it is left. `snapshot_command` saves an external datastore, on the controller.
    """

    name: str
    site: str
    servers: tuple[str, ...]
    agents: tuple[str, ...]
    datastore: Literal["sqlite", "etcd", "external"]
    url: str
    tls_san: tuple[str, ...]
    token: str
    agent_token: str
    place: Place
    rejoin: str = ""
    server_urls: tuple[str, ...] = ()
    growing: bool = False
    existed: bool = False
    converts: bool = False
    is_lost: bool = False
    external: ExternalDatastore | None = None
    snapshot_command: tuple[str, ...] = ()

    @property
    def quorum(self) -> int:
        return len(self.servers) // 2 + 1 if self.datastore == "etcd" else 1
