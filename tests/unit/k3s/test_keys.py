import pytest

from fleet.k3s.keys import (
    COMPARED_KEYS,
    CRITICAL_DISABLE_ITEMS,
    CRITICAL_KEYS,
    DISABLE_ITEMS,
    IMMUTABLE_KEYS,
    KNOWN_MINORS,
    LIST_KEYS,
    MINOR_SOURCES,
    SECRET_KEYS,
    SUPPORTED_MINORS,
    Key,
    find_alias,
    find_former,
    find_key,
    is_in_minor,
    is_known_minor,
    key_names,
    server_only,
    suggest,
)


def test_the_newest_four_minors_are_supported_newest_last():
    assert SUPPORTED_MINORS == ("v1.34", "v1.35", "v1.36", "v1.37")
    assert KNOWN_MINORS == ("v1.33", "v1.34", "v1.35", "v1.36", "v1.37")
    assert is_known_minor("v1.33")
    assert not is_known_minor("v1.32")
    assert not is_known_minor("v1.38")
    with pytest.raises(ValueError, match=r"expected a form such as v1.35, found `1.35`"):
        is_known_minor("1.35")


def test_what_is_carried_over_says_so():
    carried = [source.minor for source in MINOR_SOURCES if source.source.startswith("carried over from v1.")]
    assert carried == ["v1.36", "v1.37"]


def test_critical_keys_are_those_of_the_page():
    assert (
        frozenset(
            {
                "agent-token",
                "cluster-cidr",
                "cluster-dns",
                "cluster-domain",
                "disable-cloud-controller",
                "disable-helm-controller",
                "disable-network-policy",
                "disable",
                "egress-selector-mode",
                "embedded-registry",
                "flannel-backend",
                "flannel-external-ip",
                "flannel-ipv6-masq",
                "secrets-encryption",
                "secrets-encryption-provider",
                "service-cidr",
            }
        )
        == CRITICAL_KEYS
    )
    assert frozenset({"servicelb"}) == CRITICAL_DISABLE_ITEMS
    assert sorted(COMPARED_KEYS - CRITICAL_KEYS) == ["supervisor-metrics"]


def test_immutable_keys():
    assert frozenset({"cluster-cidr", "service-cidr", "cluster-dns", "cluster-domain"}) == IMMUTABLE_KEYS


def test_list_keys():
    assert (
        frozenset(
            {
                "airgap-extra-registry",
                "cluster-cidr",
                "cluster-dns",
                "disable",
                "etcd-arg",
                "helm-controller-arg",
                "kube-apiserver-arg",
                "kube-cloud-controller-manager-arg",
                "kube-controller-manager-arg",
                "kube-proxy-arg",
                "kube-scheduler-arg",
                "kubelet-arg",
                "node-external-dns",
                "node-external-ip",
                "node-internal-dns",
                "node-ip",
                "node-label",
                "node-taint",
                "service-cidr",
                "tls-san",
            }
        )
        == LIST_KEYS
    )


def test_secret_keys():
    assert (
        frozenset(
            {
                "agent-token",
                "datastore-endpoint",
                "etcd-s3-access-key",
                "etcd-s3-secret-key",
                "etcd-s3-session-token",
                "token",
                "vpn-auth",
            }
        )
        == SECRET_KEYS
    )


def test_packaged_components():
    assert DISABLE_ITEMS == ("coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes")


def test_an_agent_takes_exactly_these_keys():
    assert key_names("v1.35", "agent") == frozenset(
        {
            "airgap-extra-registry",
            "alsologtostderr",
            "bind-address",
            "container-runtime-endpoint",
            "data-dir",
            "debug",
            "default-runtime",
            "disable-apiserver-lb",
            "disable-default-registry-endpoint",
            "docker",
            "enable-pprof",
            "flannel-cni-conf",
            "flannel-conf",
            "flannel-iface",
            "image-credential-provider-bin-dir",
            "image-credential-provider-config",
            "image-service-endpoint",
            "kube-proxy-arg",
            "kubelet-arg",
            "lb-server-port",
            "log",
            "node-external-dns",
            "node-external-ip",
            "node-internal-dns",
            "node-ip",
            "node-label",
            "node-name",
            "node-taint",
            "nonroot-devices",
            "pause-image",
            "prefer-bundled-bin",
            "private-registry",
            "protect-kernel-defaults",
            "resolv-conf",
            "rootless",
            "selinux",
            "server",
            "snapshotter",
            "token",
            "token-file",
            "v",
            "vmodule",
            "vpn-auth",
            "vpn-auth-file",
            "with-node-id",
        }
    )


@pytest.mark.parametrize(
    "name",
    [
        "agent-token-file",
        "cluster-init",
        "datastore-endpoint",
        "disable",
        "disable-kube-proxy",
        "embedded-registry",
        "etcd-expose-metrics",
        "etcd-s3-config-secret",
        "etcd-snapshot-schedule-cron",
        "etcd-snapshot-retention",
        "flannel-backend",
        "https-listen-port",
        "kube-apiserver-arg",
        "secrets-encryption",
        "system-default-registry",
        "tls-san",
        "tls-san-security",
        "write-kubeconfig-mode",
    ],
)
def test_keys_of_servers_only(name):
    for minor in SUPPORTED_MINORS:
        assert name in key_names(minor, "server")
        assert name not in key_names(minor, "agent")
    assert server_only(name)


def test_a_server_takes_the_keys_of_an_agent_but_one():
    assert key_names("v1.36", "agent") - key_names("v1.36", "server") == {"disable-apiserver-lb"}
    assert not server_only("kubelet-arg")
    assert not server_only("no-such-key")


def test_keys_come_with_their_minor():
    assert "write-kubeconfig-name" in key_names("v1.37", "server")
    assert "write-kubeconfig-name" not in key_names("v1.36", "server")
    assert "helm-controller-arg" in key_names("v1.36", "server")
    assert "helm-controller-arg" not in key_names("v1.35", "server")
    assert "etcd-s3-retention" in key_names("v1.33", "server")
    assert {"write-kubeconfig-name", "helm-controller-arg"} <= key_names(None, "server")


def test_a_key_goes_with_its_minor():
    gone = Key("gone", "string", ("server",), until="v1.34")
    assert is_in_minor(gone, "v1.34")
    assert not is_in_minor(gone, "v1.35")


def test_find_key_knows_kinds_and_defaults():
    assert find_key("node-label+") == find_key("node-label")
    assert find_key("cluster-cidr").default == "10.42.0.0/16"
    assert find_key("service-cidr").default == "10.43.0.0/16"
    assert find_key("flannel-backend").values == ("host-gw", "none", "vxlan", "wireguard-native")
    assert find_key("secrets-encryption").kind == "bool"
    assert find_key("https-listen-port").kind == "int"
    assert find_key("etcd-s3-timeout").kind == "duration"
    assert find_key("flanel-backend") is None
    assert find_key("t") is None


def test_short_and_former_spellings_are_no_keys_but_known():
    assert find_alias("t").name == "token"
    assert find_alias("d").name == "data-dir"
    assert find_alias("s").name == "server"
    assert find_alias("kube-controller-arg").name == "kube-controller-manager-arg"
    assert find_alias("token") is None
    assert find_former("no-deploy").use == "disable"
    assert find_former("config").use == ""
    for name in ("t", "d", "s", "i", "o", "l", "no-deploy", "cluster-secret", "config", "no-flannel"):
        assert name not in key_names(None, "server")
        assert name not in key_names(None, "agent")


@pytest.mark.parametrize(
    ("name", "role", "meant"),
    [
        ("flanel-backend", "server", "flannel-backend"),
        ("tls_san", "server", "tls-san"),
        ("--node-label", "agent", "node-label"),
        ("K3S_TOKEN_FILE", "agent", "token-file"),
        ("node-labels+", "agent", "node-label"),
        ("t", "agent", "token"),
        ("no-deploy", "server", "disable"),
        ("no-deploy", "agent", None),
        ("flanel-backend", "agent", None),
        ("wibble", "server", None),
    ],
)
def test_suggestions(name, role, meant):
    assert suggest(name, "v1.35", role) == meant


# Every key that is no string, by kind, and every key of servers only, hidden flags included.
BOOL_KEYS = """
    alsologtostderr
    cluster-init
    cluster-reset
    debug
    disable-agent
    disable-apiserver
    disable-apiserver-lb
    disable-cloud-controller
    disable-controller-manager
    disable-default-registry-endpoint
    disable-etcd
    disable-helm-controller
    disable-kube-proxy
    disable-network-policy
    disable-scheduler
    docker
    embedded-registry
    enable-pprof
    etcd-disable-snapshots
    etcd-expose-metrics
    etcd-s3
    etcd-s3-insecure
    etcd-s3-skip-ssl-verify
    etcd-snapshot-compress
    flannel-external-ip
    flannel-ipv6-masq
    kine-tls
    nonroot-devices
    prefer-bundled-bin
    protect-kernel-defaults
    rootless
    secrets-encryption
    selinux
    supervisor-metrics
    tls-san-security
    with-node-id
"""
INT_KEYS = """
    advertise-port
    apiserver-port
    etcd-s3-retention
    etcd-snapshot-retention
    https-listen-port
    lb-server-port
    supervisor-port
    v
"""
DURATION_KEYS = """
    etcd-s3-timeout
    etcd-snapshot-reconcile-interval
"""
SERVER_KEYS = """
    advertise-address
    advertise-port
    agent-token
    agent-token-file
    apiserver-bind-address
    apiserver-port
    cluster-cidr
    cluster-dns
    cluster-domain
    cluster-init
    cluster-reset
    cluster-reset-restore-path
    datastore-cafile
    datastore-certfile
    datastore-endpoint
    datastore-keyfile
    default-local-storage-path
    disable
    disable-agent
    disable-apiserver
    disable-cloud-controller
    disable-controller-manager
    disable-etcd
    disable-helm-controller
    disable-kube-proxy
    disable-network-policy
    disable-scheduler
    egress-selector-mode
    embedded-registry
    etcd-arg
    etcd-disable-snapshots
    etcd-expose-metrics
    etcd-s3
    etcd-s3-access-key
    etcd-s3-bucket
    etcd-s3-bucket-lookup-type
    etcd-s3-config-secret
    etcd-s3-endpoint
    etcd-s3-endpoint-ca
    etcd-s3-folder
    etcd-s3-insecure
    etcd-s3-proxy
    etcd-s3-region
    etcd-s3-retention
    etcd-s3-secret-key
    etcd-s3-session-token
    etcd-s3-skip-ssl-verify
    etcd-s3-timeout
    etcd-snapshot-compress
    etcd-snapshot-dir
    etcd-snapshot-name
    etcd-snapshot-reconcile-interval
    etcd-snapshot-retention
    etcd-snapshot-schedule-cron
    flannel-backend
    flannel-external-ip
    flannel-ipv6-masq
    helm-controller-arg
    helm-job-image
    https-listen-port
    kine-tls
    kube-apiserver-arg
    kube-cloud-controller-manager-arg
    kube-controller-manager-arg
    kube-scheduler-arg
    secrets-encryption
    secrets-encryption-provider
    service-cidr
    service-node-port-range
    servicelb-namespace
    supervisor-metrics
    supervisor-port
    system-default-registry
    tls-san
    tls-san-security
    write-kubeconfig
    write-kubeconfig-group
    write-kubeconfig-mode
    write-kubeconfig-name
"""


def test_every_kind():
    by_kind = {kind: set() for kind in ("bool", "int", "duration", "list", "string")}
    for name in key_names(None, "server") | key_names(None, "agent"):
        by_kind[find_key(name).kind].add(name)
    assert by_kind["bool"] == set(BOOL_KEYS.split())
    assert by_kind["int"] == set(INT_KEYS.split())
    assert by_kind["duration"] == set(DURATION_KEYS.split())
    assert by_kind["list"] == LIST_KEYS


def test_every_key_of_servers_only():
    assert key_names(None, "server") - key_names(None, "agent") == set(SERVER_KEYS.split())
