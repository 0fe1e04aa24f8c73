"""Values of K3s's keys as K3s understands them, so that two spellings of one thing are no difference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from fleet.k3s.keys import find_key
from fleet.k3s.rules import critical_disables

_CIDRS = frozenset({"cluster-cidr", "service-cidr"})
# cli/server.md: cluster-dns "should be in your service-cidr range", and is its tenth address unless told.
_DNS_ADDRESS = 10


def value_of(config: Mapping[str, Any], key: str) -> str:
    """What a config says of a key, K3s's default where it says nothing, "" where there is none.

    Lists come with commas, booleans as `true` and `false`, CIDRs and addresses in one spelling; of `disable` only
    what must be the same on all servers.
    """
    value = config.get(key)
    if key == "disable":
        return ",".join(sorted(critical_disables(parts_of(value))))
    if value is None and key == "cluster-dns":
        return _default_dns(value_of(config, "service-cidr"))
    known = find_key(key)
    if value is None and known is not None:
        value = known.default
    if known is not None and known.kind == "bool":
        return "true" if str(value).lower() == "true" else "false"
    return ",".join(_canonical(key, part) for part in parts_of(value))


def is_on(config: Mapping[str, Any], key: str) -> bool:
    return value_of(config, key) == "true"


def parts_of(value: Any) -> list[str]:
    """A list, or a text with commas, as texts; nothing for an absent one.

    Facts of a bundle hold a list as it stands in config.yaml: `- "10.42.0.0/16"`, a line each.
    """
    if value is None:
        return []
    items = value if isinstance(value, list | tuple) else str(value).split("\n")
    parts = (part.strip().removeprefix("- ").strip("\"' ") for item in items for part in str(item).split(","))
    return [part for part in parts if part]


@cache
def _canonical(key: str, text: str) -> str:
    try:
        if key in _CIDRS:
            return str(ip_network(text, strict=False))
        return str(ip_address(text)) if key == "cluster-dns" else text
    except ValueError:
        return text


def _default_dns(service_cidr: str) -> str:
    try:
        return ",".join(str(ip_network(cidr)[_DNS_ADDRESS]) for cidr in service_cidr.split(","))
    except (ValueError, IndexError):
        return ""
