"""The ports that a cluster needs open between its nodes, as data for whoever writes firewalls.

Source: k3s-io/docs installation/requirements.md ("Inbound Rules for K3s Nodes", "Local Ports"),
installation/registry-mirror.md. Pod and service CIDRs are trusted on the node itself: no rule of ports covers them.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

Group = Literal["all", "servers"]
Protocol = Literal["tcp", "udp"]
Need = Literal["always", "etcd", "flannel-vxlan", "flannel-wireguard", "flannel-wireguard-ipv6", "embedded-registry"]


class PortRule(msgspec.Struct, frozen=True):
    """Nodes of `source` reach nodes of `target` at ports first to last. `need`: what makes the rule necessary.

    `is_private`: never on a public interface, since whoever reaches the port is inside the cluster's network.
    """

    source: Group
    target: Group
    protocol: Protocol
    first: int
    last: int
    need: Need
    why: str
    is_private: bool = False


PORTS = (
    PortRule("all", "servers", "tcp", 6443, 6443, "always", "K3s supervisor and Kubernetes API server"),
    PortRule("servers", "servers", "tcp", 2379, 2380, "etcd", "embedded etcd: clients and peers"),
    PortRule("all", "all", "tcp", 10250, 10250, "always", "kubelet metrics and API"),
    PortRule("all", "all", "udp", 8472, 8472, "flannel-vxlan", "flannel vxlan", is_private=True),
    PortRule("all", "all", "udp", 51820, 51820, "flannel-wireguard", "flannel wireguard-native, IPv4"),
    PortRule("all", "all", "udp", 51821, 51821, "flannel-wireguard-ipv6", "flannel wireguard-native, IPv6"),
    PortRule("all", "all", "tcp", 5001, 5001, "embedded-registry", "embedded registry: peer to peer"),
    PortRule("all", "all", "tcp", 6443, 6443, "embedded-registry", "embedded registry: images, from every node"),
)

DEFAULT_API_PORT = 6443
# Taken on the loopback interface of every node, so no NodePort and no other program may use them.
LOCAL_PORTS = (2381, 2382, 6444, 10010, 10248, 10249, 10250, 10256, 10257, 10258, 10259)
# `service-node-port-range` unless told otherwise (cli/server.md).
NODE_PORTS = (30000, 32767)


def own_address(config: Mapping[str, Any]) -> str:
    """`host:port` at which a server reaches its own API. Its certificate is good for 127.0.0.1 always."""
    address = str(config.get("bind-address") or "")
    host = "127.0.0.1" if address in {"", "0.0.0.0", "::"} else address  # noqa: S104 - it says any, we bind none
    return f"{f'[{host}]' if ':' in host else host}:{config.get('https-listen-port') or DEFAULT_API_PORT}"


def ports_for(
    *,
    etcd: bool,
    flannel_backend: str = "vxlan",
    ipv6: bool = False,
    embedded_registry: bool = False,
    api_port: int = DEFAULT_API_PORT,
) -> tuple[PortRule, ...]:
    """The rules that one cluster needs, in the table's order.

    `etcd`: its datastore is embedded etcd. `ipv6`: its nodes talk IPv6. `api_port`: its `https-listen-port`.
    Backends other than vxlan and wireguard-native need no port of their own.
    """
    needs: set[str] = {"always"}
    if etcd:
        needs.add("etcd")
    if flannel_backend == "vxlan":
        needs.add("flannel-vxlan")
    if flannel_backend == "wireguard-native":
        needs.add("flannel-wireguard")
        if ipv6:
            needs.add("flannel-wireguard-ipv6")
    if embedded_registry:
        needs.add("embedded-registry")
    return _moved(needs, api_port)


def _moved(needs: Collection[str], api_port: int) -> tuple[PortRule, ...]:
    rules = (rule for rule in PORTS if rule.need in needs)
    if api_port == DEFAULT_API_PORT:
        return tuple(rules)
    return tuple(
        msgspec.structs.replace(rule, first=api_port, last=api_port) if rule.first == DEFAULT_API_PORT else rule
        for rule in rules
    )
