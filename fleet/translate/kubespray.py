"""Kubespray's variables where K3s has the same thing.

Facts: kubernetes-sigs/kubespray, `inventory/sample/group_vars` and docs/ansible/vars.md. The two are different
distributions: what concerns how Kubespray itself installs Kubernetes has no counterpart, and stays a variable.
"""

from __future__ import annotations

import re
from typing import Any

from fleet.k3s.config import config_problems
from fleet.k3s.keys import SUPPORTED_MINORS
from fleet.model.spec.scalars import Role
from fleet.translate.k3s_settings import Settings, Source, put_argument, put_labels
from fleet.translate.names import is_address

BECAME = {
    "kube_version": "k3s.channel",
    "kube_service_addresses": "k3s.config.service-cidr",
    "kube_pods_subnet": "k3s.config.cluster-cidr",
    "kube_network_node_prefix": "k3s.config.kube-controller-manager-arg, unless it is 24",
    "kube_service_addresses_ipv6": "k3s.config.service-cidr, with dual stack",
    "kube_pods_subnet_ipv6": "k3s.config.cluster-cidr, with dual stack",
    "enable_dual_stack_networks": "both families in the ranges of pods and services",
    "cluster_name": "k3s.config.cluster-domain, unless it is cluster.local",
    "dns_domain": "k3s.config.cluster-domain, unless it is cluster.local",
    "kube_apiserver_port": "k3s.config.https-listen-port, unless it is 6443",
    "kube_proxy_mode": "k3s.config.kube-proxy-arg, unless it is iptables",
    "kube_encrypt_secret_data": "k3s.config.secrets-encryption",
    "kubelet_max_pods": "k3s.config.kubelet-arg",
    "node_labels": "k3s.labels",
    "node_taints": "k3s.taints",
    "loadbalancer_apiserver": "the site's cluster.endpoint",
    "apiserver_loadbalancer_domain_name": "the site's cluster.endpoint",
    "ip": "the node's address",
    "ip6": "the node's second address",
    "http_proxy": "proxy of the Fleet",
    "https_proxy": "proxy of the Fleet",
    "no_proxy": "proxy of the Fleet",
}
NAMES = frozenset({*BECAME, "kube_network_plugin", "container_manager"})
_MINOR = re.compile(r"v?(\d+)\.(\d+)(?:\.\d+)?")
_TAINT = "node-role.kubernetes.io/control-plane=true:NoSchedule"
_DEFAULTS = {"cluster-domain": "cluster.local", "https-listen-port": 6443}


def settings_of(host: str, role: Role, source: Source, *, is_worker: bool) -> Settings:
    """What the variables say of a server or an agent. A control plane that is no worker is kept free of pods."""
    settings = Settings()
    _put_version(settings, host, source)
    if role == "server":
        _put_ranges(settings, host, source)
        _put_server(settings, host, source)
    mode = source.value(host, "kube_proxy_mode")
    if isinstance(mode, str) and mode != "iptables":
        put_argument(settings, "kube-proxy-arg", f"proxy-mode={mode}")
    pods = source.value(host, "kubelet_max_pods")
    if str(pods).isdecimal():
        put_argument(settings, "kubelet-arg", f"max-pods={pods}")
    labels = source.value(host, "node_labels")
    if isinstance(labels, dict):
        put_labels(settings, ((key, _word(value)) for key, value in labels.items()))
    taints = source.value(host, "node_taints")
    said = [str(taint) for taint in taints] if isinstance(taints, list) else []
    if role == "server" and not is_worker:
        said.append(_TAINT)
    if said:
        settings.k3s["taints",] = list(dict.fromkeys(said))
    settings.addresses = addresses_of(host, source)
    _put_proxy(settings, host, source)
    _say_parts(host, source)
    return settings


def addresses_of(host: str, source: Source) -> tuple[str, ...]:
    """What Kubespray binds to, rather than where the host is dialled."""
    said = (source.value(host, "ip"), source.value(host, "ip6"))
    return tuple(each for each in said if isinstance(each, str) and is_address(each))


def _put_version(settings: Settings, host: str, source: Source) -> None:
    text, found = source.value(host, "kube_version"), source.definition(host, "kube_version")
    if found is None or text is None:
        return
    match = _MINOR.fullmatch(str(text))
    if match is None:
        source.warn(found, "not carried over: it is no version of Kubernetes")
        return
    channel = f"v{match[1]}.{match[2]}"
    settings.k3s["channel",] = channel
    known = (
        "" if channel in SUPPORTED_MINORS else f", and fleet knows {SUPPORTED_MINORS[0]} to {SUPPORTED_MINORS[-1]} only"
    )
    message = f"became the channel {channel}: K3s has releases of its own{known}"
    hint = "`fleet lock` pins its newest one; a node of Kubespray's is to be reset before K3s comes onto it"
    source.warn(found, message, hint)


def _put_ranges(settings: Settings, host: str, source: Source) -> None:
    is_dual = source.value(host, "enable_dual_stack_networks") in {True, "true"}
    for key, name in (("service-cidr", "kube_service_addresses"), ("cluster-cidr", "kube_pods_subnet")):
        ranges = [source.value(host, name), source.value(host, f"{name}_ipv6") if is_dual else None]
        given = [each for each in ranges if isinstance(each, str) and each]
        if given:
            _put(settings, key, given if len(given) > 1 else given[0])
    prefix = source.value(host, "kube_network_node_prefix")
    if str(prefix).isdecimal() and int(prefix) != 24:
        put_argument(settings, "kube-controller-manager-arg", f"node-cidr-mask-size={prefix}")


def _put_server(settings: Settings, host: str, source: Source) -> None:
    domain = source.value(host, "cluster_name")
    if (own := source.definition(host, "dns_domain")) is not None:
        template = isinstance(own.value, str) and "cluster_name" in own.value
        domain = domain if template else source.value(host, "dns_domain")
    if isinstance(domain, str):
        _put(settings, "cluster-domain", domain)
    port = source.value(host, "kube_apiserver_port")
    if str(port).isdecimal():
        _put(settings, "https-listen-port", int(port))
    if source.value(host, "kube_encrypt_secret_data") in {True, "true"}:
        _put(settings, "secrets-encryption", True)
    balancer = source.value(host, "loadbalancer_apiserver")
    if isinstance(balancer, dict) and isinstance(balancer.get("address"), str):
        settings.endpoint = balancer["address"]
    name = source.value(host, "apiserver_loadbalancer_domain_name")
    settings.endpoint = name if isinstance(name, str) and name else settings.endpoint


def _put_proxy(settings: Settings, host: str, source: Source) -> None:
    for field, name in (("http", "http_proxy"), ("https", "https_proxy")):
        value = source.value(host, name)
        if isinstance(value, str) and value:
            settings.proxy[field] = value
    without = source.value(host, "no_proxy")
    if isinstance(without, str) and without and settings.proxy:
        settings.proxy["noProxy"] = [each.strip() for each in without.split(",") if each.strip()]


def _say_parts(host: str, source: Source) -> None:
    for name, own in (("kube_network_plugin", "flannel"), ("container_manager", "containerd")):
        found = source.definition(host, name)
        if found is None:
            continue
        if found.value == own:
            source.notes.note(found.mark, name, f"not needed: K3s brings {own}")
        else:
            source.warn(
                found, f"not carried over: K3s brings {own}", "Another one is set up by hand: see K3s's documentation"
            )


def _put(settings: Settings, key: str, value: Any) -> None:
    problems = config_problems({key: value}, minor=None, role="server")
    if value != _DEFAULTS.get(key) and not problems:
        settings.k3s["config", key] = value


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
