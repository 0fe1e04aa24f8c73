"""K3s in an inventory: what each server and agent is told, what a cluster is, and which variables it came from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fleet.translate import k3s_ansible, kubespray
from fleet.translate.connection import Connections
from fleet.translate.facts import Definition
from fleet.translate.ground import Ground
from fleet.translate.hoisting import Hoisted, Hoisting
from fleet.translate.k3s_settings import Settings, Source
from fleet.translate.layouts import Roles
from fleet.translate.sites import Sites
from fleet.translate.values import vaulted_behind
from fleet.translate.vaults import FOLDER, Vaults

_SILENT = frozenset({"ip", "ip6"})
"""As plain as `ansible_host`: a line for each host would say nothing."""


class SiteCluster(msgspec.Struct):
    """The `cluster` of a site."""

    endpoint: str = ""
    join: str = ""


class K3s(msgspec.Struct, frozen=True):
    """`addresses` are what the playbook calls hosts' own; `names` are the variables that are used up here."""

    names: frozenset[str]
    addresses: Mapping[str, tuple[str, ...]]
    hoisted: Hoisted
    clusters: Mapping[str, SiteCluster]
    proxy: Mapping[str, object]


class Clusters:
    """Works out `K3s` for one inventory."""

    def __init__(self, ground: Ground, connections: Connections, roles: Roles, sites: Sites) -> None:
        self._facts = ground.facts
        self._roles = roles
        self._sites = sites
        self._notes = ground.notes
        self._source = Source(ground, connections)
        self._effective = ground.effective
        workers = [group for group, role in roles.by_group.items() if role == "agent"]
        self._workers = frozenset(host for group in workers for host in self._facts.members[group])

    def k3s(self, vaults: Vaults) -> K3s:
        if not self._roles.layout:
            return K3s(frozenset(), {}, Hoisted({}, {}, {}, {}), {}, {})
        names = kubespray.NAMES if self._roles.layout == "kubespray" else k3s_ansible.NAMES
        own = {host: self._settings(host) for host, role in self._roles.of.items() if role != "none"}
        clusters = self._clusters(own, vaults)
        proxy = self._proxy(own)
        levels = Hoisting({host: each.k3s for host, each in own.items()}, self._roles.of, self._sites.of).hoisted()
        addresses = {host: settings.addresses for host, settings in own.items()}
        if self._roles.layout == "kubespray":  # plain hosts have their addresses there as well
            addresses = {host: kubespray.addresses_of(host, self._source) for host in self._roles.of}
        self._say(names)
        return K3s(names, addresses, levels, clusters, proxy)

    def _settings(self, host: str) -> Settings:
        role = self._roles.of[host]
        if self._roles.layout == "kubespray":
            return kubespray.settings_of(host, role, self._source, is_worker=host in self._workers)
        return k3s_ansible.settings_of(host, role, self._source)

    def _clusters(self, own: Mapping[str, Settings], vaults: Vaults) -> dict[str, SiteCluster]:
        made: dict[str, SiteCluster] = {}
        for host in self._roles.servers:
            site = self._sites.of[host]
            if site not in made:  # the first server of a site speaks for its cluster
                made[site] = SiteCluster(endpoint=self._endpoint(host, own[host]))
                self._put_token(site, host, own[host].token, vaults)
            if own[host].sans:
                self._say_sans(host, made[site], own[host].sans)
        lonely = {self._sites.of[host] for host, role in self._roles.of.items() if role == "agent"} - made.keys()
        if len(made) == 1:
            (only,) = made
            made |= {site: SiteCluster(join=only) for site in sorted(lonely)}
        return made

    def _endpoint(self, host: str, settings: Settings) -> str:
        """The endpoint where it is not just the first server, to which fleet's nodes join anyway."""
        named = {host, *settings.addresses, self._effective.value(host, "ansible_host")}
        return "" if settings.endpoint in named else settings.endpoint

    def _say_sans(self, host: str, cluster: SiteCluster, sans: Mapping[str, Definition]) -> None:
        """The API's certificate carries the endpoint: a further name becomes it where there is none yet."""
        for san, definition in sans.items():
            if san in {cluster.endpoint, host}:
                continue
            message = f"tls-san {san} is not carried over: the API's certificate carries the site's cluster.endpoint"
            hint = "Choose one name for it"
            if not cluster.endpoint:
                cluster.endpoint = san
                message = f"tls-san {san} became the site's cluster.endpoint: nodes join there, too"
                hint = "Take it out where it leads to one server only"
            self._notes.warn(definition.mark, definition.name, message, hint)

    def _put_token(self, site: str, host: str, token: Definition | None, vaults: Vaults) -> None:
        if token is None:
            return
        sealed = vaults.ciphertext(vaulted_behind(token, host, self._effective))
        if sealed:
            vaults.put(f"{FOLDER}/{site}.yaml", f"{site}.k3s-token", sealed)
            return
        hint = (
            f"`fleet secret generate` makes one; to keep this one, put it into {FOLDER}/{site}.yaml as {site}.k3s-token"
        )
        self._notes.warn(token.mark, token.name, "the cluster's token is not vaulted, and is not carried over", hint)

    def _proxy(self, own: Mapping[str, Settings]) -> Mapping[str, object]:
        said = [settings.proxy for settings in own.values()]
        if said and all(proxy == said[0] for proxy in said):
            return said[0]
        for definition in self._facts.definitions():
            if definition.name in {"http_proxy", "https_proxy", "no_proxy"}:
                message = "not carried over: hosts differ in it, and fleet has one proxy for all of K3s"
                self._notes.warn(definition.mark, definition.name, message, "Say `proxy` of the Fleet")
        return {}

    def _say(self, names: frozenset[str]) -> None:
        became = kubespray.BECAME if self._roles.layout == "kubespray" else k3s_ansible.BECAME
        for definition in self._facts.definitions():
            name, mark = definition.name, definition.mark
            if name not in names or name in _SILENT or self._notes.has_warning(mark, name):
                continue
            if self._roles.layout == "k3s":
                k3s_ansible.say_elsewhere(definition, self._source)
            if name in became and id(definition) in self._source.used:
                self._notes.note(mark, name, f"became {became[name]}")
            elif name in became:
                self._notes.note(mark, name, "not in force for any server or agent: left out")
        for host in self._roles.etcd_only:
            message = "only keeps etcd: K3s runs etcd inside its servers, so it is a plain host here"
            self._notes.warn(self._facts.inventory.marks.hosts[host], host, message, "Give it a role, or take it out")
        for host in self._roles.bastions:
            message = "Kubespray reaches the other hosts through it, which is not carried over"
            hint = "Say `connection: {jumpHost: USER@ADDRESS}`"
            self._notes.warn(self._facts.inventory.marks.hosts[host], host, message, hint)
