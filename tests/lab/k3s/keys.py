"""The keys of config.yaml, for each role and release: every flag of `k3s server` and `k3s agent` is one.

Read, separately from the product's table, in:
- docs/cli/server.md and docs/cli/agent.md of k3s-io/docs, "K3s Server CLI Help" and "K3s Agent CLI Help", with the
  tables above them (k3s-io/docs 02434960 and 1f023c05, of 2026);
- pkg/cli/cmds/server.go and agent.go of k3s-io/k3s, for flags that are hidden there (files of 2024, the newest whose
  text could be had), and github.com/rancher/rke2 pkg/cli/cmds/k3sopts, server.go, which lists every flag of the K3s
  that it builds on (kine-tls, supervisor-port, apiserver-port, apiserver-bind-address, etcd-snapshot-reconcile-interval,
  etcd-s3-session-token);
- version gates: docs/add-ons/helm.md (helm-controller-arg), docs/cli/etcd-snapshot.md (etcd-s3-retention),
  docs/release-notes/v1.37.X.md (write-kubeconfig-name).
A guess: no list of flags could be had for v1.36 and v1.37, so all that is not in their release notes is carried over.
"""

from .release import minor_of, release_of

# A flag's kind decides what its value may be (github.com/urfave/cli): s(tring), b(ool), i(nt), d(uration), l(ist).
_BOTH = """
debug:b v:i vmodule:s log:s alsologtostderr:b bind-address:s data-dir:s
token:s token-file:s server:s
node-name:s with-node-id:b node-label:l node-taint:l
image-credential-provider-bin-dir:s image-credential-provider-config:s
docker:b container-runtime-endpoint:s default-runtime:s image-service-endpoint:s
disable-default-registry-endpoint:b nonroot-devices:b pause-image:s snapshotter:s private-registry:s
airgap-extra-registry:l
node-ip:l node-external-ip:l node-internal-dns:l node-external-dns:l resolv-conf:s
flannel-iface:s flannel-conf:s flannel-cni-conf:s vpn-auth:s vpn-auth-file:s
kubelet-arg:l kube-proxy-arg:l protect-kernel-defaults:b selinux:b lb-server-port:i
enable-pprof:b rootless:b prefer-bundled-bin:b
"""
_AGENT = "disable-apiserver-lb:b"
_SERVER = """
https-listen-port:i supervisor-port:i apiserver-port:i apiserver-bind-address:s
advertise-address:s advertise-port:i tls-san:l tls-san-security:b
cluster-cidr:l service-cidr:l service-node-port-range:s cluster-dns:l cluster-domain:s
flannel-backend:s flannel-ipv6-masq:b flannel-external-ip:b egress-selector-mode:s servicelb-namespace:s
write-kubeconfig:s write-kubeconfig-mode:s write-kubeconfig-group:s helm-job-image:s
agent-token:s agent-token-file:s cluster-init:b cluster-reset:b cluster-reset-restore-path:s
kube-apiserver-arg:l etcd-arg:l kube-controller-manager-arg:l kube-scheduler-arg:l kube-cloud-controller-manager-arg:l
datastore-endpoint:s datastore-cafile:s datastore-certfile:s datastore-keyfile:s kine-tls:b
etcd-expose-metrics:b etcd-disable-snapshots:b etcd-snapshot-name:s etcd-snapshot-schedule-cron:s
etcd-snapshot-reconcile-interval:d etcd-snapshot-retention:i etcd-snapshot-dir:s etcd-snapshot-compress:b
etcd-s3:b etcd-s3-endpoint:s etcd-s3-endpoint-ca:s etcd-s3-skip-ssl-verify:b etcd-s3-access-key:s
etcd-s3-secret-key:s etcd-s3-session-token:s etcd-s3-bucket:s etcd-s3-bucket-lookup-type:s etcd-s3-region:s
etcd-s3-folder:s etcd-s3-retention:i etcd-s3-proxy:s etcd-s3-config-secret:s etcd-s3-insecure:b etcd-s3-timeout:d
default-local-storage-path:s disable:l disable-scheduler:b disable-cloud-controller:b disable-kube-proxy:b
disable-network-policy:b disable-helm-controller:b disable-apiserver:b disable-controller-manager:b disable-etcd:b
disable-agent:b embedded-registry:b supervisor-metrics:b system-default-registry:s
secrets-encryption:b secrets-encryption-provider:s
helm-controller-arg:l write-kubeconfig-name:s
"""
ALIASES = {
    "d": "data-dir",
    "i": "node-ip",
    "l": "log",
    "o": "write-kubeconfig",
    "s": "server",
    "t": "token",
    "kube-controller-arg": "kube-controller-manager-arg",
    "kube-cloud-controller-arg": "kube-cloud-controller-manager-arg",
}

# Key -> the first release of each minor that has it; minors after the last one named have it, those before do not.
_SINCE: dict[str, tuple[str, ...]] = {
    "helm-controller-arg": ("v1.33.13+k3s2", "v1.34.10+k3s1", "v1.35.7+k3s1", "v1.36.3+k3s1"),
    "etcd-s3-retention": ("v1.31.12+k3s1", "v1.32.8+k3s1", "v1.33.4+k3s1", "v1.34.0+k3s1"),
    "write-kubeconfig-name": ("v1.37.0+k3s1",),
}


def _parse(text: str) -> dict[str, str]:
    return {name: kind for name, _, kind in (word.partition(":") for word in text.split())}


_TABLES = {"server": _parse(_BOTH + _SERVER), "agent": _parse(_BOTH + _AGENT)}


def keys_of(role: str, version: str) -> dict[str, str]:
    """Key -> kind, of all that a release takes in a role."""
    return {name: kind for name, kind in _TABLES[role].items() if _is_in(name, version)}


def keys_of_minor(role: str, minor: int) -> set[str]:
    """The keys that at least one release of a minor takes in a role."""
    return {name for name in _TABLES[role] if name not in _SINCE or _first_minor(name) <= minor}


def _first_minor(name: str) -> int:
    return min(minor_of(version) for version in _SINCE[name])


def _is_in(name: str, version: str) -> bool:
    if name not in _SINCE:
        return True
    minor = minor_of(version)
    for first in _SINCE[name]:
        if minor_of(first) == minor:
            return release_of(version) >= release_of(first)
    return minor > max(minor_of(first) for first in _SINCE[name])


# What a joining server compares with the first one: pkg/daemons/config/types.go, CriticalControlArgs, whose cli tags
# are what the message names. docs/cli/server.md, "Critical Configuration Values", has agent-token besides, which the
# source does not compare, and writes `disable=servicelb` where the tag says disable-service-lb.
CRITICAL: dict[str, object] = {
    "cluster-cidr": ["10.42.0.0/16"],
    "cluster-dns": ["10.43.0.10"],
    "cluster-domain": "cluster.local",
    "disable-cloud-controller": False,
    "disable-helm-controller": False,
    "disable-network-policy": False,
    "disable-service-lb": False,
    "egress-selector-mode": "agent",
    "embedded-registry": False,
    "flannel-backend": "vxlan",
    "flannel-external-ip": False,
    "flannel-ipv6-masq": False,
    "secrets-encryption": False,
    "secrets-encryption-provider": "aescbc",
    "service-cidr": ["10.43.0.0/16"],
    "supervisor-metrics": False,
}
DISABLE_ITEMS = ("coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes")
# Closed lists: docs/cli/server.md; aescbc and secretbox: docs/security/secrets-encryption.md.
VALUES = {
    "flannel-backend": ("none", "vxlan", "host-gw", "wireguard-native"),
    "egress-selector-mode": ("agent", "cluster", "pod", "disabled"),
    "secrets-encryption-provider": ("aescbc", "secretbox"),
    "etcd-s3-bucket-lookup-type": ("auto", "dns", "path"),
}
