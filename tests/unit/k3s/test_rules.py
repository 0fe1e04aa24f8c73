import pytest

from fleet.k3s import rules
from fleet.k3s.version import parse_version


@pytest.mark.parametrize(
    ("version", "works"),
    [
        ("v1.31.14+k3s1", False),
        ("v1.32.11+k3s3", None),
        ("v1.33.7+k3s1", False),
        ("v1.33.7+k3s3", None),
        ("v1.33.8+k3s1", True),
        ("v1.34.3+k3s1", False),
        ("v1.34.3+k3s3", False),
        ("v1.34.4+k3s1", True),
        ("v1.35.0+k3s1", False),
        ("v1.35.0+k3s3", True),
        ("v1.35.4+k3s1", True),
        ("v1.36.0+k3s1", True),
        ("v1.37.1+k3s1", True),
    ],
)
def test_late_secrets_encryption_by_version(version, works):
    assert rules.secrets_encryption_late_ok(parse_version(version)) is works


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("sqlite", "etcd", True),
        ("etcd", "sqlite", False),
        ("sqlite", "external", False),
        ("external", "etcd", False),
        ("etcd", "external", False),
        ("external", "external", True),
        ("etcd", "etcd", True),
    ],
)
def test_datastores(old, new, allowed):
    assert rules.may_change_datastore(old, new) is allowed


def test_flannel_backends():
    assert rules.may_change_flannel_backend("vxlan", "wireguard-native", servers=1)
    assert not rules.may_change_flannel_backend("vxlan", "wireguard-native", servers=3)
    assert rules.may_change_flannel_backend("vxlan", "vxlan", servers=3)
    assert rules.needs_wireguard_module("wireguard-native")
    assert not rules.needs_wireguard_module("vxlan")


@pytest.mark.parametrize(
    ("cidr", "mask", "nodes"),
    [
        ("10.42.0.0/16", None, 256),
        ("10.42.0.0/16", 25, 512),
        ("10.0.0.0/8", None, 65536),
        ("10.42.0.0/24", None, 1),
        ("10.42.0.0/25", None, 0),
        ("2001:db8:42::/56", None, 256),
        ("fd42::/48", None, 65536),
    ],
)
def test_nodes_in_a_cluster_cidr(cidr, mask, nodes):
    assert rules.cluster_cidr_capacity(cidr, mask) == nodes


def test_a_cluster_cidr_that_is_none_or_too_large():
    with pytest.raises(ValueError, match="too large a cluster-cidr for Kubernetes: expected /9 or longer"):
        rules.cluster_cidr_capacity("10.0.0.0/8", 25)
    with pytest.raises(ValueError, match="too large a cluster-cidr for Kubernetes: expected /48 or longer"):
        rules.cluster_cidr_capacity("fd00::/8")
    with pytest.raises(ValueError, match="does not appear to be"):
        rules.cluster_cidr_capacity("10.42.0.0/16,fd42::/48")


def test_certificates():
    assert rules.CERTIFICATE_DAYS == 365
    assert rules.CERTIFICATE_RENEW_DAYS == 120
    assert rules.CERTIFICATE_RESTART_DAYS == 245
    assert rules.CA_YEARS == 10


@pytest.mark.parametrize(
    ("cpus", "memory", "agents"),
    [(1, 8, 0), (2, 2, 0), (2, 4, 350), (4, 4, 350), (4, 8, 900), (8, 16, 1800), (12, 64, 1800), (16, 32, None)],
)
def test_server_sizes(cpus, memory, agents):
    assert rules.agents_for_server(cpus, memory) == agents


def test_agents_join_in_batches():
    assert rules.JOIN_BATCH == 50


@pytest.mark.parametrize(
    ("members", "quorum", "is_even"), [(1, 1, False), (2, 2, True), (3, 2, False), (4, 3, True), (5, 3, False)]
)
def test_quorum(members, quorum, is_even):
    assert rules.quorum(members) == quorum
    assert rules.is_even_quorum(members) is is_even


def test_no_members_are_no_even_quorum():
    assert not rules.is_even_quorum(0)


def test_any_other_s3_key_makes_k3s_ignore_the_secret():
    assert rules.ignored_s3_secret({"etcd-s3": True, "etcd-s3-config-secret": "s3"}) == ()
    assert rules.ignored_s3_secret({"etcd-s3-bucket": "b"}) == ()
    config = {"etcd-s3-region": "eu", "etcd-s3-config-secret": "s3", "etcd-s3-bucket": "b", "etcd-snapshot-dir": "/x"}
    assert rules.ignored_s3_secret(config) == ("etcd-s3-bucket", "etcd-s3-region")


@pytest.mark.parametrize(
    ("value", "critical"),
    [
        (["traefik", "servicelb"], {"servicelb"}),
        (["traefik"], set()),
        ("traefik,servicelb", {"servicelb"}),
        (None, set()),
        ([], set()),
    ],
)
def test_of_disable_only_servicelb_is_critical(value, critical):
    assert rules.critical_disables(value) == critical
