"""What K3s takes on a node, by its role and its place in the cluster: literal files, modes, tokens and join files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from fleet.model.bundle import Bundle, BundleLearn, BundleUnit
from fleet.model.learned import LearnedCluster
from fleet.model.record import Record
from fleet.render.manifest import digest_of, manifest_of
from fleet.testing import MemoryRecords
from tests import specs
from tests.specs import FLEET, document
from tests.unit.render.ground import bundles, file, intent, text

CONFIG = "/etc/rancher/k3s/config.yaml"
NODE = "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml"
JOIN = "/etc/rancher/k3s/config.yaml.d/10-fleet-join.yaml"
SERVER_TOKEN = "/etc/rancher/k3s/server-token"
AGENT_TOKEN = "/etc/rancher/k3s/agent-token"
HEAD = "# Written by fleet from the fleet's git repository; what is changed here is changed back.\n"
S1 = '  - {name: s1, role: server, arch: amd64, addresses: [10.0.0.1, "fd00::1"]}\n'
S2 = "  - {name: s2, role: server, arch: amd64, address: 10.0.0.2}\n"
S3 = "  - {name: s3, role: server, arch: amd64, address: 10.0.0.3}\n"
A1 = "  - {name: a1, role: agent, arch: arm64, address: 10.0.0.9}\n"
SAID = """\
k3s:
  config: {write-kubeconfig-mode: "0640", kubelet-arg: [a=b]}
  labels: {zone: b, app: pos}
  taints: ["k=v:NoSchedule"]
  registries: {configs: {r.example: {auth: {username: u, password: 'secret:reg'}}}}
  manifests: [{name: m, content: "kind: X"}]
"""


def made(
    *parts: str, existed: bool = False, told: Iterable[str | Record] = (), fleet: str = FLEET, datastore: str = "etcd"
) -> dict[str, Bundle]:
    records = MemoryRecords([one if isinstance(one, Record) else Record(one, "acme", "m", "b1:aa") for one in told])
    if existed:
        records.learn_clusters({"lyon": LearnedCluster(existed=True, datastore=datastore)})
    return bundles(intent(fleet, document("Site", "lyon", "nodes:\n" + "".join(parts)), records=records))


def table(bundle: Bundle) -> dict[str, tuple[Any, ...]]:
    return {each.path: (each.mode, each.seed, *each.restart) for each in bundle.files}


def test_files_of_servers_and_agents() -> None:
    found = made(S1, S2, S3, A1, SAID)
    server: dict[str, tuple[Any, ...]] = {
        AGENT_TOKEN: ("0600", False, "k3s.service"),
        CONFIG: ("0600", False, "k3s.service"),
        NODE: ("0600", False),
        "/etc/rancher/k3s/registries.yaml": ("0600", False, "k3s.service"),
        SERVER_TOKEN: ("0600", False, "k3s.service"),
        "/etc/systemd/system/k3s.service": ("0644", False, "k3s.service"),
        "/var/lib/rancher/k3s/server/manifests/m.yaml": ("0600", False),
    }
    assert table(found["s1"]) == {**server, JOIN: ("0600", True)}
    assert table(found["s2"]) == table(found["s3"]) == server
    assert table(found["a1"]) == {
        AGENT_TOKEN: ("0600", False, "k3s-agent.service"),
        CONFIG: ("0600", False, "k3s-agent.service"),
        NODE: ("0600", False),
        "/etc/rancher/k3s/registries.yaml": ("0600", False, "k3s-agent.service"),
        "/etc/systemd/system/k3s-agent.service": ("0644", False, "k3s-agent.service"),
    }


def test_the_unit_runs_and_its_binary_restarts_it() -> None:
    found = made(S1, A1)
    assert found["s1"].units == (BundleUnit("k3s.service", enabled=True, state="started"),)
    assert found["a1"].units == (BundleUnit("k3s-agent.service", enabled=True, state="started"),)
    (server,), (agent,) = found["s1"].artifacts, found["a1"].artifacts
    assert (server.path, server.mode, server.sha256, server.restart) == (
        "/usr/local/bin/k3s", "0755", "a" * 64, ("k3s.service",),
    )  # fmt: skip
    assert (agent.path, agent.mode, agent.sha256, agent.restart) == (
        "/usr/local/bin/k3s", "0755", "b" * 64, ("k3s-agent.service",),
    )  # fmt: skip


def test_mirrors_are_asked_in_their_order() -> None:
    said = "k3s: {version: v1.36.3+k3s1}\nartifacts: {mirrors: ['https://one.example', 'file:///srv/two']}"
    (artifact,) = made(S1, fleet=document("Fleet", "acme", said))["s1"].artifacts
    assert artifact.urls == (
        "https://one.example/v1.36.3%2Bk3s1/k3s",
        "file:///srv/two/v1.36.3+k3s1/k3s",
    )


AIR_GAP = document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1, airGap: true}")
ROUTE = "/etc/systemd/system/fleet-default-route.service"


def air_gapped(*parts: str) -> dict[str, Bundle]:
    lock = json.loads(specs.lock(specs.VERSION))
    images = {"name": "k3s-airgap-images-amd64.tar.zst", "sha256": "1" * 64}
    lock["releases"][specs.VERSION]["images"] = {"amd64": images}
    site = document("Site", "lyon", "nodes:\n" + "".join(parts))
    return bundles(intent(AIR_GAP, site, files={"fleet.lock": json.dumps(lock)}))


def test_an_air_gapped_node_gets_images_by_their_sum_where_its_data_is() -> None:
    found = air_gapped(S1, "k3s: {config: {data-dir: /data/k3s}}")["s1"]
    images = {each.path: each for each in found.artifacts}["/data/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"]
    assert (images.sha256, images.mode, images.restart) == ("1" * 64, "0644", ("k3s.service",))
    assert images.urls == (
        "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s-airgap-images-amd64.tar.zst",
    )
    assert len(made(S1)["s1"].artifacts) == 1


def test_an_air_gapped_node_has_a_default_route_before_k3s_by_its_own_interface() -> None:
    found = air_gapped(S1, A1)
    for name, address in (("s1", "10.0.0.1"), ("a1", "10.0.0.9")):
        assert BundleUnit("fleet-default-route.service", enabled=True, state="started") in found[name].units
        unit = text(found[name], ROUTE)
        assert f"set -- $$(ip -o -4 address show to {address});" in unit
        assert "Before=k3s.service k3s-agent.service\n" in unit
        assert file(found[name], ROUTE).restart == ("fleet-default-route.service",)
    six = air_gapped("  - {name: s1, role: server, arch: amd64, address: 'fd00::1'}\n")["s1"]
    assert "ip -o -6 address show to fd00::1" in text(six, ROUTE)
    assert ROUTE not in table(made(S1)["s1"])


def test_tokens_by_role() -> None:
    found = made(S1, S2, S3, A1)
    for name in ("s1", "s2", "s3"):
        assert text(found[name], SERVER_TOKEN) == "<lyon.k3s-token:k3s-server>\n"
        assert text(found[name], AGENT_TOKEN) == "<lyon.k3s-agent-token:plain>\n"
    assert text(found["a1"], AGENT_TOKEN) == "<lyon.k3s-agent-token:k3s-agent>\n"


def test_servers_tell_the_hash_of_their_ca_which_is_no_part_of_the_digest() -> None:
    found = made(S1, S2, A1, "cluster: {growing: true}")
    told = BundleLearn("k3s_ca", "^K10([0-9a-f]{64})::", "/var/lib/rancher/k3s/server/token")
    assert [found[name].learn[:-2] for name in ("s1", "s2", "a1")] == [(told,), (told,), ()]
    elsewhere = made(S1, "k3s: {config: {data-dir: /data/k3s}}")["s1"]
    assert elsewhere.learn[0].path == "/data/k3s/server/token"
    assert digest_of(manifest_of(replace(found["s1"], learn=()))) == found["s1"].digest


def test_nodes_tell_when_their_certificates_end() -> None:
    found = made(S1, A1)
    tls, agent = "/var/lib/rancher/k3s/server/tls", "/var/lib/rancher/k3s/agent"
    for name, folders in (("s1", (tls, f"{tls}/etcd", agent)), ("a1", (agent,))):
        leaf, authority = found[name].learn[-2:]
        assert (leaf.name, leaf.folders, authority.name) == ("k3s_leaf_end", folders, "k3s_ca_end")
        for entry, is_ca in (
            ("server-ca.crt", True), ("client-ca.nochain.crt", True), ("peer-ca.crt", True),
            ("serving-kube-apiserver.crt", False), ("client-kubelet.crt", False), ("client.crt", False),
            ("client-admin.key", None), ("server-ca.key", None), ("dynamic-cert.json", None),
        ):  # fmt: skip
            seen = (bool(re.search(authority.pattern, entry)), bool(re.search(leaf.pattern, entry)))
            assert seen == (is_ca is True, is_ca is False), entry


def test_the_configuration_of_the_first_server() -> None:
    found = made(S1, S2, S3, SAID, "cluster: {endpoint: api.lyon.example}")
    assert text(found["s1"], CONFIG) == HEAD + (
        'agent-token-file: "/etc/rancher/k3s/agent-token"\n'
        'kubelet-arg:\n  - "a=b"\n'
        'node-ip: "10.0.0.1,fd00::1"\n'
        'node-name: "s1"\n'
        'tls-san:\n  - "api.lyon.example"\n'
        'token-file: "/etc/rancher/k3s/server-token"\n'
        'write-kubeconfig-mode: "0640"\n'
    )


def test_the_configuration_of_an_agent_has_no_key_of_a_server() -> None:
    found = made(S1, A1, SAID, "cluster: {endpoint: api.lyon.example}")
    assert text(found["a1"], CONFIG) == HEAD + (
        'kubelet-arg:\n  - "a=b"\n'
        'node-ip: "10.0.0.9"\n'
        'node-name: "a1"\n'
        'server: "https://api.lyon.example:6443"\n'
        'token-file: "/etc/rancher/k3s/agent-token"\n'
    )


def test_labels_and_taints_have_a_file_of_their_own() -> None:
    """It restarts nothing: K3s reads it when it starts, and a Node that is there gets both through the API."""
    found = made(S1, A1, SAID)
    for bundle in found.values():
        assert text(bundle, NODE) == HEAD + (
            'node-label:\n  - "app=pos"\n  - "zone=b"\n' + 'node-taint:\n  - "k=v:NoSchedule"\n'
        )
        assert (bundle.facts.labels, bundle.facts.taints) == ({"app": "pos", "zone": "b"}, ("k=v:NoSchedule",))
    assert text(made(S1, "k3s: {labels: {a: b}}")["s1"], NODE) == HEAD + 'node-label:\n  - "a=b"\n'
    assert NODE not in table(made(S1, "k3s: {config: {write-kubeconfig-mode: '0600'}}")["s1"])


@pytest.mark.parametrize(
    ("said", "joins"),
    [
        ("", ["s2", "s3", "a1"]),
        ("cluster: {datastore: {external: {endpointSecret: db}}}", ["a1"]),
    ],
)
def test_who_joins_whom(said: str, joins: list[str]) -> None:
    found = made(S1, S2, S3, A1, said)
    line = 'server: "https://10.0.0.1:6443"\n'
    assert [name for name in ("s1", "s2", "s3", "a1") if line in text(found[name], CONFIG)] == joins
    assert not any("server:" in text(found[name], CONFIG) for name in found if name not in joins)


def test_a_cluster_is_founded_once() -> None:
    assert text(made(S1, S2, S3)["s1"], JOIN) == "cluster-init: true\n"
    again = made(S1, S2, S3, existed=True, told=["s1"])
    assert text(again["s1"], JOIN) == 'server: "https://10.0.0.2:6443"\n', "another one, never itself"
    behind = made(S1, S2, S3, "cluster: {endpoint: api.lyon.example}", existed=True, told=["s1"])
    assert text(behind["s1"], JOIN) == 'server: "https://api.lyon.example:6443"\n'
    third = made(S1, S2, S3, existed=True, told=["s3"])
    assert text(third["s1"], JOIN) == 'server: "https://10.0.0.3:6443"\n', "one that has told of itself"
    assert file(again["s1"], JOIN).seed
    # Alone there is nobody to join, and nothing may found it anew.
    alone = made(S1, "cluster: {datastore: etcd}\n", existed=True, told=["s1"])["s1"]
    assert JOIN not in {each.path for each in alone.files}
    # SQLite needs no founding.
    assert JOIN not in {each.path for each in made(S1, A1)["s1"].files}


@pytest.mark.parametrize("servers", [(S1,), (S1, S2, S3)])
def test_a_cluster_of_which_no_server_is_left_is_founded_anew(servers: tuple[str, ...]) -> None:
    """All were replaced or reset: there is nobody to join, and without a word K3s would start on SQLite."""
    told = [Record("a1", "acme", "m", "b1:aa"), Record("s1", "acme", "new", "")]
    lost = made(*servers, A1, "cluster: {datastore: etcd}\n", existed=True, told=told)
    assert text(lost["s1"], JOIN) == "cluster-init: true\n", "of s1 nothing is known but its hardware"


@pytest.mark.parametrize("servers", [(S1,), (S1, S2, S3)])
def test_a_cluster_on_sqlite_becomes_etcd_by_a_restart(servers: tuple[str, ...]) -> None:
    """It is founded on etcd once: a K3s that runs has to read it. What never existed is started anyway."""
    found = made(*servers, "cluster: {datastore: etcd}\n", existed=True, datastore="sqlite")
    assert text(found["s1"], JOIN) == "cluster-init: true\n"
    assert table(found["s1"])[JOIN] == ("0600", True, "k3s.service")
    assert table(made(*servers, "cluster: {datastore: etcd}\n")["s1"])[JOIN] == ("0600", True)
    assert JOIN not in table(made(S1, existed=True, datastore="sqlite")["s1"])


def test_registries_hold_a_placeholder_and_no_value() -> None:
    found = made(S1, SAID)
    assert text(found["s1"], "/etc/rancher/k3s/registries.yaml") == HEAD + (
        'configs:\n  r.example:\n    auth:\n      password: <reg:json>\n      username: "u"\n'
    )


def test_a_text_that_only_mentions_a_secret_is_none() -> None:
    said = """k3s: {registries: {configs: {r.example: {auth: {username: 'say "secret:reg', password: p}}}}}"""
    assert "<reg" not in text(made(S1, said)["s1"], "/etc/rancher/k3s/registries.yaml")


def test_an_external_datastore() -> None:
    said = "cluster: {datastore: {external: {endpointSecret: db, key: db-key, cert: c.crt, ca: ca.crt}}}"
    site = document("Site", "lyon", f"nodes:\n{S1}{S2}{said}")
    found = bundles(intent(FLEET, site, files={"c.crt": "CERT\n", "ca.crt": "CA\n"}))
    for bundle in found.values():
        assert text(bundle, "/etc/rancher/k3s/datastore-ca.crt") == "CA\n"
        assert text(bundle, "/etc/rancher/k3s/datastore-client.crt") == "CERT\n"
        assert text(bundle, "/etc/rancher/k3s/datastore-client.key") == "<db-key:plain>\n"
        assert file(bundle, "/etc/rancher/k3s/datastore-client.key").mode == "0600"
        lines = text(bundle, CONFIG).splitlines()
        assert "datastore-endpoint: <db:json>" in lines
        assert 'datastore-keyfile: "/etc/rancher/k3s/datastore-client.key"' in lines
        assert JOIN not in {each.path for each in bundle.files}


def test_a_proxy_is_in_a_private_file_that_restarts_k3s() -> None:
    fleet = document("Fleet", "acme", "k3s: {version: v1.36.3+k3s1}\nproxy: {https: 'http://u:p@proxy.example:3128'}")
    entry = file(made(S1, fleet=fleet)["s1"], "/etc/systemd/system/k3s.service.env")
    assert (entry.mode, entry.restart) == ("0600", ("k3s.service",))
