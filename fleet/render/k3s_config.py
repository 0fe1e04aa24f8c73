"""K3s's config.yaml and registries.yaml: data, serialised key by key, the same bytes for equal values.

Everything is in the file and nothing on the command line, which would beat it (k3s-contract.md, rule 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet.formats.yaml_write import dump, dump_mapping_item
from fleet.k3s import cis, paths
from fleet.k3s.keys import CRITICAL_KEYS, IMMUTABLE_KEYS, server_only
from fleet.k3s.version import minor_of
from fleet.model.bundle import Segment
from fleet.model.cluster import Cluster
from fleet.model.node import K3sSettings, Node
from fleet.model.secret import LockedSecret
from fleet.render.placeholders import json_placeholder, segments

_HEADER = "# Written by fleet from the fleet's git repository; what is changed here is changed back.\n"
_SECRET = re.compile(r'(?<!\\)"secret:([A-Za-z0-9._-]+)"')

Secrets = Mapping[str, LockedSecret]


def shared_config(k3s: K3sSettings, hardening: str, role: str) -> dict[str, Any]:
    """The keys that all nodes of a role share wherever they are. What only a server knows is left out on an agent."""
    config = k3s.config
    if role == "agent":
        config = {key: value for key, value in config.items() if not server_only(key)}
    if hardening == "cis":
        minor = minor_of(k3s.version) if k3s.version else None
        profile = cis.server_config(minor, data_dir(k3s)) if role == "server" else cis.agent_config(minor)
        config = cis.hardened(config, profile)
    own: dict[str, Any] = {"token-file": paths.token_path(role)}
    if role == "server":
        own["agent-token-file"] = paths.AGENT_TOKEN
    return {**config, **own}


def node_text(k3s: K3sSettings) -> str:
    """What K3s gives its Node: taints when it registers it, labels whenever it starts (pkg/agent/run.go, configureNode).

    Neither is ever taken away again by it. A Node that is there gets both through the API, so this restarts nothing.
    """
    own: dict[str, Any] = {}
    if k3s.labels:
        own["node-label"] = [f"{key}={value}" for key, value in sorted(k3s.labels.items())]
    if k3s.taints:
        own["node-taint"] = list(k3s.taints)
    return _HEADER + dump(own) if own else ""


def cluster_config(role: str, cluster: Cluster, *, is_first: bool) -> dict[str, Any]:
    """The keys that follow from the cluster: where to join, what the API's certificate carries, its datastore."""
    own: dict[str, Any] = {}
    if role == "server":
        if cluster.tls_san:
            own["tls-san"] = list(cluster.tls_san)
        own |= _external(cluster)
    if role == "agent" or (cluster.datastore == "etcd" and not is_first):
        own["server"] = cluster.url
    return own


def chunks(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each key with its text, secrets as placeholders."""
    return tuple((key, _placed(dump_mapping_item(key, value))) for key, value in config.items())


def config_text(parts: Iterable[tuple[str, str]], secrets: Secrets) -> Callable[[Node], tuple[Segment, ...]]:
    """Makes the text for a node: its own keys, node-ip and node-name, stand between `parts`, all in order."""
    ordered = sorted(parts)
    before = _HEADER + "".join(text for key, text in ordered if key < "node-ip")
    between = "".join(text for key, text in ordered if "node-ip" < key < "node-name")
    after = "".join(text for key, text in ordered if key > "node-name")
    has_secret = "\0" in before + between + after

    def text(node: Node) -> tuple[Segment, ...]:
        address = f'node-ip: "{",".join(node.addresses)}"\n' if node.addresses else ""
        whole = f'{before}{address}{between}node-name: "{node.name}"\n{after}'
        return segments(whole, secrets) if has_secret else (whole,)

    return text


def registries_text(registries: Mapping[str, Any], secrets: Secrets) -> tuple[Segment, ...]:
    return segments(_placed(_HEADER + dump(registries, sort_keys=True)), secrets)


def join_text(cluster: Cluster) -> str:
    """What only an empty first server of an etcd cluster reads: found the cluster, or join the living one.

    It is written when it is absent and never compared: on a server with data K3s passes it over (contract, rule 2). One of
    which no server is left is founded anew (rule join-target warns of that).
    """
    if not cluster.existed or cluster.is_lost:
        return "cluster-init: true\n"
    return dump({"server": cluster.rejoin}) if cluster.rejoin else ""


def fact_config(config: Mapping[str, Any]) -> dict[str, object]:
    """The keys that rules compare before and after, each as a text."""
    return {
        key: value if isinstance(value, str) else dump_mapping_item(key, value).partition(":")[2].strip()
        for key, value in config.items()
        if key in CRITICAL_KEYS or key in IMMUTABLE_KEYS
    }


def data_dir(k3s: K3sSettings) -> str:
    return str(k3s.config.get("data-dir", paths.DATA_DIR))


def _external(cluster: Cluster) -> dict[str, str]:
    said = cluster.external
    if said is None:
        return {}
    own = {"datastore-endpoint": f"secret:{said.endpoint_secret}"}
    if said.ca:
        own["datastore-cafile"] = paths.DATASTORE_CA
    if said.cert:
        own["datastore-certfile"] = paths.DATASTORE_CERT
    if said.key:
        own["datastore-keyfile"] = paths.DATASTORE_KEY
    return own


def _placed(text: str) -> str:
    """Every whole value `secret:NAME` becomes a placeholder for the secret as a quoted string."""
    return _SECRET.sub(lambda found: json_placeholder(found[1]), text)
