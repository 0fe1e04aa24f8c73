"""Rules about what a living cluster cannot change, and what its servers have to agree on."""

import pytest

from fleet.check import (
    critical_keys_differ,
    datastore_transition,
    flannel_backend_live,
    immutable_keys,
    secrets_encryption_late,
)
from fleet.check.picture import Picture
from fleet.check.values import value_of
from fleet.model.verdict import Verdict
from tests.unit.check.fleets import NODE_PLACE, changed, cluster, facts, given, node


def one(before: dict, after: dict, version: str = "v1.35.4+k3s1") -> Picture:
    """One server whose facts go from `before` to `after`."""
    return Picture(
        given(
            node("a"),
            clusters=[cluster()],
            now={"a": facts(config=before)},
            wanted={"a": facts(version, config=after)},
        )
    )


def three(before: dict, after: dict) -> Picture:
    """Three servers that all go from `before` to `after`."""
    nodes = [node("a"), node("b"), node("c")]
    return Picture(
        given(
            *nodes,
            clusters=[cluster("abc")],
            now={n.name: facts(datastore="etcd", config=before) for n in nodes},
            wanted={n.name: facts(datastore="etcd", config=after) for n in nodes},
        )
    )


def test_cluster_cidr_cannot_change():
    picture = one({"cluster-cidr": "10.42.0.0/16"}, {"cluster-cidr": "10.52.0.0/16"})
    assert list(immutable_keys.judge(picture)) == [
        Verdict(
            "immutable-keys",
            "refused",
            "lyon-1",
            "cluster-cidr 10.42.0.0/16 -> 10.52.0.0/16",
            "K3s cannot change cluster-cidr after a cluster exists. Put the old value back, or rebuild the cluster.",
            NODE_PLACE,
            key="cluster-cidr",
        )
    ]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({}, {"cluster-cidr": "10.52.0.0/16"}, "cluster-cidr 10.42.0.0/16 -> 10.52.0.0/16"),
        ({"cluster-domain": "shop.local"}, {}, "cluster-domain shop.local -> cluster.local"),
        ({}, {"cluster-dns": "10.43.0.99"}, "cluster-dns 10.43.0.10 -> 10.43.0.99"),
    ],
)
def test_defaults_count_as_values(before, after, message):
    assert [verdict.message for verdict in immutable_keys.judge(one(before, after))] == [message]


def test_service_cidr_takes_cluster_dns_along():
    messages = [verdict.message for verdict in immutable_keys.judge(one({}, {"service-cidr": "10.53.0.0/16"}))]
    assert messages == ["cluster-dns 10.43.0.10 -> 10.53.0.10", "service-cidr 10.43.0.0/16 -> 10.53.0.0/16"]


def test_dual_stack_is_for_new_clusters():
    (verdict,) = immutable_keys.judge(one({}, {"cluster-cidr": ["10.42.0.0/16", "2001:cafe:42::/56"]}))
    assert verdict.message == "cluster-cidr 10.42.0.0/16 -> 10.42.0.0/16,2001:cafe:42::/56"
    assert verdict.hint.startswith("K3s cannot change cluster-cidr to or from dual stack after a cluster exists.")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"cluster-cidr": "10.42.0.0/16"}, {}),
        ({"cluster-cidr": "10.42.0.1/16"}, {}),
        ({"cluster-cidr": "10.42.0.0/16,2001:CAFE::/56"}, {"cluster-cidr": ["10.42.0.0/16", "2001:cafe::/56"]}),
        ({"cluster-cidr": '- "10.42.0.0/16"\n  - "2001:cafe::/56"'}, {"cluster-cidr": "10.42.0.0/16,2001:cafe::/56"}),
        ({"secrets-encryption": "true"}, {"flannel-backend": "host-gw"}),
    ],
)
def test_other_spellings_and_other_keys_are_no_change(before, after):
    assert not list(immutable_keys.judge(one(before, after)))


def test_a_new_cluster_may_have_any_values():
    picture = Picture(
        given(node("a"), clusters=[cluster(existed=False)], wanted={"a": facts(config={"cluster-cidr": "10.9.0.0/16"})})
    )
    assert not list(immutable_keys.judge(picture))


def test_the_backend_of_several_servers_stays():
    (verdict,) = flannel_backend_live.judge(three({}, {"flannel-backend": "wireguard-native"}))
    assert (verdict.rule, verdict.outcome, verdict.place) == ("flannel-backend-live", "refused", NODE_PLACE)
    assert verdict.message == "flannel-backend vxlan -> wireguard-native with 3 servers"


def test_the_backend_of_one_server_may_change():
    assert not list(flannel_backend_live.judge(one({}, {"flannel-backend": "wireguard-native"})))
    assert not list(flannel_backend_live.judge(three({}, {"flannel-backend": "vxlan"})))


def datastores(before: str, after: str) -> list[Verdict]:
    return list(
        datastore_transition.judge(
            Picture(
                given(
                    node("a"),
                    clusters=[cluster(datastore=after)],
                    now={"a": facts(datastore=before)},
                    wanted={"a": facts(datastore=after)},
                )
            )
        )
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [("etcd", "sqlite"), ("sqlite", "external"), ("external", "etcd"), ("external", "sqlite"), ("mysql", "etcd")],
)
def test_datastores_that_cannot_follow_each_other(before, after):
    (verdict,) = datastores(before, after)
    assert (verdict.rule, verdict.outcome) == ("datastore-transition", "refused")
    assert verdict.message == f"datastore {before} -> {after}"


@pytest.mark.parametrize(("before", "after"), [("sqlite", "etcd"), ("etcd", "etcd"), ("", "etcd")])
def test_sqlite_may_become_etcd(before, after):
    assert datastores(before, after) == []


def two(first: dict, second: dict, **more) -> list[Verdict]:
    a, b, c = node("a"), node("b"), node("c")
    wanted = {
        "a": facts(datastore="etcd", config=first),
        "b": facts(datastore="etcd", config=first),
        "c": facts(datastore="etcd", config=second),
    }
    return list(critical_keys_differ.judge(Picture(given(a, b, c, clusters=[cluster("abc")], wanted=wanted, **more))))


def test_servers_that_say_different_things_are_refused():
    assert two({"disable-network-policy": True}, {}) == [
        Verdict(
            "critical-keys-differ",
            "refused",
            "lyon-1",
            "disable-network-policy is true on a and false on c",
            "All servers of a cluster must agree on it: say it once, at the site.",
            NODE_PLACE,
            key="disable-network-policy",
        )
    ]


def test_of_disable_only_servicelb_has_to_agree():
    assert two({"disable": ["traefik"]}, {"disable": ["metrics-server"]}) == []
    (verdict,) = two({"disable": ["traefik", "servicelb"]}, {"disable": ["traefik"]})
    assert verdict.message == "disable is servicelb on a and nothing on c"


def test_agent_tokens_are_compared_and_not_shown():
    (verdict,) = two({"agent-token": "hunter2"}, {"agent-token": "hunter3"})
    assert "hunter" not in verdict.message


def test_servers_outside_the_scope_keep_what_they_have():
    a, b, c = node("a"), node("b"), node("c")
    old, new = {"egress-selector-mode": "agent"}, {"egress-selector-mode": "pod"}
    picture = Picture(
        given(
            a,
            b,
            c,
            clusters=[cluster("abc")],
            now={name: facts(datastore="etcd", config=old) for name in "abc"},
            wanted={"a": facts(datastore="etcd", config=new)},
            changes=[changed(a)],
        )
    )
    (verdict,) = critical_keys_differ.judge(picture)
    assert verdict.message == "egress-selector-mode is pod on a and agent on b"
    assert verdict.hint == "Take b into the plan: it is outside its scope."


def test_servers_that_agree_pass():
    assert two({"disable-network-policy": True}, {"disable-network-policy": "true"}) == []


@pytest.mark.parametrize(
    ("version", "outcomes"),
    [
        ("v1.34.3+k3s1", ["refused"]),
        ("v1.34.4+k3s1", []),
        ("v1.32.9+k3s1", ["warning"]),
        ("v1.31.9+k3s1", ["refused"]),
        ("v1.36.0+k3s1", []),
    ],
)
def test_late_encryption_depends_on_the_version(version, outcomes):
    picture = one({}, {"secrets-encryption": "true"}, version)
    assert [verdict.outcome for verdict in secrets_encryption_late.judge(picture)] == outcomes


def test_encryption_that_was_there_before_passes():
    on = {"secrets-encryption": True}
    assert not list(secrets_encryption_late.judge(one(on, on, "v1.34.3+k3s1")))
    assert not list(secrets_encryption_late.judge(one({}, {}, "v1.34.3+k3s1")))


def test_a_new_cluster_is_encrypted_by_any_version():
    picture = Picture(
        given(node("a"), clusters=[cluster()], wanted={"a": facts("v1.34.3+k3s1", config={"secrets-encryption": True})})
    )
    assert not list(secrets_encryption_late.judge(picture))


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ({}, "cluster-cidr", "10.42.0.0/16"),
        ({"service-cidr": "10.53.0.0/16,fd00::/108"}, "cluster-dns", "10.53.0.10,fd00::a"),
        ({"service-cidr": "no cidr"}, "cluster-dns", ""),
        ({"secrets-encryption": "True"}, "secrets-encryption", "true"),
        ({"secrets-encryption": None}, "secrets-encryption", "false"),
        ({"cluster-cidr": 7}, "cluster-cidr", "7"),
        ({"cluster-cidr": ["x", {}]}, "cluster-cidr", "x,{}"),
        ({}, "flannel-backend", "vxlan"),
    ],
)
def test_values_as_k3s_understands_them(config, key, value):
    assert value_of(config, key) == value
