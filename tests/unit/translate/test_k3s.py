"""What playbooks say of K3s."""

from __future__ import annotations

import json

import pytest

from fleet.errors import UsageError
from tests.unit.translate.inventories import documents, made, nodes, spec, told

HOSTS = """\
k3s_cluster:
  children:
    server: {hosts: {a: {ansible_host: 10.0.0.1}}}
    agent: {hosts: {b: {ansible_host: 10.0.0.2}, c: {ansible_host: 10.0.0.3}}}
"""


def k3s(variables: str) -> tuple[dict[str, object], list[str]]:
    """The fleet's k3s and what is told, of a cluster with these variables (JSON is YAML)."""
    found = made(HOSTS + f"  vars: {{{variables}}}\n")
    return spec(found).get("k3s", {}), told(found)


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ("k3s_version: v1.36.3+k3s1", {"version": "v1.36.3+k3s1"}),
        ("k3s_version: stable", {"channel": "stable"}),
        ("k3s_version: v1.36", {"channel": "v1.36"}),
        ("extra_server_args: --disable traefik", {"config": {"disable": ["traefik"]}}),
        ('server_config_yaml: "disable: [traefik]\\n"', {"config": {"disable": ["traefik"]}}),
        (
            'server_config_yaml: "disable: [traefik]\\n", extra_server_args: --disable servicelb',
            {"config": {"disable": ["servicelb"]}},
        ),
        ('extra_server_args: "--flannel-iface={{ i }}", extra_agent_args: "--flannel-iface {{ i }}", i: eth1', {"config": {"flannel-iface": "eth1"}}),
        ("api_port: 6444", {"config": {"https-listen-port": 6444}}),
        ("api_port: 6443", {}),
        ("k3s_server_location: /data/k3s", {"config": {"data-dir": "/data/k3s"}}),
        ("k3s_server_location: /var/lib/rancher/k3s", {}),
        ('registries_config_yaml: "mirrors: {docker.io: {endpoint: [https://r.example]}}\\n"', {"registries": {"mirrors": {"docker.io": {"endpoint": ["https://r.example"]}}}}),
        ('extra_server_args: ""', {}),
    ],
)  # fmt: skip
def test_k3s_ansible(variables, found):
    assert k3s(variables)[0] == found


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("k3s_version: '1.36'", "k3s_version: not carried over: it is no release of K3s"),
        ("k3s_version: v1.22.3+k3s1", "k3s_version: became k3s.version, but fleet knows K3s from v1.34 to v1.37 only"),
        ("extra_server_args: --flanel-backend=none", "extra_server_args: flanel-backend is not carried over: not a key of K3s"),
        ("extra_server_args: stray --disable traefik", "extra_server_args: a word in it belongs to no flag, and is not carried over"),
        ("extra_server_args: \"--disable '\"", "extra_server_args: not carried over: a quote in it is not closed"),
        ("extra_server_args: [a]", "extra_server_args: not carried over: it is no text"),
        ("extra_server_args: !vault x", "extra_server_args: not carried over: it is vaulted, and only tokens are taken so"),
        ("extra_server_args: --token hunter2", "extra_server_args: token is a secret in clear text, and is not carried over"),
        ("extra_server_args: --datastore-endpoint=mysql://u:hunter2@db", "extra_server_args: datastore-endpoint is not carried over: put it into a secret, and say `cluster: {datastore: {external: {endpointSecret: NAME}}}`"),
        ("extra_server_args: --cluster-init", "extra_server_args: cluster-init is not carried over: fleet says it where it is needed"),
        ("extra_server_args: --node-name x", "extra_server_args: node-name is not carried over: K3s calls a node by the name that it has in the spec: name it so there"),
        ("extra_agent_args: --disable traefik", "extra_agent_args: disable is not carried over: a key of servers only"),
        ("extra_server_args: \"--kubelet-arg=x={{ lookup('x') }}\"", "extra_server_args: kubelet-arg is not carried over: only Ansible can work out what its Jinja gives"),
        ('server_config_yaml: "a: [\\n"', "server_config_yaml: not carried over: its line 1: did not find expected node content (while parsing a flow node)"),
        ('server_config_yaml: "- a\\n"', "server_config_yaml: not carried over: it is not one map"),
        ('registries_config_yaml: "mirors: {}\\n"', "registries_config_yaml: not carried over: mirors: unknown key"),
        ('registries_config_yaml: "mirrors: {{ x }}\\n"', "registries_config_yaml: not carried over: only Ansible can work out what its Jinja gives"),
        ("token: hunter2", "token: the cluster's token is not vaulted, and is not carried over"),
        ("airgap_dir: /x", "airgap_dir: not carried over: nodes fetch K3s from a mirror"),
        ("extra_manifests: [x]", "extra_manifests: not carried over: auto-deployed manifests are files of the repository"),
    ],
)  # fmt: skip
def test_what_k3s_ansible_says_that_does_not_fit(variables, message):
    lines = k3s(variables)[1]
    assert message in [each.split(" ", 2)[2] for each in lines]
    assert "hunter2" not in json.dumps(lines)


def test_what_is_empty_is_not_told():
    assert k3s("extra_manifests: [], airgap_dir: ''")[1] == []


def test_old_names_of_groups():
    found = made("[master]\na\n[node]\nb\n[k3s_cluster:children]\nmaster\nnode\n", file="hosts.ini")
    assert {name: node["role"] for name, node in nodes(found).items()} == {"a": "server", "b": "agent"}


def test_groups_of_such_names_mean_nothing_without_k3s():
    found = made("[server]\na\n[node]\nb\n", file="hosts.ini")
    assert {node["role"] for node in nodes(found).values()} == {"none"}
    assert [each.label for each in found.groups] == ["server", "node"]


def test_a_variable_alone_tells_that_it_is_k3s():
    found = made("[server]\na\n[all:vars]\nk3s_version=v1.36.3+k3s1\n", file="hosts.ini")
    assert nodes(found)["a"]["role"] == "server"


def test_only_what_is_below_the_cluster_has_a_role():
    found = made("[server]\na\nx\n[s2]\na\n[k3s_cluster:children]\ns2\n", file="hosts.ini")
    assert {name: node["role"] for name, node in nodes(found).items()} == {"a": "server", "x": "none"}


def test_a_host_in_both_groups_is_a_server():
    found = made("[server]\na\n[agent]\na\nb\n[k3s_cluster:children]\nserver\nagent\n", file="hosts.ini")
    assert {name: node["role"] for name, node in nodes(found).items()} == {"a": "server", "b": "agent"}
    assert {each.group: (each.label, each.value) for each in found.groups} == {
        "server": ("role", "server"),
        "agent": ("agent", "true"),
        "k3s_cluster": ("k3s_cluster", "true"),
    }


def test_groups_that_options_name():
    text = "[cp]\na\n[w1]\nb\n[w2]\nc\n[rest]\nd\n"
    found = made(text, file="hosts.ini", server_group="cp", agent_group=r"w\d")
    assert {name: node["role"] for name, node in nodes(found).items()} == {
        "a": "server", "b": "agent", "c": "agent", "d": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"server_group": "nope"}, "--server-group 'nope' names no group of the inventory"),
        ({"agent_group": "["}, r"--agent-group '\[' is no regular expression"),
        ({"site_group": "all"}, "--site-group 'all' names no group of the inventory"),
    ],
)
def test_options_that_name_no_group(options, message):
    with pytest.raises(UsageError, match=message):
        made("[cp]\na\n", file="hosts.ini", **options)


@pytest.mark.parametrize(
    ("said", "endpoint"),
    [
        ("api_endpoint: 10.0.0.100", "10.0.0.100"),
        ("apiserver_endpoint: k3s.acme.example", "k3s.acme.example"),
        ("api_endpoint: 10.0.0.1", None),
        ("api_endpoint: a", None),
        ("api_endpoint: \"{{ hostvars[groups['server'][0]]['ansible_host'] }}\"", None),
        ('api_endpoint: "{{ vip }}", vip: 10.0.0.9', "10.0.0.9"),
        ("extra_server_args: --tls-san k3s.acme.example", "k3s.acme.example"),
        ("api_endpoint: 10.0.0.9, extra_server_args: --tls-san 10.0.0.9", "10.0.0.9"),
    ],
)
def test_where_nodes_join(said, endpoint):
    found = made(HOSTS + f"  vars: {{{said}}}\n")
    assert spec(found, "sites/shop.yaml").get("cluster") == (None if endpoint is None else {"endpoint": endpoint})


def test_servers_stand_first_in_the_order_of_their_group():
    text = "[agent]\nz\nb\na\n[server]\nb\na\n[k3s_cluster:children]\nserver\nagent\n"
    assert list(nodes(made(text, file="hosts.ini"))) == ["b", "a", "z"]


def test_addresses_that_k3s_is_told():
    text = HOSTS.replace("b: {ansible_host: 10.0.0.2}", "b: {ansible_host: gw, extra_agent_args: --node-ip 10.1.0.2}")
    text = text.replace(
        "c: {ansible_host: 10.0.0.3}", 'c: {ansible_host: 10.0.0.3, extra_agent_args: "--node-ip=10.0.0.3,fd00::3"}'
    )
    found = nodes(made(text))
    assert (found["b"]["address"], found["b"]["connection"]) == ("10.1.0.2", {"address": "gw"})
    assert (found["c"]["addresses"], found["c"].get("connection")) == (["10.0.0.3", "fd00::3"], None)


def test_labels_and_taints():
    found = made(HOSTS + '  vars: {extra_agent_args: "--node-label a=b --node-label c= --node-taint x=y:NoExecute"}\n')
    assert spec(found, "profiles/k3s-agent.yaml") == {
        "k3s": {"labels": {"a": "b", "c": ""}, "taints": ["x=y:NoExecute"]}
    }


def test_what_hosts_have_in_common_is_said_once():
    """For all, for a role, at a site, else at the node."""
    text = """\
all:
  vars: {k3s_version: v1.36.3+k3s1, extra_server_args: --disable traefik}
  children:
    server: {hosts: {a1: , a2: }}
    agent: {hosts: {b1: , b2: , c2: {extra_agent_args: --kubelet-arg max-pods=9}}}
    s1: {hosts: {a1: , b1: }, vars: {extra_server_args: --disable traefik --cluster-domain one.local, extra_agent_args: --debug}}
    s2: {hosts: {a2: , b2: , c2: }}
"""
    found = documents(made(text, site_group=r"s\d"))
    assert found["fleet.yaml"]["spec"]["k3s"] == {"version": "v1.36.3+k3s1", "config": {"disable": ["traefik"]}}
    assert found["sites/s1.yaml"]["spec"]["k3s"] == {"config": {"cluster-domain": "one.local"}}
    by_name = {node["name"]: node for site in ("s1", "s2") for node in found[f"sites/{site}.yaml"]["spec"]["nodes"]}
    assert {name: node["k3s"]["config"] for name, node in by_name.items() if "k3s" in node} == {
        "b1": {"debug": True},
        "c2": {"kubelet-arg": ["max-pods=9"]},
    }


def test_sites_without_servers_join_the_only_cluster():
    text = "[server]\na\n[agent]\nb\nc\n[s1]\na\n[s2]\nb\n[s3]\nc\n[k3s_cluster:children]\nserver\nagent\n"
    found = documents(made(text, file="hosts.ini", site_group=r"s\d"))
    assert [found[f"sites/s{at}.yaml"]["spec"].get("cluster") for at in (1, 2, 3)] == [
        None,
        {"join": "s1"},
        {"join": "s1"},
    ]


def kubespray(variables: str) -> tuple[dict[str, object], list[str]]:
    text = f"""\
kube_control_plane: {{hosts: {{a: {{ansible_host: 192.0.2.1, ip: 10.0.0.1}}}}}}
kube_node: {{hosts: {{a: , b: {{ansible_host: 10.0.0.2}}}}}}
k8s_cluster: {{children: {{kube_control_plane: , kube_node: }}, vars: {{{variables}}}}}
"""
    found = made(text)
    return spec(found), told(found)


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ("kube_service_addresses: 10.233.0.0/18, kube_pods_subnet: 10.233.64.0/18", {"service-cidr": "10.233.0.0/18", "cluster-cidr": "10.233.64.0/18"}),
        ("kube_pods_subnet: 10.0.0.0/8, kube_pods_subnet_ipv6: fd00::/112, enable_dual_stack_networks: true", {"cluster-cidr": ["10.0.0.0/8", "fd00::/112"]}),
        ("kube_network_node_prefix: 25", {"kube-controller-manager-arg": ["node-cidr-mask-size=25"]}),
        ("kube_network_node_prefix: 24", {}),
        ("cluster_name: acme.local", {"cluster-domain": "acme.local"}),
        ('cluster_name: acme.local, dns_domain: "{{ cluster_name }}"', {"cluster-domain": "acme.local"}),
        ("cluster_name: acme.local, dns_domain: dns.local", {"cluster-domain": "dns.local"}),
        ("kube_apiserver_port: 8443", {"https-listen-port": 8443}),
        ("kube_proxy_mode: ipvs", {"kube-proxy-arg": ["proxy-mode=ipvs"]}),
        ("kube_proxy_mode: iptables", {}),
        ("kube_encrypt_secret_data: true", {"secrets-encryption": True}),
        ("kubelet_max_pods: 50", {"kubelet-arg": ["max-pods=50"]}),
    ],
)  # fmt: skip
def test_kubespray(variables, config):
    assert kubespray(variables)[0].get("k3s", {}).get("config", {}) == config


def test_kubespray_proxies_and_endpoints():
    found, lines = kubespray(
        "http_proxy: http://p:3128, no_proxy: ' .a, 10.0.0.0/8,', loadbalancer_apiserver: {address: 10.0.0.9, port: 1}"
    )
    assert found["proxy"] == {"http": "http://p:3128", "noProxy": [".a", "10.0.0.0/8"]}
    assert [each for each in lines if " warning " in each] == []


def test_hosts_of_kubespray_that_differ_in_their_proxy():
    text = "kube_control_plane: {hosts: {a: {http_proxy: x}, b: {http_proxy: y}}}\n"
    found = made(text)
    assert "proxy" not in spec(found)
    assert len([each for each in told(found) if "hosts differ in it" in each]) == 2


def test_addresses_labels_and_taints_of_kubespray():
    text = """\
kube_control_plane: {hosts: {a: {ansible_host: 192.0.2.1, ip: 10.0.0.1, ip6: "fd00::1"}, b: {ansible_host: 10.0.0.2}}}
kube_node: {hosts: {b: {node_labels: {gpu: true}, node_taints: ["x=y:NoSchedule"]}}}
etcd: {hosts: {a: , e: {ansible_host: 192.0.2.5, ip: 10.0.0.5}}}
bastion: {hosts: {j: {ansible_host: 192.0.2.9}}}
"""
    found = made(text)
    by_name = nodes(found)
    assert (by_name["a"]["addresses"], by_name["a"]["connection"]) == (
        ["10.0.0.1", "fd00::1"],
        {"address": "192.0.2.1"},
    )
    assert by_name["a"]["k3s"] == {"taints": ["node-role.kubernetes.io/control-plane=true:NoSchedule"]}
    assert by_name["b"]["k3s"] == {"labels": {"gpu": "true"}, "taints": ["x=y:NoSchedule"]}
    assert (by_name["e"]["role"], by_name["e"]["address"]) == ("none", "10.0.0.5")
    assert "only keeps etcd" in told(found, "e")[0]
    assert "Kubespray reaches the other hosts through it" in told(found, "j")[0]


@pytest.mark.parametrize(
    ("version", "channel", "message"),
    [
        ("v1.36.3", "v1.36", "became the channel v1.36: K3s has releases of its own"),
        ("1.36", "v1.36", "became the channel v1.36: K3s has releases of its own"),
        (
            "v1.28.3",
            "v1.28",
            "became the channel v1.28: K3s has releases of its own, and fleet knows v1.34 to v1.37 only",
        ),
        ("latest", None, "not carried over: it is no version of Kubernetes"),
    ],
)
def test_versions_of_kubespray(version, channel, message):
    found, lines = kubespray(f"kube_version: '{version}'")
    assert found.get("k3s", {}).get("channel") == channel
    assert next(each for each in lines if "kube_version" in each).endswith(f"kube_version: {message}")


def test_a_variable_that_no_server_and_no_agent_has_is_told():
    found = made(HOSTS.replace("c: {", "c: {extra_server_args: --debug, "))
    assert told(found, "extra_server_args") == [
        "4:54 note extra_server_args: not in force for any server or agent: left out"
    ]
