import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.translate.names import Taken, dns_label, label_key, label_keys, node_names, secret_name

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
KEY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([.-][A-Za-z0-9_]+)*")


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (["web1", "web2"], ["web1", "web2"]),
        (["web1.acme.example", "web2.acme.example"], ["web1", "web2"]),
        (["a.lyon.example", "a.turin.example", "b.lyon.example"], ["a-lyon-example", "a-turin-example", "b"]),
        (["web1", "web1.acme.example"], ["web1", "web1-acme-example"]),
        (["10.0.0.1", "2001:db8::1"], ["10-0-0-1", "2001-db8-1"]),
        (["WEB_1", "web-1"], ["web-1-2", "web-1"]),
        (["Café", "-", "_"], ["cafe", "node", "node-2"]),
        (["x" * 70, "x" * 71], ["x" * 63, "x" * 61 + "-2"]),
    ],
)
def test_names_of_nodes(hosts, names):
    assert list(node_names(hosts).values()) == names


@given(st.lists(st.text(max_size=70), unique=True, max_size=20))
def test_every_node_has_a_name_of_its_own(hosts):
    names = node_names(hosts)
    assert list(names) == hosts
    assert len(set(names.values())) == len(hosts)
    assert all(LABEL.fullmatch(name) for name in names.values())
    assert all(names[host] == host for host in hosts if LABEL.fullmatch(host))


@given(st.lists(st.text(max_size=70), unique=True, max_size=20))
def test_every_group_has_a_label_of_its_own(groups):
    keys = label_keys(groups)
    assert len(set(keys.values())) == len(groups)
    assert all(KEY.fullmatch(key) for key in keys.values())
    assert not {"site", "role", "set", "cluster", "arch"} & set(keys.values())


@pytest.mark.parametrize(
    ("group", "key"),
    [
        ("k3s_cluster", "k3s_cluster"),
        ("web-1", "web-1"),
        ("role", "group-role"),
        (":role", "group-role"),
        ("a b", "a_b"),
        ("_x_", "x"),
        ("é", "group"),
    ],
)
def test_keys_of_labels(group, key):
    assert label_key(group) == key


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_names_of_secrets(parts):
    assert SECRET.fullmatch(secret_name(*parts))


def test_parts_of_a_secret_can_be_told_apart():
    assert secret_name("users", "0", "password", "lyon-1") == "users.0.password.lyon-1"
    assert secret_name("a--b", "10.0.0.1") == "a-b.10_0_0_1"
    assert secret_name("1st") == "_1st"


def test_a_label_is_never_longer_than_63():
    taken = Taken()
    assert [len(taken.give("x" * 63, 63)) for _ in range(12)] == [63] * 12
    assert dns_label("", "site") == "site"
