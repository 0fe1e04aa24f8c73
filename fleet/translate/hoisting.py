"""K3s's settings of single hosts, said once where hosts have them in common: in the Fleet, in a profile of a role, at a
site, else at the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fleet.k3s.keys import server_only
from fleet.model.spec.scalars import Role
from fleet.translate.k3s_settings import Path

Values = dict[Path, Any]


class Hoisted(msgspec.Struct):
    """What each level says; `roles` are profiles for servers and for agents."""

    fleet: Values = {}
    roles: dict[Role, Values] = {}
    sites: dict[str, Values] = {}
    nodes: dict[str, Values] = {}


class Hoisting:
    """`hosts` has the settings of every server and agent, `roles` and `sites` say what and where they are."""

    def __init__(self, hosts: Mapping[str, Values], roles: Mapping[str, Role], sites: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._roles = roles
        self._sites = sites
        self._result = Hoisted({}, {}, {}, {})

    def hoisted(self) -> Hoisted:
        for path in dict.fromkeys(path for values in self._hosts.values() for path in values):
            self._hoist(path)
        return self._result

    def _hoist(self, path: Path) -> None:
        hosts = self._hosts
        concerned = [host for host in hosts if self._roles[host] == "server" or not _is_for_servers(path)]
        if _is_shared(path, concerned, hosts):
            self._result.fleet[path] = hosts[concerned[0]][path]
            return
        rest: list[str] = []
        roles_there: tuple[Role, ...] = ("server", "agent")
        for role in roles_there:
            of_role = [host for host in concerned if self._roles[host] == role]
            if not any(path in hosts[host] for host in of_role):
                continue
            if _is_shared(path, of_role, hosts):
                self._result.roles.setdefault(role, {})[path] = hosts[of_role[0]][path]
            else:
                rest += of_role
        if rest:
            self._to_sites(path, concerned, frozenset(rest))

    def _to_sites(self, path: Path, concerned: Iterable[str], rest: frozenset[str]) -> None:
        """`rest` are those of the hosts that no profile of a role serves."""
        hosts = self._hosts
        at_site: dict[str, list[str]] = {}
        for host in concerned:
            at_site.setdefault(self._sites[host], []).append(host)
        for site, there in at_site.items():
            left = [host for host in there if host in rest and path in hosts[host]]
            if left and len(left) == len(there) and _is_shared(path, left, hosts):
                self._result.sites.setdefault(site, {})[path] = hosts[left[0]][path]
            else:
                for host in left:
                    self._result.nodes.setdefault(host, {})[path] = hosts[host][path]


def _is_shared(path: Path, group: Iterable[str], hosts: Mapping[str, Values]) -> bool:
    """Whether all of them say the same."""
    values = [hosts[host].get(path) for host in group]
    return bool(values) and values[0] is not None and all(value == values[0] for value in values)


def _is_for_servers(path: Path) -> bool:
    return path[0] == "config" and server_only(path[1])


def layer_of(values: Values) -> dict[str, Any]:
    """Paths and values as the `k3s` of a layer: version first, then the rest as it came."""
    layer: dict[str, Any] = {}
    for path in sorted(values, key=lambda path: (_ORDER.index(path[0]), path)):
        if len(path) == 1:
            layer[path[0]] = values[path]
        else:
            layer.setdefault(path[0], {})[path[1]] = values[path]
    return layer


_ORDER = ("version", "channel", "config", "registries", "labels", "taints")
