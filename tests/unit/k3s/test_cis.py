from pathlib import Path

import yaml

from fleet.k3s.cis import (
    SYSCTLS,
    HardeningDir,
    HardeningFile,
    agent_config,
    agent_files,
    hardened,
    server_config,
    server_dirs,
    server_files,
)

CIS = Path(__file__).parents[3] / "templates" / "k3s" / "cis"

CIPHERS = (
    "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"
)
SERVER = {
    "protect-kernel-defaults": True,
    "secrets-encryption": True,
    "kube-apiserver-arg": [
        "enable-admission-plugins=NodeRestriction,EventRateLimit",
        "admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml",
        "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
        "audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml",
        "audit-log-maxage=30",
        "audit-log-maxbackup=10",
        "audit-log-maxsize=100",
        "service-account-extend-token-expiration=false",
    ],
    "kube-controller-manager-arg": ["terminated-pod-gc-threshold=100"],
    "kubelet-arg": ["streaming-connection-idle-timeout=5m", CIPHERS],
}


def documents(name):
    return list(yaml.safe_load_all((CIS / name).read_text()))


def test_a_server_gets_what_the_guide_demands():
    assert server_config("v1.35") == SERVER
    assert server_config("v1.29") == SERVER
    assert server_config(None) == SERVER


def test_before_1_29_the_guide_demands_less():
    older = server_config("v1.28")
    assert "service-account-extend-token-expiration=false" not in older["kube-apiserver-arg"]
    assert older["kube-controller-manager-arg"] == ["terminated-pod-gc-threshold=10"]


def test_the_files_follow_the_data_directory():
    arguments = server_config("v1.35", "/data/k3s")["kube-apiserver-arg"]
    assert "audit-policy-file=/data/k3s/server/audit.yaml" in arguments
    assert server_files("/data/k3s")[1].path == "/data/k3s/server/psa.yaml"


def test_an_agent_gets_the_kubelets_part():
    assert agent_config("v1.35") == {
        "protect-kernel-defaults": True,
        "kubelet-arg": ["streaming-connection-idle-timeout=5m", CIPHERS],
    }


def test_each_call_gives_a_config_of_its_own():
    server_config("v1.35")["kubelet-arg"].append("x=y")
    assert server_config("v1.35") == SERVER


def test_files_and_directories():
    sysctl = HardeningFile("k3s/cis/90-kubelet.conf", "/etc/sysctl.d/90-kubelet.conf", "0644")
    assert agent_files() == (sysctl,)
    assert server_files() == (
        sysctl,
        HardeningFile("k3s/cis/psa.yaml", "/var/lib/rancher/k3s/server/psa.yaml", "0600"),
        HardeningFile("k3s/cis/audit.yaml", "/var/lib/rancher/k3s/server/audit.yaml", "0600"),
        HardeningFile(
            "k3s/cis/network-policies.yaml",
            "/var/lib/rancher/k3s/server/manifests/fleet-cis-network-policies.yaml",
            "0600",
        ),
    )
    assert HardeningDir("/var/lib/rancher/k3s/server/logs", "0700") in server_dirs()
    for file in server_files():
        assert (CIS.parents[1] / file.template).is_file()


def test_kernel_settings():
    assert dict(SYSCTLS) == {
        "vm.panic_on_oom": 0,
        "vm.overcommit_memory": 1,
        "kernel.panic": 10,
        "kernel.panic_on_oops": 1,
    }
    lines = (CIS / "90-kubelet.conf").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "vm.panic_on_oom=0",
        "vm.overcommit_memory=1",
        "kernel.panic=10",
        "kernel.panic_on_oops=1",
    ]


def test_pod_security_is_restricted_but_in_kube_system():
    (document,) = documents("psa.yaml")
    assert document["apiVersion"] == "apiserver.config.k8s.io/v1"
    assert document["kind"] == "AdmissionConfiguration"
    security, limit = document["plugins"]
    assert security["name"] == "PodSecurity"
    assert security["configuration"] == {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": {
            "enforce": "restricted",
            "enforce-version": "latest",
            "audit": "restricted",
            "audit-version": "latest",
            "warn": "restricted",
            "warn-version": "latest",
        },
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
    }
    assert limit == {
        "name": "EventRateLimit",
        "configuration": {
            "apiVersion": "eventratelimit.admission.k8s.io/v1alpha1",
            "kind": "Configuration",
            "limits": [{"type": "Server", "qps": 5000, "burst": 20000}],
        },
    }


def test_the_audit_policy_records_metadata():
    assert documents("audit.yaml") == [
        {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    ]


def own_pods_only(namespace):
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": selector}]}],
    }


def open_to_all(label, value, rule):
    return {"podSelector": {"matchLabels": {label: value}}, "policyTypes": ["Ingress"], "ingress": [rule]}


def test_network_policies():
    found = documents("network-policies.yaml")
    assert {(d["apiVersion"], d["kind"]) for d in found} == {("networking.k8s.io/v1", "NetworkPolicy")}
    deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
    names = {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}
    assert [((d["metadata"]["namespace"], d["metadata"]["name"]), d["spec"]) for d in found] == [
        (("default", "default-deny"), deny),
        (("kube-public", "default-deny"), deny),
        (("kube-system", "default-deny"), deny),
        (("default", "intra-namespace"), own_pods_only("default")),
        (("kube-public", "intra-namespace"), own_pods_only("kube-public")),
        (("kube-system", "intra-namespace"), own_pods_only("kube-system")),
        (("kube-system", "default-network-dns-policy"), open_to_all("k8s-app", "kube-dns", names)),
        (("kube-system", "allow-all-metrics-server"), open_to_all("k8s-app", "metrics-server", {})),
        (
            ("kube-system", "allow-all-svclbtraefik-ingress"),
            open_to_all("svccontroller.k3s.cattle.io/svcname", "traefik", {}),
        ),
        (("kube-system", "allow-all-traefik-ingress"), open_to_all("app.kubernetes.io/name", "traefik", {})),
    ]


def test_hardening_takes_nothing_from_a_config_nor_the_other_way_round():
    own = {
        "disable": ["traefik"],
        "secrets-encryption": False,
        "kubelet-arg": ["max-pods=250", "streaming-connection-idle-timeout=10m"],
        "kube-apiserver-arg": "enable-admission-plugins=AlwaysPullImages,NodeRestriction",
    }
    profile = {
        "protect-kernel-defaults": True,
        "secrets-encryption": True,
        "kubelet-arg": ["streaming-connection-idle-timeout=5m", "a=b"],
        "kube-apiserver-arg": ["enable-admission-plugins=NodeRestriction,EventRateLimit", "audit-log-maxage=30"],
    }
    assert hardened(own, profile) == {
        "disable": ["traefik"],
        "secrets-encryption": False,
        "kubelet-arg": ["a=b", "max-pods=250", "streaming-connection-idle-timeout=10m"],
        "kube-apiserver-arg": [
            "enable-admission-plugins=NodeRestriction,EventRateLimit,AlwaysPullImages",
            "audit-log-maxage=30",
        ],
        "protect-kernel-defaults": True,
    }
    assert own["kubelet-arg"] == ["max-pods=250", "streaming-connection-idle-timeout=10m"]


def test_a_flag_that_is_given_twice_stays_twice():
    profile = {"kubelet-arg": ["a=b"]}
    assert hardened({"kubelet-arg": ["config-dir=/x", "config-dir=/y"]}, profile) == {
        "kubelet-arg": ["a=b", "config-dir=/x", "config-dir=/y"]
    }
