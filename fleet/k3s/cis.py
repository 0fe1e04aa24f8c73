"""The CIS profile: the keys, kernel settings and files that harden K3s.

Source: k3s-io/docs security/hardening-guide.md (the tab "v1.29 and Newer", and the one before it), which says which
control each of them meets. The texts are under templates/k3s/cis/. Two departures from the guide's examples: psa.yaml
exempts kube-system alone (the guide also exempts Rancher's compliance operator), and it holds limits for
EventRateLimit, since that plug-in is switched on and wants at least one (kubernetes.io, apiserver-eventratelimit).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fleet.k3s.paths import DATA_DIR, MODE_PRIVATE_DIR, MODE_SECRET, MODE_SYSCTL, SYSCTL, Layout
from fleet.k3s.version import minor_number

# What the kubelet demands with protect-kernel-defaults; the same as templates/k3s/cis/90-kubelet.conf.
SYSCTLS: Mapping[str, int] = {
    "vm.panic_on_oom": 0,
    "vm.overcommit_memory": 1,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
}

TLS_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
)

# Flags whose value is a set: whoever adds to it takes nothing away.
_SETS = frozenset({"enable-admission-plugins"})


class HardeningFile(msgspec.Struct, frozen=True):
    """A text that the profile puts on a node. `template` is below templates/; `mode` is octal."""

    template: str
    path: str
    mode: str


class HardeningDir(msgspec.Struct, frozen=True):
    """A directory that must exist, with this mode, before K3s starts."""

    path: str
    mode: str


def server_config(minor: str | None, data_dir: str = DATA_DIR) -> dict[str, Any]:
    """The keys of config.yaml that the profile sets on a server of this minor (`v1.35`; None: the newest).

    Raises ValueError for a misspelt minor.
    """
    layout = Layout(data_dir)
    is_recent = minor is None or minor_number(minor) >= (1, 29)
    apiserver = [
        "enable-admission-plugins=NodeRestriction,EventRateLimit",
        f"admission-control-config-file={layout.psa}",
        f"audit-log-path={layout.audit_log}",
        f"audit-policy-file={layout.audit_policy}",
        "audit-log-maxage=30",
        "audit-log-maxbackup=10",
        "audit-log-maxsize=100",
    ]
    if is_recent:
        apiserver.append("service-account-extend-token-expiration=false")
    return {
        "protect-kernel-defaults": True,
        "secrets-encryption": True,
        "kube-apiserver-arg": apiserver,
        "kube-controller-manager-arg": [f"terminated-pod-gc-threshold={100 if is_recent else 10}"],
        "kubelet-arg": _kubelet_args(),
    }


def agent_config(minor: str | None) -> dict[str, Any]:
    """The keys of config.yaml that the profile sets on an agent. Raises ValueError for a misspelt minor."""
    if minor is not None:
        minor_number(minor)
    return {"protect-kernel-defaults": True, "kubelet-arg": _kubelet_args()}


def _kubelet_args() -> list[str]:
    return ["streaming-connection-idle-timeout=5m", f"tls-cipher-suites={','.join(TLS_CIPHER_SUITES)}"]


def server_files(data_dir: str = DATA_DIR) -> tuple[HardeningFile, ...]:
    """The profile's files on a server, in the order in which they are written."""
    layout = Layout(data_dir)
    manifest = f"{layout.manifests}/fleet-cis-network-policies.yaml"
    return (
        *agent_files(),
        HardeningFile("k3s/cis/psa.yaml", layout.psa, MODE_SECRET),
        HardeningFile("k3s/cis/audit.yaml", layout.audit_policy, MODE_SECRET),
        HardeningFile("k3s/cis/network-policies.yaml", manifest, MODE_SECRET),
    )


def agent_files() -> tuple[HardeningFile, ...]:
    """The profile's files on an agent; they are on every server too."""
    return (HardeningFile("k3s/cis/90-kubelet.conf", SYSCTL, MODE_SYSCTL),)


def server_dirs(data_dir: str = DATA_DIR) -> tuple[HardeningDir, ...]:
    """Directories of a server that are made first; the audit log's must not be readable for others."""
    return tuple(HardeningDir(path, MODE_PRIVATE_DIR) for path in Layout(data_dir).private_dirs)


def hardened(config: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    """A config with the profile's keys added; where both set the same thing, the config's value stands.

    Arguments of components (`kubelet-arg` and its like) are joined flag by flag, the profile's first: a user's
    `kubelet-arg: [max-pods=250]` takes no hardening away. A flag that is a set of names gets the names of both.
    """
    result = dict(config)
    for name, value in profile.items():
        own = result.get(name)
        if own is None:
            result[name] = list(value) if isinstance(value, list) else value
        elif isinstance(value, list):
            result[name] = _joined(value, [own] if isinstance(own, str) else own)
    return result


def _joined(profile: Sequence[str], own: Sequence[Any]) -> list[str]:
    flags = [str(argument).partition("=") for argument in own]
    values = {name: value for name, _, value in flags}
    joined = []
    for argument in profile:
        name, _, value = argument.partition("=")
        if name in _SETS and name in values:
            joined.append(f"{name}={','.join(dict.fromkeys((*value.split(','), *values[name].split(','))))}")
        elif name not in values:
            joined.append(argument)
    kept = [name + equals + value for name, equals, value in flags if name not in _SETS or name not in _flags(profile)]
    return joined + kept


def _flags(arguments: Sequence[str]) -> frozenset[str]:
    return frozenset(argument.partition("=")[0] for argument in arguments)
