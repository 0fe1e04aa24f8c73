"""Rules about settings, sizes and hardware."""

import pytest

from fleet.check import (
    agents_per_server,
    cluster_cidr_capacity,
    embedded_registry_without_mirrors,
    etcd_s3_config_secret,
    hardening_live,
    protect_kernel_defaults,
    sd_card_etcd,
    wireguard_module,
)
from fleet.check.picture import Picture
from fleet.model.change import Change
from tests.unit.check.fleets import changed, cluster, facts, given, node, settings

CIS = settings(hardening="cis")
SYSCTL = Change("file", "add", "/etc/sysctl.d/90-kubelet.conf", "", "f" * 64)


def large(agents: int, given_settings=None, *, changes=None) -> Picture:
    """One server with many agents, all of them new."""
    plain = given_settings or settings()
    nodes = [node("a", given=plain), *(node(f"n{i}", "agent", given=plain) for i in range(agents))]
    clusters = [cluster(agents=[n.name for n in nodes[1:]])]
    return Picture(given(*nodes, clusters=clusters, changes=changes))


def test_more_nodes_than_ranges_are_refused():
    (verdict,) = cluster_cidr_capacity.judge(large(256))
    assert (verdict.rule, verdict.outcome, verdict.subject) == ("cluster-cidr-capacity", "refused", "lyon-1")
    assert verdict.message == "257 nodes do not fit in cluster-cidr 10.42.0.0/16, which has ranges for 256"


def test_as_many_nodes_as_ranges_pass():
    assert not list(cluster_cidr_capacity.judge(large(255)))
    assert not list(cluster_cidr_capacity.judge(large(300, settings({"cluster-cidr": "10.32.0.0/14"}))))


def test_the_size_of_a_nodes_range_counts():
    smaller = {"kube-controller-manager-arg": ["node-cidr-mask-size=25"]}
    assert not list(cluster_cidr_capacity.judge(large(300, settings(smaller))))
    dual = {
        "cluster-cidr": ["10.32.0.0/14", "2001:cafe::/62"],
        "kube-controller-manager-arg": ["node-cidr-mask-size-ipv6=64"],
    }
    (verdict,) = cluster_cidr_capacity.judge(large(4, settings(dual)))
    assert verdict.message == "5 nodes do not fit in cluster-cidr 2001:cafe::/62, which has ranges for 4"


def test_a_cidr_that_is_none_is_refused():
    (verdict,) = cluster_cidr_capacity.judge(large(1, settings({"cluster-cidr": "10.42.0.0/33"})))
    assert verdict.outcome == "refused"


def test_sizes_are_spoken_of_when_a_node_joins():
    a = node("a")
    later = large(400, changes=[changed(a)])
    assert not list(cluster_cidr_capacity.judge(later))
    assert not list(agents_per_server.judge(later))


@pytest.mark.parametrize(
    ("agents", "messages"),
    [
        (350, []),
        (351, ["351 agents: each server needs at least 4 CPUs and 8 GB"]),
        (1801, ["1,801 agents: each server needs at least 16 CPUs and 32 GB"]),
    ],
)
def test_many_agents_want_a_larger_server(agents, messages):
    verdicts = list(agents_per_server.judge(large(agents)))
    assert [verdict.message for verdict in verdicts] == messages
    assert all(verdict.outcome == "warning" for verdict in verdicts)


def cards(storage: str, datastore: str = "etcd", **more) -> list:
    nodes = [node(name, labels={"storage": storage}) for name in "abc"]
    return list(sd_card_etcd.judge(Picture(given(*nodes, clusters=[cluster("abc", datastore=datastore)], **more))))


def test_etcd_on_cards_warns():
    (verdict,) = cards("sd")
    assert (verdict.rule, verdict.outcome) == ("sd-card-etcd", "warning")
    assert verdict.message == "etcd runs on SD or eMMC cards: a, b, c"
    assert len(cards("emmc")) == 1


def test_other_disks_and_other_datastores_pass():
    assert cards("ssd") == []
    assert cards("sd", "external") == []


def test_cards_are_spoken_of_once():
    assert cards("sd", now={name: facts(datastore="etcd") for name in "abc"}) == []
    assert len(cards("sd", now={name: facts(datastore="sqlite") for name in "abc"})) == 1


def backends(before: str | None, after: str, *, joins: bool = False) -> list:
    a, b = node("a"), node("b", "agent")
    now = {} if before is None else {"a": facts(config={"flannel-backend": before})}
    changes = [changed(a, first=before is None), *([changed(b, first=True)] if joins else [])]
    wanted = {"a": facts(config={"flannel-backend": after})}
    picture = Picture(given(a, b, clusters=[cluster(agents="b")], now=now, wanted=wanted, changes=changes))
    return list(wireguard_module.judge(picture))


@pytest.mark.parametrize(
    ("before", "after", "joins", "count"),
    [
        (None, "wireguard-native", False, 1),
        ("vxlan", "wireguard-native", False, 1),
        ("wireguard-native", "wireguard-native", False, 0),
        ("wireguard-native", "wireguard-native", True, 1),
        (None, "vxlan", False, 0),
    ],
)
def test_wireguard_needs_its_module_first(before, after, joins, count):
    verdicts = backends(before, after, joins=joins)
    assert len(verdicts) == count
    assert all((v.rule, v.outcome) == ("wireguard-module", "warning") for v in verdicts)


def registry(config: dict, registries: dict) -> list:
    shared = settings(config, registries=registries)
    nodes = [node("a", given=shared), node("b", "agent", given=shared)]
    return list(embedded_registry_without_mirrors.judge(Picture(given(*nodes, clusters=[cluster(agents="b")]))))


def test_an_embedded_registry_without_mirrors_warns():
    (verdict,) = registry({"embedded-registry": True}, {"configs": {}})
    assert (verdict.rule, verdict.outcome) == ("embedded-registry-without-mirrors", "warning")
    assert verdict.message == "embedded-registry is on, and 2 nodes have no mirrors: they share nothing"


def test_mirrors_or_no_embedded_registry_pass():
    assert registry({"embedded-registry": True}, {"mirrors": {"*": {}}}) == []
    assert registry({}, {}) == []


def s3(config: dict) -> list:
    return list(etcd_s3_config_secret.judge(Picture(given(node("a", given=settings(config)), clusters=[cluster()]))))


def test_a_secret_for_s3_beside_other_keys_is_refused():
    (verdict,) = s3({"etcd-s3": True, "etcd-s3-config-secret": "s3", "etcd-s3-bucket": "x", "etcd-s3-region": "y"})
    assert (verdict.rule, verdict.outcome) == ("etcd-s3-config-secret", "refused")
    assert verdict.message == "K3s ignores etcd-s3-config-secret, since etcd-s3-bucket, etcd-s3-region is set beside it"


def test_either_alone_passes():
    assert s3({"etcd-s3": True, "etcd-s3-config-secret": "s3"}) == []
    assert s3({"etcd-s3": True, "etcd-s3-bucket": "x"}) == []


def hardened(*changes: Change, first: bool = False, given_settings=CIS) -> list:
    a = node("a", given=given_settings)
    return list(
        hardening_live.judge(Picture(given(a, clusters=[cluster()], changes=[changed(a, *changes, first=first)])))
    )


def test_hardening_a_living_cluster_warns():
    (verdict,) = hardened(SYSCTL)
    assert (verdict.rule, verdict.outcome, verdict.subject) == ("hardening-live", "warning", "lyon-1")
    assert verdict.message.startswith("hardening none -> cis on 1 nodes that run already")


def test_new_and_already_hardened_nodes_do_not():
    assert hardened(Change("first", "add", "everything"), first=True) == []
    assert hardened(Change("file", "edit", "/etc/sysctl.d/90-kubelet.conf", "a", "b")) == []
    assert hardened(SYSCTL, given_settings=settings()) == []


def kernel(config: dict, sysctl: dict, hardening: str = "none") -> list:
    a = node("a", given=settings(config, sysctl=sysctl, hardening=hardening))
    verdicts = list(protect_kernel_defaults.judge(Picture(given(a, clusters=[cluster()]))))
    assert all(verdict.rule == "protect-kernel-defaults" for verdict in verdicts)
    return [(verdict.outcome, verdict.message) for verdict in verdicts]


PROTECT = {"protect-kernel-defaults": True}
EXPECTED = {
    "vm.panic_on_oom": "0",
    "vm.overcommit_memory": "1",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
}


def test_a_kernel_setting_against_the_kubelets_is_refused():
    refusal = "os.sysctl sets what the kubelet refuses to start with: kernel.panic 0 (wants 10)"
    assert kernel({}, {"kernel.panic": "0"}, "cis") == [("refused", refusal)]
    assert kernel(PROTECT, EXPECTED | {"kernel.panic": "0"}) == [("refused", refusal)]


def test_protection_without_the_settings_warns():
    ((outcome, message),) = kernel(PROTECT, {"kernel.panic": "10", "kernel.panic_on_oops": "1", "vm.panic_on_oom": "0"})
    assert outcome == "warning"
    assert (
        message == "protect-kernel-defaults is on, and nothing sets vm.overcommit_memory=1: the kubelet may not start"
    )


def test_protection_with_the_settings_passes():
    assert kernel(PROTECT, EXPECTED) == []
    assert kernel({}, {"vm.swappiness": "10"}, "cis") == []
    assert kernel({}, {"kernel.panic": "0"}) == []


def test_settings_that_nodes_share_are_judged_once():
    shared = settings(PROTECT)
    nodes = [node("a", given=shared), node("b", "agent", given=shared)]
    assert len(list(protect_kernel_defaults.judge(Picture(given(*nodes, clusters=[cluster(agents="b")]))))) == 1
