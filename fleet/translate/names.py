"""Names that a spec takes, out of names that Ansible takes. The same names for the same inventory."""

from __future__ import annotations

import re
import socket
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LONGEST = 63
BUILT_IN = frozenset({"site", "role", "set", "cluster", "arch"})
"""Labels that every node has by itself."""


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def dns_label(text: str, fallback: str) -> str:
    """The text as a DNS label: lower case, and `-` for what is none of letters and digits."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_LONGEST].strip("-") or fallback


def label_key(group: str) -> str:
    """A group's name as the key of a label (Kubernetes: letters, digits, `-`, `_` and `.`, at most 63)."""
    key = group
    if not _KEY.fullmatch(group):
        key = re.sub(r"[^A-Za-z0-9_.-]", "_", group).strip("-_.")[:_LONGEST].strip("-_.") or "group"
    return f"group-{key}" if key in BUILT_IN else key


def secret_name(*parts: str) -> str:
    """The parts as a secret's name: joined by dots, each of letters, digits and `_`, with single dashes within."""
    mended = [re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_-]", "_", part)).strip("-") or "_" for part in parts]
    name = ".".join(mended)
    return name if name[0].isalpha() or name[0] == "_" else f"_{name}"


class Taken:
    """Names of one kind, each given once: the second of two gets a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def give(self, name: str, longest: int = 200) -> str:
        given, number = name, 2
        while given in self._taken:
            end = f"-{number}"
            given, number = name[: longest - len(end)].rstrip("-_.") + end, number + 1
        self._taken.add(given)
        return given


def node_names(hosts: Iterable[str]) -> Mapping[str, str]:
    """A node's name for each host. A name with a domain loses it where the rest tells the hosts apart."""
    hosts = list(hosts)
    firsts = Counter(dns_label(_first(host), "node") for host in hosts)
    names: dict[str, str] = {host: host for host in hosts if _LABEL.fullmatch(host)}
    taken = Taken(names)
    for host in hosts:
        if host not in names:
            short = dns_label(_first(host), "node")
            names[host] = taken.give(short if firsts[short] == 1 else dns_label(host, "node"), _LONGEST)
    return {host: names[host] for host in hosts}


def label_keys(groups: Iterable[str]) -> Mapping[str, str]:
    """A label's key for each group; groups whose names need no mending keep them."""
    groups = list(groups)
    keys = {group: group for group in groups if label_key(group) == group}
    taken = Taken(keys)
    for group in groups:
        if group not in keys:
            keys[group] = taken.give(label_key(group), _LONGEST)
    return {group: keys[group] for group in groups}


def _first(host: str) -> str:
    return host if is_address(host) else host.split(".", 1)[0]
