import pytest

from fleet.k3s.config import ConfigProblem, config_problems


def problems(config, minor="v1.35", role="server"):
    return config_problems(config, minor=minor, role=role)


def test_a_good_config_has_no_problem():
    config = {
        "write-kubeconfig-mode": "0600",
        "disable": ["traefik", "servicelb"],
        "embedded-registry": True,
        "flannel-backend": "wireguard-native",
        "https-listen-port": 6443,
        "etcd-s3-timeout": "5m0s",
        "kubelet-arg": ["max-pods=250"],
        "node-label+": ["app=pos"],
        "cluster-cidr": "10.42.0.0/16",
        "tls-san": None,
    }
    assert problems(config) == []


def test_a_typing_error_gets_a_hint():
    assert problems({"flanel-backend": "vxlan"}) == [
        ConfigProblem("flanel-backend", "not a key of K3s v1.35", "Did you mean `flannel-backend`?")
    ]
    assert problems({"wibble": 1}) == [ConfigProblem("wibble", "not a key of K3s v1.35")]
    assert problems({"wibble": 1}, minor=None) == [ConfigProblem("wibble", "not a key of K3s")]


def test_a_server_key_with_a_typing_error_on_an_agent():
    assert problems({"flanel-backend": "vxlan"}, role="agent") == [
        ConfigProblem(
            "flanel-backend",
            "not a key of K3s v1.35",
            "Did you mean `flannel-backend`, which is for servers only?",
        )
    ]


def test_an_unknown_minor_only_warns():
    assert problems({"brand-new": 1, "flannel-backend": "vxlan"}, minor="v1.99") == [
        ConfigProblem("brand-new", "not a known key; those of K3s v1.99 are not known here", "", is_warning=True)
    ]


def test_a_misspelt_minor_is_refused():
    with pytest.raises(ValueError, match=r"found `1\.35`"):
        problems({}, minor="1.35")


def test_roles():
    assert problems({"cluster-init": True}, role="agent") == [
        ConfigProblem("cluster-init", "a key of servers only", "Set it on the servers; agents do not know it.")
    ]
    assert problems({"disable-apiserver-lb": True}) == [
        ConfigProblem("disable-apiserver-lb", "a key of agents only", "Set it on the agents; servers do not know it.")
    ]


def test_other_spellings_are_refused():
    assert problems({"t": "x", "kube-controller-arg": ["a=b"]}) == [
        ConfigProblem("t", "another spelling of `token`", "Write `token`."),
        ConfigProblem(
            "kube-controller-arg",
            "another spelling of `kube-controller-manager-arg`",
            "Write `kube-controller-manager-arg`.",
        ),
    ]
    assert problems({"no-deploy": ["traefik"]}) == [
        ConfigProblem("no-deploy", "not a key of K3s v1.35", "Use `disable`: it was renamed.")
    ]


def test_a_key_that_comes_later():
    assert problems({"write-kubeconfig-name": "x"}, minor="v1.36") == [
        ConfigProblem("write-kubeconfig-name", "not a key of K3s v1.36", "K3s knows it since v1.37.")
    ]
    assert problems({"write-kubeconfig-name": "x"}, minor="v1.37") == []


def test_a_key_that_may_have_been_backported_only_warns():
    (problem,) = problems({"helm-controller-arg": ["a=b"]}, minor="v1.35")
    assert problem.is_warning
    assert problem.problem == "not a key of K3s v1.35"


@pytest.mark.parametrize(
    ("config", "problem", "hint"),
    [
        ({"cluster-init": ["yes"]}, "expected true or false, found a list", ""),
        ({"cluster-init": 1}, "expected true or false, found `1`", ""),
        ({"cluster-init": "yes"}, "expected true or false, found `yes`", "Write `cluster-init: true`."),
        ({"https-listen-port": "high"}, "expected a whole number, found `high`", ""),
        ({"https-listen-port": True}, "expected a whole number, found `true`", ""),
        ({"https-listen-port": -1}, "expected a whole number, found `-1`", ""),
        ({"etcd-s3-timeout": 300}, "expected a duration such as 5m0s, found `300`", "Did you mean `300s`?"),
        ({"cluster-domain": ["a"]}, "expected a string, found a list", ""),
        ({"cluster-domain": {"a": "b"}}, "expected a string, found a map", ""),
        (
            {"flannel-backend": "wireguard"},
            "expected one of host-gw, none, vxlan, wireguard-native, found `wireguard`",
            "Did you mean `wireguard-native`?",
        ),
        ({"secrets-encryption-provider": "kms"}, "expected one of aescbc, secretbox, found `kms`", ""),
        (
            {"write-kubeconfig-mode": 420},
            "expected a mode in quotes, found the number `420`",
            'Write it as `"0600"`.',
        ),
        (
            {"kubelet-arg": {"max-pods": 250}},
            "expected a list of strings, found a map",
            "Write `kubelet-arg: [max-pods=250]`.",
        ),
        (
            {"kubelet-arg": [{"max-pods": 250}]},
            "expected strings in the list, found a map",
            "Did you mean `max-pods=250`?",
        ),
        ({"tls-san": [None]}, "expected strings in the list, found nothing", ""),
        ({"tls-san": True}, "expected a list of strings, found `true`", ""),
    ],
)
def test_wrong_kinds(config, problem, hint):
    (name,) = config
    assert problems(config) == [ConfigProblem(name, problem, hint)]


@pytest.mark.parametrize(
    "config",
    [
        {"cluster-init": "true"},
        {"https-listen-port": "6443"},
        {"tls-san": "k3s.example.com"},
        {"disable": "traefik,servicelb"},
        {"node-ip": ["10.0.0.1", "fd00::1"]},
        {"etcd-snapshot-reconcile-interval": "1h30m"},
    ],
)
def test_what_k3s_also_takes(config):
    assert problems(config) == []


def test_a_number_for_a_string_warns():
    assert problems({"token": 12345}) == [
        ConfigProblem("token", "expected a string, found `12345`", "Put it in quotes.", is_warning=True)
    ]


def test_an_unknown_component_warns():
    assert problems({"disable": ["traefic"]}) == [
        ConfigProblem(
            "disable",
            "`traefic` is no packaged component",
            "Packaged are coredns, servicelb, traefik, local-storage, metrics-server, runtimes.",
            is_warning=True,
        )
    ]


def test_every_mistake_is_found_at_once_in_order():
    found = problems({"flanel-backend": "x", "cluster-init": 3, "o": "y"})
    assert [problem.key for problem in found] == ["flanel-backend", "cluster-init", "o"]
