import pytest

from fleet.k3s.arguments import Arguments, read_arguments
from fleet.k3s.config import config_problems


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", {}),
        ("--disable traefik --disable=servicelb", {"disable": ["traefik", "servicelb"]}),
        ("--disable traefik,servicelb", {"disable": ["traefik", "servicelb"]}),
        ("--flannel-iface=eth0 --node-ip 10.0.0.1", {"flannel-iface": "eth0", "node-ip": ["10.0.0.1"]}),
        ("--secrets-encryption --cluster-init", {"secrets-encryption": True, "cluster-init": True}),
        ("--secrets-encryption=false", {"secrets-encryption": False}),
        ("--https-listen-port 6444", {"https-listen-port": 6444}),
        ("--kubelet-arg 'max-pods=250' --kubelet-arg=a=b,c", {"kubelet-arg": ["max-pods=250", "a=b,c"]}),
        ("--kube-controller-arg x=y -t tok", {"kube-controller-manager-arg": ["x=y"], "token": "tok"}),
        (
            "--wibble 1 --wobble --write-kubeconfig-mode 644",
            {"wibble": "1", "wobble": True, "write-kubeconfig-mode": "644"},
        ),
        ("--flannel-backend", {"flannel-backend": True}),
    ],
)
def test_arguments_become_keys(text, config):
    assert read_arguments(text) == Arguments(config)


def test_words_that_belong_to_no_flag():
    assert read_arguments("server --debug on --disable traefik -- x") == Arguments(
        {"debug": True, "disable": ["traefik"]}, ("server", "on", "--", "x")
    )


def test_what_comes_out_is_what_the_keys_take():
    config = read_arguments(
        "--disable traefik --secrets-encryption --cluster-cidr=10.0.0.0/16 --etcd-snapshot-retention 5"
    ).config
    assert config_problems(config, minor="v1.36", role="server") == []


def test_an_open_quote():
    with pytest.raises(ValueError, match="quotation"):
        read_arguments("--disable 'traefik")
