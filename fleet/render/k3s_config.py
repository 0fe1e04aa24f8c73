"""K3s's config.yaml and registries.yaml: data, serialised key by key, the same bytes for equal values.

Everything is in the file and nothing on the command line, which would beat it (k3s-contract.md, rule 5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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


def config_for(k3s: K3sSettings, hardening: str, role: str, cluster: Cluster, *, is_first: bool) -> dict[str, Any]:
    """All keys of config.yaml but node-name and node-ip. What a server only knows is left out on an agent."""
    config = k3s.config
    if role == "agent":
        config = {key: value for key, value in config.items() if not server_only(key)}
    if hardening == "cis":
        minor = minor_of(k3s.version) if k3s.version else None
        profile = cis.server_config(minor, data_dir(k3s)) if role == "server" else cis.agent_config(minor)
        config = cis.hardened(config, profile)
    own: dict[str, Any] = {"token-file": paths.token_path(role)}
    if k3s.labels:
        own["node-label"] = [f"{key}={value}" for key, value in sorted(k3s.labels.items())]
    if k3s.taints:
        own["node-taint"] = list(k3s.taints)
    if role == "server":
        own["agent-token-file"] = paths.AGENT_TOKEN
        if cluster.tls_san:
            own["tls-san"] = list(cluster.tls_san)
        own |= _external(cluster)
    if role == "agent" or (cluster.datastore == "etcd" and not is_first):
        own["server"] = cluster.url
    return {**config, **own}


def config_text(config: Mapping[str, Any], secrets: Secrets) -> Callable[[Node], tuple[Segment, ...]]:
    """Makes the text for a node: the shared keys are written once, node-ip and node-name stand between them."""
    chunks = sorted((key, dump_mapping_item(key, value)) for key, value in config.items())
    before = _HEADER + "".join(text for key, text in chunks if key < "node-ip")
    between = "".join(text for key, text in chunks if "node-ip" < key < "node-name")
    after = "".join(text for key, text in chunks if key > "node-name")
    before, between, after = (_placed(text) for text in (before, between, after))
    has_secret = "\0" in before + between + after

    def text(node: Node) -> tuple[Segment, ...]:
        address = f'node-ip: "{",".join(node.addresses)}"\n' if node.addresses else ""
        whole = f'{before}{address}{between}node-name: "{node.name}"\n{after}'
        return segments(whole, secrets) if has_secret else (whole,)

    return text


def registries_text(registries: Mapping[str, Any], secrets: Secrets) -> tuple[Segment, ...]:
    return segments(_placed(_HEADER + dump(registries, sort_keys=True)), secrets)


def join_text(cluster: Cluster, name: str) -> str:
    """What only an empty first server of an etcd cluster reads: found the cluster, or join the living one.

    It is written when it is absent and never compared: on a server with data K3s passes it over (contract, rule 2).
    """
    if not cluster.existed:
        return "cluster-init: true\n"
    others = [server for server in cluster.servers if server != name]
    return dump({"server": cluster.url}) if others else ""


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
