from fleet.k3s.ports import LOCAL_PORTS, PORTS, ports_for


def short(rules):
    return [(rule.source, rule.target, rule.protocol, rule.first, rule.last) for rule in rules]


def test_the_whole_table():
    assert [(r.source, r.target, r.protocol, r.first, r.last, r.need, r.is_private) for r in PORTS] == [
        ("all", "servers", "tcp", 6443, 6443, "always", False),
        ("servers", "servers", "tcp", 2379, 2380, "etcd", False),
        ("all", "all", "tcp", 10250, 10250, "always", False),
        ("all", "all", "udp", 8472, 8472, "flannel-vxlan", True),
        ("all", "all", "udp", 51820, 51820, "flannel-wireguard", False),
        ("all", "all", "udp", 51821, 51821, "flannel-wireguard-ipv6", False),
        ("all", "all", "tcp", 5001, 5001, "embedded-registry", False),
        ("all", "all", "tcp", 6443, 6443, "embedded-registry", False),
    ]


def test_a_single_server_with_vxlan():
    assert short(ports_for(etcd=False)) == [
        ("all", "servers", "tcp", 6443, 6443),
        ("all", "all", "tcp", 10250, 10250),
        ("all", "all", "udp", 8472, 8472),
    ]


def test_etcd_wireguard_and_the_embedded_registry():
    rules = ports_for(etcd=True, flannel_backend="wireguard-native", ipv6=True, embedded_registry=True)
    assert short(rules) == [
        ("all", "servers", "tcp", 6443, 6443),
        ("servers", "servers", "tcp", 2379, 2380),
        ("all", "all", "tcp", 10250, 10250),
        ("all", "all", "udp", 51820, 51820),
        ("all", "all", "udp", 51821, 51821),
        ("all", "all", "tcp", 5001, 5001),
        ("all", "all", "tcp", 6443, 6443),
    ]


def test_wireguard_without_ipv6_and_other_backends():
    assert ("all", "all", "udp", 51821, 51821) not in short(ports_for(etcd=False, flannel_backend="wireguard-native"))
    for backend in ("host-gw", "none"):
        assert short(ports_for(etcd=False, flannel_backend=backend, ipv6=True)) == [
            ("all", "servers", "tcp", 6443, 6443),
            ("all", "all", "tcp", 10250, 10250),
        ]


def test_another_listen_port_moves_the_api_and_the_registry():
    rules = short(ports_for(etcd=False, embedded_registry=True, api_port=8443))
    assert ("all", "servers", "tcp", 8443, 8443) in rules
    assert ("all", "all", "tcp", 8443, 8443) in rules
    assert all(6443 not in rule for rule in rules)


def test_ports_of_the_loopback():
    assert {2381, 6444, 10248, 10257, 10259} <= set(LOCAL_PORTS)
