"""Which groups make K3s servers and agents. The layouts of well-known playbooks are known; others are named by option.

Facts: k3s-io/k3s-ansible (`inventory-sample.yml`: server, agent below k3s_cluster; before 2023 master and node; its
forks use the same), kubernetes-sigs/kubespray (docs/ansible/inventory.md: kube_control_plane, kube_node, etcd, calico_rr
below k8s_cluster; before 2.17 with dashes, and kube-master).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from fleet.errors import UsageError
from fleet.model.spec.scalars import Role
from fleet.model.translation import ImportOptions
from fleet.translate.facts import ALL, UNGROUPED, Facts

Layout = Literal["k3s", "kubespray", ""]

_K3S_TOPS = ("k3s_cluster", "k3s", "k3s-cluster")
_K3S_SERVERS = ("server", "master", "servers", "masters", "k3s_server", "k3s_servers", "k3s_master", "k3s_masters")
_K3S_AGENTS = ("agent", "node", "agents", "nodes", "worker", "workers", "k3s_agent", "k3s_agents", "k3s_node",
               "k3s_nodes", "k3s_worker", "k3s_workers")  # fmt: skip
_K3S_MARK = "k3s_version"
_KUBESPRAY_SERVERS = ("kube_control_plane", "kube-control-plane", "kube-master", "kube_master")
_KUBESPRAY_AGENTS = ("kube_node", "kube-node")
_ETCD = "etcd"
_BASTION = "bastion"


class Roles(msgspec.Struct, frozen=True):
    """`of` has each host's role, `servers` the hosts in the order in which their groups name them. `by_group` has the
    groups that gave roles. `etcd_only` are hosts of Kubespray that only keep etcd, `bastions` its jump hosts.
    """

    layout: Layout
    of: Mapping[str, Role]
    servers: tuple[str, ...]
    by_group: Mapping[str, Role]
    etcd_only: tuple[str, ...] = ()
    bastions: tuple[str, ...] = ()


def roles_of(facts: Facts, options: ImportOptions) -> Roles:
    """Each host's role. Raises UsageError for an option that names no group."""
    if options.server_group or options.agent_group:
        servers = matching(facts, options.server_group, "--server-group") if options.server_group else ()
        agents = matching(facts, options.agent_group, "--agent-group") if options.agent_group else ()
        return _roles(facts, "k3s", servers, agents)
    kubespray = _present(facts, _KUBESPRAY_SERVERS)
    if kubespray:
        return _kubespray(facts, kubespray)
    tops = _present(facts, _K3S_TOPS)
    if tops or any(definition.name == _K3S_MARK for definition in facts.definitions()):
        within = {host for top in tops for host in facts.members[top]} or None
        return _roles(facts, "k3s", _present(facts, _K3S_SERVERS), _present(facts, _K3S_AGENTS), within)
    return _roles(facts, "", (), ())


def matching(facts: Facts, pattern: str, option: str) -> tuple[str, ...]:
    """The groups that an option names: one by its name, else those that a regular expression matches as a whole."""
    known = [group for group in facts.inventory.groups if group not in {ALL, UNGROUPED}]
    if pattern in known:
        return (pattern,)
    try:
        found = tuple(group for group in known if re.fullmatch(pattern, group))
    except re.error as error:
        raise UsageError(f"{option} {pattern!r} is no regular expression: {error}") from None
    if not found:
        some = ", ".join(known[:10]) or "none"
        raise UsageError(f"{option} {pattern!r} names no group of the inventory", f"its groups are {some}")
    return found


def _kubespray(facts: Facts, servers: tuple[str, ...]) -> Roles:
    roles = _roles(facts, "kubespray", servers, _present(facts, _KUBESPRAY_AGENTS))
    etcd = facts.members.get(_ETCD, ())
    return msgspec.structs.replace(
        roles,
        etcd_only=tuple(host for host in etcd if roles.of[host] == "none"),
        bastions=tuple(facts.members.get(_BASTION, ())),
    )


def _roles(
    facts: Facts, layout: Layout, servers: tuple[str, ...], agents: tuple[str, ...], within: set[str] | None = None
) -> Roles:
    of: dict[str, Role] = dict.fromkeys(facts.inventory.hosts, "none")
    for groups, role in ((agents, "agent"), (servers, "server")):
        for host in _hosts(facts, groups):
            if within is None or host in within:
                of[host] = role  # type: ignore[assignment]  # the two roles above
    named: dict[str, Role] = {**dict.fromkeys(agents, "agent"), **dict.fromkeys(servers, "server")}
    ordered = tuple(host for host in _hosts(facts, servers) if of[host] == "server")
    return Roles(layout, of, ordered, named)


def _present(facts: Facts, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if facts.members.get(name))


def _hosts(facts: Facts, groups: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(host for group in groups for host in facts.members[group]))
