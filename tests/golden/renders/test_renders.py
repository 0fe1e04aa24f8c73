"""What fleet renders for K3s, byte for byte, at each supported minor, and what must be true of it whatever it looks like.

The files below v1.*/ are the expected ones. Nothing here writes them: write.py does, by hand.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from fleet.k3s.keys import SUPPORTED_MINORS
from fleet.model.bundle import SecretRef
from tests.golden.renders.rendering import HERE, NEWEST, VERSIONS, bundles, intent, tree

MINORS = tuple(VERSIONS)
SERVERS = ("lyon-a", "lyon-b", "lyon-c", "metz-a", "nancy-a", "nancy-b")
AGENTS = ("lyon-gpu", "lyon-till-001", "lyon-till-002")
HARDENED = ("lyon-a", "lyon-b", "lyon-c")
MANIFESTS = "/var/lib/rancher/k3s/server/manifests"
SECRET = "<secret>"

each_minor = pytest.mark.parametrize("minor", MINORS)


def text(minor: str, node: str, path: str) -> str:
    """A file as the golden has it; each secret as <secret>."""
    golden = json.loads((HERE / minor / "bundles" / f"{node}.json").read_bytes())
    (entry,) = [file for file in golden["manifest"]["files"] + golden["seeds"] if file["path"] == path]
    if "segments" in entry:
        parts = [part if isinstance(part, str) else SECRET for part in entry["segments"]]
        return "".join(parts)
    for held in (HERE / minor / "contents").rglob("*"):
        data = held.read_bytes() if held.is_file() else b""
        if hashlib.sha256(data).hexdigest() == entry["sha256"]:
            return data.decode()
    raise AssertionError(f"no content of {path} for {node}")


def config(minor: str, node: str, path: str = "/etc/rancher/k3s/config.yaml") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text(minor, node, path))
    return loaded


def manifest(minor: str, node: str) -> dict[str, Any]:
    return json.loads((HERE / minor / "bundles" / f"{node}.json").read_bytes())["manifest"]


def entries(minor: str, node: str) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in manifest(minor, node)["files"]}


def test_the_minors_are_the_supported_ones() -> None:
    assert MINORS == SUPPORTED_MINORS == ("v1.34", "v1.35", "v1.36", "v1.37")
    assert MINORS[-1] == NEWEST
    assert {path.name for path in HERE.glob("v1.*")} == set(MINORS)


@each_minor
def test_the_tree_is_the_golden_one(minor: str) -> None:
    held = {path.relative_to(HERE / minor).as_posix(): path for path in (HERE / minor).rglob("*") if path.is_file()}
    made = tree(minor)
    assert sorted(made) == sorted(held)
    differing = [path for path, data in made.items() if held[path].read_bytes() != data]
    assert differing == []


@each_minor
def test_the_spec_has_no_warnings_to_speak_of(minor: str) -> None:
    assert intent(minor).fleet.warnings == ()
    assert intent(minor).fleet.unlocked == ()


@each_minor
def test_the_first_server_founds_and_the_others_join(minor: str) -> None:
    assert "server" not in config(minor, "lyon-a")
    for node in ("lyon-b", "lyon-c"):
        assert config(minor, node)["server"] == "https://k3s.lyon.acme.example:6443"
    assert text(minor, "lyon-a", "/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml") == "cluster-init: true\n"


@each_minor
def test_the_join_file_is_the_first_etcd_servers_alone_and_outside_the_digest(minor: str) -> None:
    seeds = {name: [file.path for file in bundle.files if file.seed] for name, bundle in bundles(minor).items()}
    join = "/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml"
    assert {name: paths for name, paths in seeds.items() if paths} == {"lyon-a": [join]}
    assert join not in entries(minor, "lyon-a")
    assert all("cluster-init" not in config(minor, node) for node in (*SERVERS, *AGENTS))


@each_minor
def test_one_server_and_an_external_datastore_join_nobody(minor: str) -> None:
    assert "server" not in config(minor, "metz-a")
    for node in ("nancy-a", "nancy-b"):
        assert {key: value for key, value in config(minor, node).items() if key == "server" or "datastore" in key} == {
            "datastore-endpoint": SECRET,
            "datastore-cafile": "/etc/rancher/k3s/datastore-ca.crt",
            "datastore-certfile": "/etc/rancher/k3s/datastore-client.crt",
            "datastore-keyfile": "/etc/rancher/k3s/datastore-client.key",
        }
    assert text(minor, "nancy-a", "/etc/rancher/k3s/datastore-ca.crt").splitlines()[1] == "ca"
    assert text(minor, "nancy-b", "/etc/rancher/k3s/datastore-client.crt").splitlines()[1] == "client"


@each_minor
def test_agents_join_and_have_no_key_that_only_servers_know(minor: str) -> None:
    for node in AGENTS:
        keys = set(config(minor, node))
        assert config(minor, node)["server"] == "https://k3s.lyon.acme.example:6443"
        assert keys - {"default-runtime"} == {
            "token-file", "server", "node-name", "node-ip", "kubelet-arg", "protect-kernel-defaults",
        }  # fmt: skip
        assert config(minor, node)["token-file"] == "/etc/rancher/k3s/agent-token"
        assert not [path for path in entries(minor, node) if "/server/" in path or path.endswith("server-token")]


@each_minor
def test_who_a_node_is(minor: str) -> None:
    for node in (*SERVERS, *AGENTS):
        assert config(minor, node)["node-name"] == node
    assert config(minor, "lyon-b")["node-ip"] == "10.20.1.12"
    assert config(minor, "lyon-till-002")["node-ip"] == "10.20.1.34"
    assert config(minor, "metz-a")["node-ip"] == "10.20.2.11,fd20:2::11"
    assert config(minor, "lyon-a")["tls-san"] == ["k3s.lyon.acme.example"]
    assert "tls-san" not in config(minor, "metz-a")


@each_minor
def test_labels_and_taints(minor: str) -> None:
    apart = "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml"
    assert config(minor, "lyon-gpu", apart) == {
        "node-label": ["gpu=nvidia", "tier=edge"], "node-taint": ["gpu=true:NoSchedule"]
    }  # fmt: skip
    assert config(minor, "lyon-till-001", apart) == {"node-label": ["tier=edge"]}
    assert not [node for node in (*SERVERS, *AGENTS) if {"node-label", "node-taint"} & config(minor, node).keys()]
    assert "restart" not in entries(minor, "lyon-gpu")[apart]


@each_minor
def test_the_cis_keys_of_k3s_contract(minor: str) -> None:
    for node in HARDENED:
        held = config(minor, node)
        assert held["protect-kernel-defaults"] is True
        assert held["secrets-encryption"] is True
        # What the contract names, but where the site says something else: maxage, and one plug-in more.
        assert held["kube-apiserver-arg"] == [
            "enable-admission-plugins=NodeRestriction,EventRateLimit,AlwaysPullImages",
            "admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml",
            "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
            "audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml",
            "audit-log-maxbackup=10",
            "audit-log-maxsize=100",
            "service-account-extend-token-expiration=false",
            "audit-log-maxage=60",
        ]
        assert held["kube-controller-manager-arg"] == ["terminated-pod-gc-threshold=100"]
    for node in (*HARDENED, *AGENTS):
        arguments = config(minor, node)["kubelet-arg"]
        assert arguments[0] == "streaming-connection-idle-timeout=5m"
        assert arguments[1].startswith("tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,")
        assert arguments[2:] == ["max-pods=60"]
        assert config(minor, node)["protect-kernel-defaults"] is True
    for node in ("metz-a", "nancy-a"):
        assert "protect-kernel-defaults" not in config(minor, node)
        assert config(minor, node)["kubelet-arg"] == ["max-pods=60"]


@each_minor
def test_the_cis_kernel_settings_and_folders(minor: str) -> None:
    for node in (*HARDENED, *AGENTS):
        lines = text(minor, node, "/etc/sysctl.d/90-kubelet.conf").splitlines()
        assert [line for line in lines if not line.startswith("#")] == [
            "vm.panic_on_oom=0", "vm.overcommit_memory=1", "kernel.panic=10", "kernel.panic_on_oops=1",
        ]  # fmt: skip
        assert manifest(minor, node)["sysctl"] == {
            "kernel.panic": "10", "kernel.panic_on_oops": "1", "vm.overcommit_memory": "1", "vm.panic_on_oom": "0",
            "vm.swappiness": "10",
        }  # fmt: skip
    for node in HARDENED:
        folders = {folder["path"]: folder["mode"] for folder in manifest(minor, node)["folders"]}
        assert folders["/var/lib/rancher/k3s/server/logs"] == "0700"
        assert set(folders.values()) == {"0700"}
    assert manifest(minor, "metz-a")["sysctl"] == {"vm.swappiness": "10"}
    assert manifest(minor, "metz-a")["folders"] == []


@each_minor
def test_network_policies_deny_by_default_and_let_in_what_k3s_needs(minor: str) -> None:
    documents = list(yaml.safe_load_all(text(minor, "lyon-b", f"{MANIFESTS}/fleet-cis-network-policies.yaml")))
    policies = {(each["metadata"]["namespace"], each["metadata"]["name"]): each["spec"] for each in documents}
    for namespace in ("kube-system", "kube-public", "default"):
        assert policies[namespace, "default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    dns = policies["kube-system", "default-network-dns-policy"]
    assert dns["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert dns["ingress"] == [{"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}]
    for name, label in (
        ("allow-all-metrics-server", {"k8s-app": "metrics-server"}),
        ("allow-all-traefik-ingress", {"app.kubernetes.io/name": "traefik"}),
        ("allow-all-svclbtraefik-ingress", {"svccontroller.k3s.cattle.io/svcname": "traefik"}),
    ):
        assert policies["kube-system", name]["podSelector"] == {"matchLabels": label}
        assert policies["kube-system", name]["ingress"] == [{}]


@each_minor
def test_pod_security_and_audit(minor: str) -> None:
    admission = yaml.safe_load(text(minor, "lyon-a", "/var/lib/rancher/k3s/server/psa.yaml"))
    (psa,) = [plugin for plugin in admission["plugins"] if plugin["name"] == "PodSecurity"]
    defaults = psa["configuration"]["defaults"]
    assert (defaults["enforce"], defaults["audit"], defaults["warn"]) == ("restricted",) * 3
    assert psa["configuration"]["exemptions"]["namespaces"] == ["kube-system"]
    audit = yaml.safe_load(text(minor, "lyon-a", "/var/lib/rancher/k3s/server/audit.yaml"))
    assert (audit["kind"], audit["rules"]) == ("Policy", [{"level": "Metadata"}])


@each_minor
def test_what_may_hold_a_secret_is_for_root_alone(minor: str) -> None:
    private = {
        "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/registries.yaml", "/etc/rancher/k3s/server-token",
        "/etc/rancher/k3s/agent-token", "/var/lib/rancher/k3s/server/psa.yaml",
        "/var/lib/rancher/k3s/server/audit.yaml", "/etc/systemd/system/k3s.service.env",
    }  # fmt: skip
    held = entries(minor, "lyon-a")
    assert {path: held[path].get("mode", "0644") for path in private} == dict.fromkeys(private, "0600")
    assert all(file["mode"] == "0600" for path, file in held.items() if path.startswith(MANIFESTS))
    for node in (*SERVERS, *AGENTS, "oslo-kiosk"):
        for path, file in entries(minor, node).items():
            assert file.get("owner", "root") == "root" or path == "/opt/acme/logo.bin"
            if "segments" in file:
                assert file["mode"] == "0600", path
    assert entries(minor, "nancy-a")["/etc/rancher/k3s/datastore-client.key"]["mode"] == "0600"


@each_minor
def test_secrets_are_references_with_a_fingerprint(minor: str) -> None:
    found = {
        name: {part for file in bundle.files for part in file.segments if isinstance(part, SecretRef)}
        for name, bundle in bundles(minor).items()
    }
    registry = SecretRef("registry-password", "json", "4e610000")
    feed = SecretRef("feed-password", "plain", "feed0000")
    token = SecretRef("lyon.k3s-token", "k3s-server", "70c00001")
    agent_token = SecretRef("lyon.k3s-agent-token", "plain", "a9e00001")
    to_join = SecretRef("lyon.k3s-agent-token", "k3s-agent", "a9e00001")
    assert found["lyon-b"] == {registry, feed, token, agent_token}
    assert found["lyon-till-001"] == {registry, feed, to_join}, "an agent must never hold the servers' token"
    assert found["oslo-kiosk"] == {feed}
    assert SecretRef("nancy-datastore", "json", "da7a0003") in found["nancy-a"]
    assert SecretRef("nancy-key", "plain", "6e700003") in found["nancy-a"]
    assert yaml.safe_load(text(minor, "metz-a", "/etc/rancher/k3s/registries.yaml")) == {
        "mirrors": {"docker.io": {"endpoint": ["https://registry.acme.example"]}},
        "configs": {"registry.acme.example": {"auth": {"username": "puller", "password": SECRET}}},
    }
    assert text(minor, "metz-a", "/etc/rancher/k3s/server-token") == f"{SECRET}\n"


@each_minor
def test_the_units_command_line_is_bare(minor: str) -> None:
    for node, unit, command in (
        ("lyon-a", "k3s.service", "/usr/local/bin/k3s server"),
        ("lyon-gpu", "k3s-agent.service", "/usr/local/bin/k3s agent"),
    ):
        lines = text(minor, node, f"/etc/systemd/system/{unit}").splitlines()
        assert [line for line in lines if line.startswith("ExecStart=")] == [f"ExecStart={command}"]
        assert "EnvironmentFile=-/etc/systemd/system/%N.service.env" in lines
        assert not [line for line in lines if line.startswith("Environment=") or line.endswith("\\")]
        units = {each["name"]: each for each in manifest(minor, node)["units"]}
        assert units[unit] == {"name": unit, "enabled": True, "state": "started"}


@each_minor
def test_the_proxy_is_in_the_units_environment(minor: str) -> None:
    lines = text(minor, "lyon-till-001", "/etc/systemd/system/k3s-agent.service.env").splitlines()
    assert lines[0] == 'HTTPS_PROXY="http://proxy.acme.example:3128"'
    assert lines[1] == 'HTTP_PROXY="http://proxy.acme.example:3128"'
    assert lines[2].startswith('NO_PROXY="localhost,.svc,127.0.0.0/8,10.0.0.0/8,')
    assert lines[2].endswith(',.acme.example"')


@each_minor
def test_k3s_comes_from_the_mirrors_and_by_checksum(minor: str) -> None:
    version = VERSIONS[minor]
    for node, name, sha256 in (
        ("lyon-a", "k3s", "a"),
        ("lyon-till-001", "k3s-arm64", "b"),
        ("metz-a", "k3s-armhf", "c"),
    ):
        golden = json.loads((HERE / minor / "bundles" / f"{node}.json").read_bytes())
        (artifact,) = golden["manifest"]["artifacts"]
        assert (artifact["path"], artifact["sha256"], artifact.get("mode", "0755")) == (
            "/usr/local/bin/k3s", sha256 * 64, "0755",
        )  # fmt: skip
        assert "urls" not in artifact
        assert golden["urls"]["/usr/local/bin/k3s"] == [
            f"https://mirror.acme.example/k3s/{version.replace('+', '%2B')}/{name}",
            f"file:///work/acme/mirror/{version}/{name}",
        ]
        assert golden["manifest"]["facts"]["k3s_version"] == version


@each_minor
def test_the_binary_and_what_k3s_reads_restart_it_and_manifests_do_not(minor: str) -> None:
    restarts = {path: file.get("restart") for path, file in entries(minor, "lyon-a").items()}
    assert {path for path, units in restarts.items() if units == ["k3s.service"]} == {
        "/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/registries.yaml", "/etc/rancher/k3s/server-token",
        "/etc/rancher/k3s/agent-token", "/etc/systemd/system/k3s.service", "/etc/systemd/system/k3s.service.env",
        "/var/lib/rancher/k3s/server/psa.yaml", "/var/lib/rancher/k3s/server/audit.yaml",
    }  # fmt: skip
    assert {path: units for path, units in restarts.items() if units and units != ["k3s.service"]} == {
        "/etc/chrony/conf.d/acme.conf": ["chrony.service"]
    }
    assert manifest(minor, "lyon-a")["artifacts"][0]["restart"] == ["k3s.service"]
    assert manifest(minor, "lyon-gpu")["artifacts"][0]["restart"] == ["k3s-agent.service"]


@each_minor
def test_auto_deployed_manifests_of_all_three_kinds(minor: str) -> None:
    assert yaml.safe_load(text(minor, "lyon-a", f"{MANIFESTS}/runtime-class.yaml"))["handler"] == "nvidia"
    assert yaml.safe_load(text(minor, "lyon-a", f"{MANIFESTS}/quota.yaml"))["metadata"]["name"] == "lyon"
    assert yaml.safe_load(text(minor, "lyon-a", f"{MANIFESTS}/namespace.yaml"))["metadata"] == {"name": "pos"}
    assert not [path for path in entries(minor, "lyon-gpu") if "manifests" in path]


@each_minor
def test_users_files_of_all_three_kinds(minor: str) -> None:
    assert text(minor, "oslo-kiosk", "/etc/chrony/conf.d/acme.conf") == "server ntp.acme.example iburst\n"
    assert text(minor, "oslo-kiosk", "/etc/motd") == "oslo-kiosk (none) at oslo, UTC\n"
    assert text(minor, "lyon-till-002", "/etc/motd") == "lyon-till-002 (agent) at lyon, Europe/Paris\n"
    assert (
        bundles(minor)["oslo-kiosk"].blobs[hashlib.sha256(b"\x00\x01\xff\nlogo").hexdigest()] == b"\x00\x01\xff\nlogo"
    )
    held = entries(minor, "oslo-kiosk")
    logo, chrony = held["/opt/acme/logo.bin"], held["/etc/chrony/conf.d/acme.conf"]
    assert (logo["mode"], logo["owner"], logo["group"], logo["size"]) == ("0640", "ops", "adm", 8)
    assert (chrony["validate"], chrony["restart"]) == ("chronyd -p -f {file}", ["chrony.service"])
    assert held["/etc/motd"]["reload"] == ["motd.service"]
    assert text(minor, "oslo-kiosk", "/etc/acme/feed.conf") == f"password = {SECRET}\n"
    assert text(minor, "oslo-kiosk", "/etc/sysctl.d/80-fleet.conf") == "vm.swappiness = 10\n"


@each_minor
def test_a_plain_host_has_nothing_of_k3s(minor: str) -> None:
    held = manifest(minor, "oslo-kiosk")
    assert not [path for path in entries(minor, "oslo-kiosk") if "rancher" in path or "k3s" in path]
    assert held["artifacts"] == []
    assert held["facts"] == {"role": "none", "site": "oslo"}
    assert [unit["name"] for unit in held["units"]] == ["chrony.service"]
    assert held["packages"] == [{"name": "chrony"}, {"name": "jq", "version": "1.7.1-3"}]
    assert held["users"] == [
        {"name": "ops", "groups": ["adm"], "shell": "/bin/bash", "authorized_keys": ["ssh-ed25519 AAAA ops@acme"]}
    ]


@each_minor
def test_a_moved_data_folder_takes_everything_with_it(minor: str) -> None:
    assert config(minor, "metz-a")["data-dir"] == "/data/k3s"
    assert not [path for path in entries(minor, "metz-a") if path.startswith("/var/lib/rancher")]


@each_minor
def test_facts_hold_what_rules_compare(minor: str) -> None:
    assert manifest(minor, "metz-a")["facts"] == {
        "site": "metz", "role": "server", "cluster": "metz", "datastore": "sqlite", "k3s_version": VERSIONS[minor],
        "config": {
            "cluster-cidr": "10.42.0.0/16,fd42::/56", "service-cidr": "10.43.0.0/16,fd43::/112",
            "disable": '- "traefik"',
        },
        "labels": {"tier": "edge"},
    }  # fmt: skip


@each_minor
def test_each_digest_is_that_of_its_manifest_as_the_node_counts(minor: str) -> None:
    for path in (HERE / minor / "bundles").iterdir():
        golden = json.loads(path.read_bytes())
        canonical = json.dumps(golden["manifest"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert golden["digest"] == "b1:" + hashlib.sha256(canonical.encode()).hexdigest()
        assert golden["format"] == "fleet.bundle/v1"
        assert golden["node"] == path.stem


def test_a_minor_changes_nothing_that_does_not_depend_on_it() -> None:
    for node in (*SERVERS, *AGENTS):
        files = [entries(minor, node) for minor in MINORS]
        assert files[0] == files[1] == files[2] == files[3]
    assert bundles("v1.34")["oslo-kiosk"].digest == bundles("v1.37")["oslo-kiosk"].digest
    assert len({bundles(minor)["lyon-a"].digest for minor in MINORS}) == 4
