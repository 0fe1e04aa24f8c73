"""Nodes as an Ansible inventory: host variables and groups, for the project's files and for the script protocol."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

from fleet.formats.ssh_jump import jump_options
from fleet.formats.yaml_write import dump_scalar
from fleet.k3s.token import CA_HASH
from fleet.model.fleet import ResolvedFleet
from fleet.model.node import Connection, Node, Updates
from fleet.model.project import Group

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")
RANKS = 5
"""Servers of a cluster beyond this many go one at a time through `server_rank_more`."""


def host_vars(fleet: ResolvedFleet, node: Node, machine_id: str = "", ca_hash: str = "") -> dict[str, Any]:
    """The variables of one host: how to reach it, what it is, what it waits for."""
    values: dict[str, Any] = {
        **connection_vars(node),
        "fleet_node": node.name,
        "fleet_site": node.site,
        "fleet_role": node.role,
    }
    if node.cluster:
        values["fleet_cluster"] = node.cluster
        if after := _after(fleet, node):
            values["fleet_after"] = after
    if packages := node.settings.os.packages:
        values["fleet_packages"] = [{"name": p.name, **({"version": p.version} if p.version else {})} for p in packages]
    if users := node.settings.os.users:
        values["fleet_users"] = [_user(user) for user in users]
    if (updates := node.settings.os.updates).are_wanted:
        values["fleet_updates"] = _updates(updates)
    if machine_id:
        values["fleet_machine_id"] = machine_id
    if ca_hash:
        values["fleet_learned"] = {CA_HASH: ca_hash}
    return values


def ca_hashes(
    fleet: ResolvedFleet, nodes: Iterable[Node], learned: Callable[[Iterable[str]], Mapping[str, Mapping[str, str]]]
) -> dict[str, str]:
    """The hash of its CA for each cluster of these nodes, as the first of its servers that knows has told it."""
    clusters = [fleet.clusters[name] for name in dict.fromkeys(node.cluster for node in nodes if node.cluster)]
    told = learned([server for cluster in clusters for server in cluster.servers])
    found = {}
    for cluster in clusters:
        known = (told[server].get(CA_HASH, "") for server in cluster.servers if server in told)
        if ca_hash := next(filter(None, known), ""):
            found[cluster.name] = ca_hash
    return found


def connection_vars(node: Node) -> dict[str, Any]:
    """Ansible's own variables. A sandbox is a folder of this machine: `fleet_root` below the connection's address."""
    way = node.connection
    if way.type == "sandbox":
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "fleet_root": f"{way.address}/{node.name}",
        }
    values: dict[str, Any] = {"ansible_host": way.address, "ansible_port": way.port, "ansible_user": way.user}
    if way.become:
        values["ansible_become"] = True
    if way.become_password:
        values["ansible_become_password"] = f"{{{{ lookup('edgefleet.fleet.secret', '{way.become_password}') }}}}"
    if way.private_key:
        values["ansible_ssh_private_key_file"] = way.private_key
    if arguments := _ssh_arguments(way):
        values["ansible_ssh_common_args"] = arguments
    return values


def all_vars(fleet: ResolvedFleet, commit: str) -> dict[str, Any]:
    """The variables of every host."""
    return {"fleet_name": fleet.name, "fleet_commit": commit}


def groups(fleet: ResolvedFleet, nodes: Sequence[Node]) -> list[Group]:
    """Every group that has a host, by name: by site, role, cluster, label, and what site.yml goes by."""
    members: dict[tuple[str, ...], list[str]] = {}
    ranks = {name: at for cluster in fleet.clusters.values() for at, name in enumerate(cluster.servers, 1)}
    # What nodes have in common is looked up once, and then only added to.
    places: dict[tuple[str, ...], list[list[str]]] = {}
    labels: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        name, place = node.name, (node.site, node.role, node.cluster)
        known = places.get(place)
        if known is None:
            keys = [("site", node.site), ("role", node.role), *([("cluster", node.cluster)] if node.cluster else [])]
            known = places[place] = [members.setdefault(key, []) for key in keys]
        for hosts in known:
            hosts.append(name)
        for label in node.labels.items():
            if (own := labels.get(label)) is None:
                own = labels[label] = members.setdefault(("label", *label), [])
            own.append(name)
        if node.role == "server":
            rank = ranks[name]
            members.setdefault(("server_rank", str(rank) if rank <= RANKS else "more"), []).append(name)
        if node.settings.os.packages:
            members.setdefault(("has_packages",), []).append(name)
        if node.settings.os.users:
            members.setdefault(("has_users",), []).append(name)
        if node.settings.os.updates.are_wanted:
            members.setdefault(("has_updates",), []).append(name)
    names = _group_names(members)
    return sorted((Group(names[key], tuple(hosts)) for key, hosts in members.items()), key=lambda group: group.name)


def listing(hosts: Mapping[str, Mapping[str, Any]], grouped: Iterable[Group]) -> dict[str, Any]:
    """The script protocol's `--list` (docs.ansible.com, Developing dynamic inventory), with `_meta`."""
    grouped = list(grouped)
    document: dict[str, Any] = {"_meta": {"hostvars": dict(hosts)}}
    document["all"] = {"children": ["ungrouped", *(group.name for group in grouped)]}
    document |= {group.name: {"hosts": list(group.hosts)} for group in grouped}
    return document


def hosts_text(grouped: Iterable[Group]) -> str:
    """inventory/hosts.yml. Host variables are in host_vars/, one file a host."""
    lines = ["all:\n  children:\n"]
    for group in grouped:
        lines.append(f"    {group.name}:\n      hosts:\n")
        lines += [f"        {_key(host)}:\n" for host in group.hosts]
    return "".join(lines) if len(lines) > 1 else "all: {}\n"


def _key(name: str) -> str:
    """A DNS label as a YAML key: in quotes where a reader could take it for a number or a date."""
    return name if name[0].isalpha() and "-" in name else dump_scalar(name)


def _group_names(keys: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Names that Ansible takes. Two labels that differ only in what it does not take get a suffix of their own."""
    plain = {key: _NOT_A_NAME.sub("_", "_".join(key)) for key in keys}
    count: dict[str, int] = {}
    for name in plain.values():
        count[name] = count.get(name, 0) + 1
    return {
        key: name if count[name] == 1 else f"{name}_{hashlib.sha256(repr(key).encode()).hexdigest()[:6]}"
        for key, name in plain.items()
    }


def _after(fleet: ResolvedFleet, node: Node) -> list[str]:
    """The servers that must have come through before this node is touched."""
    servers = fleet.clusters[node.cluster].servers
    return list(servers[: servers.index(node.name)] if node.role == "server" else servers)


def _ssh_arguments(way: Connection) -> str:
    if way.proxy_command:
        return f"-o ProxyCommand={quote(way.proxy_command)}"
    return " ".join(quote(word) for word in jump_options(way.jump_host, way.private_key, "known_hosts"))


def _updates(updates: Updates) -> dict[str, Any]:
    values: dict[str, Any] = {"mode": updates.mode, "reboot": updates.reboot}
    if updates.snapshot:
        values["snapshot"] = updates.snapshot
    if updates.sources:
        values["sources"] = list(updates.sources)
    return values


def _user(user: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"name": user.name}
    if user.groups:
        values["groups"] = list(user.groups)
    if user.shell:
        values["shell"] = user.shell
    if user.system:
        values["system"] = True
    if user.authorized_keys:
        values["authorized_keys"] = list(user.authorized_keys)
    return values
