"""The quick way to a digest gives what the slow and plain one gives, and what a node counts with its standard library."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.bundle import Bundle
from fleet.model.manifest import read_manifest
from fleet.render.manifest import digest_of, manifest_of
from tests.unit.render.ground import bundles, intent

# What a YAML text may hold, the odd ones among it; no `{{`, which would be a template.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t", exclude_characters="{\ufeff\ufffe\uffff"),
    max_size=30,
)
NAMES = st.sampled_from(["a", "b-c", "no", "1e3", "0o17", "36171e236692", "x" * 40])
PATHS = st.sampled_from([f"/etc/acme/{name}" for name in ("a", "A", "ä", "a b", "a.b", "a-b", "a/b", "~")])
UNITS = st.sampled_from(["chrony.service", "a@b.service", "nginx.service"])
USERS = st.sampled_from(["ops", "_apt", "root"])
SOURCES = {"files/raw.bin": "\x01raw\n", "templates/x.j2": "{{ node.name }} {{ vars.v }} {{ secrets.db }}\n"}
LOCK = {
    "secrets/secrets.lock": json.dumps(
        {"format": "fleet.secrets/v1", "secrets": {"db": {"file": "secrets/x.yaml", "version": 1, "fingerprint": "f"}}}
    )
}


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def unique(items: st.SearchStrategy[Any], key: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=4, unique_by=lambda item: item[key])


CONTENTS = st.one_of(
    st.fixed_dictionaries({"content": TEXTS}),
    st.sampled_from(
        [
            {"source": "files/raw.bin"},
            {"template": "templates/x.j2"},
            {"content": "{{ node.name }}"},
            {"content": ""},
            {"content": "{{ vars.v }}é{{ site.name }}"},
            {"content": "{{ '' }}"},
            {"content": "{{ secrets.db | b64encode }}"},
        ]
    ),
)
FILES = unique(
    st.builds(
        lambda path, content, more: {"path": path, **content, **more},
        PATHS,
        CONTENTS,
        optional(
            mode=st.sampled_from(["0600", "0640", "0750"]),  # the file may hold a secret
            owner=USERS,
            group=USERS,
            validate=TEXTS.map(lambda text: f"check {{file}} {' '.join(text.split())}".strip()),
            restart=st.lists(UNITS, max_size=2, unique=True),
            reload=st.lists(UNITS, max_size=2, unique=True),
        ),
    ),
    "path",
).filter(lambda files: not {"/etc/acme/a", "/etc/acme/a/b"} <= {file["path"] for file in files})
OS = optional(
    files=FILES,
    packages=st.lists(st.sampled_from(["chrony", "jq", "b-c"]), max_size=3, unique=True),
    sysctl=st.dictionaries(st.sampled_from(["vm.swappiness", "net.core.rmem_max"]), st.integers(0, 99), max_size=2),
    units=unique(
        st.builds(
            lambda name, more: {"name": name, **more},
            UNITS,
            optional(enabled=st.booleans(), state=st.sampled_from(["started", "stopped"])),
        ),
        "name",
    ),
    users=unique(
        st.builds(
            lambda name, more: {"name": name, **more},
            st.sampled_from(["ops", "kiosk"]),
            optional(groups=st.just(["adm"]), shell=st.just("/bin/sh"), system=st.booleans()),
        ),
        "name",
    ),
)
K3S = optional(
    labels=st.dictionaries(st.sampled_from(["tier", "acme.example/x"]), st.sampled_from(["edge", "no", "1e3"])),
    taints=st.just(["gpu=true:NoSchedule"]),
    config=optional(
        disable=st.just(["traefik"]),
        debug=st.booleans(),
        **{
            "cluster-domain": st.sampled_from(["cluster.local", "acme.example"]),
            "kubelet-arg": st.just(["max-pods=9"]),
        },
    ),
    registries=st.just({"mirrors": {"docker.io": {"endpoint": ["https://r.example"]}}}),
    manifests=unique(st.builds(lambda name, content: {"name": name, **content}, NAMES, CONTENTS), "name"),
)
LAYERS = st.fixed_dictionaries(
    {"os": OS, "k3s": K3S, "vars": st.fixed_dictionaries({"v": TEXTS})},
    optional={"hardening": st.sampled_from(["cis", "none"])},
)
NODES = st.lists(
    st.tuples(
        NAMES, st.sampled_from(["server", "agent", "none"]), st.sampled_from(["amd64", "arm64", "arm", None]), OS
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda node: node[0],
)


def documents(layer: dict[str, Any], nodes: list[Any]) -> list[str]:
    """JSON is YAML: what a document says is what a reader gets, whatever is in it."""
    servers = sum(role == "server" for _, role, _, _ in nodes)
    listed = [
        {
            "name": name,
            "role": role if servers or role == "none" else "server",
            **({"arch": arch} if arch else {}),
            "address": f"10.0.0.{at + 1}",
            "os": own,
        }
        for at, (name, role, arch, own) in enumerate(nodes)
    ]
    fleet = {"k3s": {"version": "v1.36.3+k3s1"}, "vars": {"v": "fleet"}}
    site = {**layer, "nodes": listed, "cluster": {"growing": True}}
    if not any(node["role"] == "server" for node in listed):
        del site["cluster"]
    return [
        json.dumps(
            {"apiVersion": "fleet/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}, ensure_ascii=False
        )
        for kind, name, spec in (("Fleet", "acme", fleet), ("Site", "lyon", site))
    ]


def canonical(manifest: bytes) -> bytes:
    """As the module on the node makes it anew from what it read."""
    value = json.loads(manifest)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layer=LAYERS, nodes=NODES)
def test_quick_slow_and_the_nodes_own_way_agree(layer: dict[str, Any], nodes: list[Any]) -> None:
    made = intent(*documents(layer, nodes), files=SOURCES | LOCK)
    for node, bundle in zip(made.fleet.nodes, bundles(made).values(), strict=True):
        sketch = made.renderer.sketch(node)
        assert sketch.manifest == manifest_of(bundle)
        assert canonical(sketch.manifest) == sketch.manifest
        assert sketch.digest == bundle.digest == digest_of(sketch.manifest)
        assert sketch.digest == "b1:" + hashlib.sha256(sketch.manifest).hexdigest()
        assert read_manifest(sketch.manifest.decode()).facts == bundle.facts
        check_contents(bundle)


def check_contents(bundle: Bundle) -> None:
    assert [file.path for file in bundle.files if not file.seed] == sorted(f.path for f in bundle.files if not f.seed)
    for file in bundle.files:
        assert bool(file.segments) != bool(file.sha256)
        if file.sha256:
            assert hashlib.sha256(bundle.blobs[file.sha256]).hexdigest() == file.sha256
            assert len(bundle.blobs[file.sha256]) == file.size
    assert bundle.blobs.keys() == {file.sha256 for file in bundle.files if file.sha256}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layer=LAYERS, nodes=NODES, step=st.sampled_from([1, -1]))
def test_nodes_that_share_settings_get_what_they_would_get_alone(
    layer: dict[str, Any], nodes: list[Any], step: int
) -> None:
    texts = documents(layer, nodes)
    shared = intent(*texts, files=SOURCES | LOCK)
    together = {node.name: shared.renderer.sketch(node).digest for node in list(shared.fleet.nodes)[::step]}
    for at, node in enumerate(shared.fleet.nodes):
        alone = intent(*texts, files=SOURCES | LOCK)
        assert alone.renderer.bundle(alone.fleet.nodes[at]).digest == together[node.name]
