"""What a digest counts, and what it must not count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.model.bundle import (
    Bundle,
    BundleArtifact,
    BundleFacts,
    BundleFile,
    BundleFolder,
    BundlePackage,
    BundleUnit,
    BundleUpdates,
    BundleUser,
    SecretRef,
)
from fleet.model.learned import LearnedCluster
from fleet.model.record import Record
from fleet.render.manifest import digest_of, manifest_of
from fleet.testing import MemoryRecords
from tests.specs import document, lock
from tests.unit.render.ground import intent

WHOLE = Bundle(
    node="lyon-a",
    digest="",
    facts=BundleFacts(
        "lyon", "server", "lyon", "v1.36.3+k3s1", "etcd", {"cluster-cidr": "10.42.0.0/16"}, {"app": "pos"}, ("a:NoSchedule",)
    ),
    files=(
        BundleFile(
            "/etc/a", "0600", "ops", "adm", "a" * 64, 7, ("x", SecretRef("db", "base64", "f1")), "check {file}",
            ("a.service",), ("b.service",),
        ),
    ),
    folders=(BundleFolder("/etc/d", "0700", "ops", "adm"),),
    artifacts=(BundleArtifact("/bin/x", "b" * 64, ("https://m/x",), "0700", "ops", "adm", ("c.service",)),),
    units=(BundleUnit("a.service", enabled=True, state="started"),),
    packages=(BundlePackage("chrony", "4.3"),),
    users=(BundleUser("ops", ("adm",), "/bin/sh", ("ssh-ed25519 A",), system=True),),
    sysctl={"vm.swappiness": "10"},
    updates=BundleUpdates("security", "2026-11-01", ("deb https://apt.acme.example bookworm main",)),
)  # fmt: skip
OTHER: dict[type, dict[str, Any]] = {
    BundleFile: {
        "path": "/etc/b", "mode": "0640", "owner": "root", "group": "root", "sha256": "c" * 64, "size": 8,
        "segments": ("y",), "validate": "", "restart": (), "reload": ("c.service",), "seed": True,
    },
    BundleFolder: {"path": "/etc/e", "mode": "0755", "owner": "root", "group": "root"},
    BundleArtifact: {
        "path": "/bin/y", "sha256": "d" * 64, "mode": "0755", "owner": "root", "group": "root", "restart": (),
    },
    BundleUnit: {"name": "b.service", "enabled": False, "state": "stopped"},
    BundlePackage: {"name": "jq", "version": ""},
    BundleUser: {"name": "kiosk", "groups": (), "shell": "", "authorized_keys": (), "system": False},
    SecretRef: {"name": "other", "encoding": "plain", "fingerprint": "f2"},
    BundleFacts: {
        "site": "x", "role": "agent", "cluster": "x", "k3s_version": "v1.37.1+k3s1", "datastore": "sqlite",
        "config": {"cluster-cidr": "10.52.0.0/16"}, "labels": {"app": "till"}, "taints": (),
    },
    BundleUpdates: {"mode": "all", "snapshot": "2026-11-02", "sources": ()},
}  # fmt: skip
"""Another value for each field that counts."""
PLACES = {BundleFile: "files", BundleFolder: "folders", BundleArtifact: "artifacts", BundleUnit: "units"}
PLACES |= {BundlePackage: "packages", BundleUser: "users"}


def digest(bundle: Bundle) -> str:
    return digest_of(manifest_of(bundle))


def test_every_field_of_every_thing_is_known_here() -> None:
    for kind, others in OTHER.items():
        apart = {"urls"} if kind is BundleArtifact else set()
        assert {field.name for field in msgspec.structs.fields(kind)} == {*others, *apart}
    assert {field.name for field in msgspec.structs.fields(Bundle)} == {
        *PLACES.values(), "facts", "sysctl", "updates", "node", "digest", "blobs", "learn", "snapshot", "token",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in PLACES for field in OTHER[kind]], ids=lambda each: getattr(each, "__name__", each)
)  # fmt: skip
def test_each_field_counts(kind: type, field: str) -> None:
    place = PLACES[kind]
    (thing,) = getattr(WHOLE, place)
    changed = msgspec.structs.replace(thing, **{field: OTHER[kind][field]})
    assert digest(msgspec.structs.replace(WHOLE, **{place: (changed,)})) != digest(WHOLE)
    assert digest(msgspec.structs.replace(WHOLE, **{place: ()})) != digest(WHOLE)


@pytest.mark.parametrize("field", OTHER[SecretRef])
def test_each_field_of_a_secrets_place_counts(field: str) -> None:
    (file,) = WHOLE.files
    secret = msgspec.structs.replace(file.segments[1], **{field: OTHER[SecretRef][field]})
    changed = msgspec.structs.replace(file, segments=("x", secret))
    assert digest(msgspec.structs.replace(WHOLE, files=(changed,))) != digest(WHOLE)


@pytest.mark.parametrize("field", OTHER[BundleFacts])
def test_each_fact_counts(field: str) -> None:
    facts = msgspec.structs.replace(WHOLE.facts, **{field: OTHER[BundleFacts][field]})
    assert digest(msgspec.structs.replace(WHOLE, facts=facts)) != digest(WHOLE)


@pytest.mark.parametrize("field", OTHER[BundleUpdates])
def test_each_field_of_updates_counts(field: str) -> None:
    updates = msgspec.structs.replace(WHOLE.updates, **{field: OTHER[BundleUpdates][field]})
    assert digest(msgspec.structs.replace(WHOLE, updates=updates)) != digest(WHOLE)
    assert digest(msgspec.structs.replace(WHOLE, updates=None)) != digest(WHOLE)


def test_kernel_settings_count() -> None:
    assert digest(msgspec.structs.replace(WHOLE, sysctl={"vm.swappiness": "11"})) != digest(WHOLE)
    assert digest(msgspec.structs.replace(WHOLE, sysctl={})) != digest(WHOLE)


def test_where_to_fetch_from_who_it_is_and_seeds_do_not_count() -> None:
    (artifact,) = WHOLE.artifacts
    moved = msgspec.structs.replace(artifact, urls=("file:///m/x", "https://n/x"))
    seed = BundleFile("/etc/seed", sha256="e" * 64, seed=True)
    same = msgspec.structs.replace(
        WHOLE, artifacts=(moved,), files=(*WHOLE.files, seed), node="other", digest="b1:x", blobs={"a" * 64: b"x"}
    )
    assert digest(same) == digest(WHOLE)


FLEET = """
k3s: {version: v1.36.3+k3s1}
artifacts: {mirrors: [https://mirror.example/k3s]}
"""
SITE = """
nodes:
  - {name: a, role: server, arch: amd64, address: 10.0.0.1}
  - {name: b, role: server, arch: amd64, address: 10.0.0.2}
  - {name: c, role: server, arch: amd64, address: 10.0.0.3}
  - {name: d, role: agent, arch: arm64, address: 10.0.0.4}
os:
  files:
    - {path: /etc/x, content: "{{ vars.x }}\\n"}
    - {path: /etc/y, content: "{{ secrets.db }}\\n"}
vars: {x: 1}
"""


def secrets_lock(fingerprint: str = "f1", version: int = 1, file: str = "secrets/x.yaml") -> str:
    return f"""{{"format": "fleet.secrets/v1", "secrets": {{"db":
        {{"file": "{file}", "version": {version}, "fingerprint": "{fingerprint}"}}}}}}"""


def digests(
    fleet: str = FLEET,
    site: str = SITE,
    secrets: str = secrets_lock(),
    records: MemoryRecords | None = None,
    locked: str = "",
    extra: str = "",
) -> dict[str, str]:
    documents = [document("Fleet", "acme", fleet + extra), document("Site", "lyon", site, labels="{ring: pilot}")]
    files = {"secrets/secrets.lock": secrets, **({"fleet.lock": locked} if locked else {})}
    made = intent(*documents, files=files, records=records)
    return {node.name: made.renderer.sketch(node).digest for node in made.fleet.nodes}


BASE = digests()


def differing(**changed: Any) -> set[str]:
    made = digests(**changed)
    return {name for name in made.keys() | BASE.keys() if made.get(name) != BASE.get(name)}


@pytest.mark.parametrize(
    "changed",
    [
        {"extra": "connection: {user: other, port: 2222, jumpHost: j.example, become: false}"},
        {"site": SITE + "connection: {type: sandbox}"},
        {"site": SITE.replace("address: 10.0.0.4", "address: 10.0.0.4, connection: {address: 192.0.2.4}")},
        {"fleet": FLEET.replace("https://mirror.example/k3s", "https://other.example, 'file:mirror'")},
        {"fleet": "k3s: {version: v1.36.3+k3s1}"},
        {"fleet": "k3s: {channel: stable}"},
        {"locked": lock("v1.35.6+k3s1", "v1.36.3+k3s1")},
        {"extra": "maxRemoved: 5%"},
        {"site": SITE + "timeZone: Europe/Paris"},
        {"site": SITE.replace("vars: {x: 1}", "vars: {x: 1, unused: 2}")},
        {"site": SITE.replace("arch: amd64, address: 10.0.0.1", "arch: amd64, address: 10.0.0.1, labels: {ring: x}")},
        {"secrets": secrets_lock(version=2)},
        {"secrets": secrets_lock(file="secrets/other.yaml")},
    ],
    ids=str,
)
def test_what_is_not_on_the_node_does_not_count(changed: dict[str, Any]) -> None:
    assert differing(**changed) == set()


def test_what_was_learned_only_to_join_does_not_count() -> None:
    records = MemoryRecords([Record("a", "acme", "machine-1", "b1:x", arch="amd64", at=9.0, epoch=3)])
    records.learn_clusters({"lyon": LearnedCluster(existed=True, datastore="etcd")})
    assert differing(records=records) == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"site": SITE.replace("vars: {x: 1}", "vars: {x: 2}")}, {"a", "b", "c", "d"}),
        ({"site": SITE.replace("path: /etc/x,", "path: /etc/x, mode: '0600',")}, {"a", "b", "c", "d"}),
        ({"site": SITE.replace("10.0.0.4}", "10.0.0.4, vars: {x: 2}}")}, {"d"}),
        ({"site": SITE.replace("10.0.0.4}", "10.0.0.4, k3s: {labels: {a: b}}}")}, {"d"}),
        ({"site": SITE.replace("address: 10.0.0.4", "address: 10.0.0.5")}, {"d"}),
        ({"site": SITE.replace("arch: arm64", "arch: arm")}, {"d"}),
        ({"site": SITE + "k3s: {config: {disable: [traefik]}}"}, {"a", "b", "c"}),
        ({"site": SITE + "cluster: {endpoint: vip.example}"}, {"a", "b", "c", "d"}),
        # The first server's address is where the others join.
        ({"site": SITE.replace("address: 10.0.0.1", "address: 10.0.0.9")}, {"a", "b", "c", "d"}),
        ({"site": SITE + "hardening: cis"}, {"a", "b", "c", "d"}),
        ({"secrets": secrets_lock(fingerprint="f2")}, {"a", "b", "c", "d"}),
        ({"extra": "proxy: {http: http://p.example}"}, {"a", "b", "c", "d"}),
        (
            {"fleet": "k3s: {version: v1.37.1+k3s1}", "locked": lock("v1.36.3+k3s1", "v1.37.1+k3s1")},
            {"a", "b", "c", "d"},
        ),
        ({"locked": lock("v1.36.3+k3s1").replace("b" * 64, "9" * 64)}, {"d"}),
    ],
    ids=str,
)
def test_what_is_on_the_node_counts_there_and_nowhere_else(changed: dict[str, Any], expected: set[str]) -> None:
    assert differing(**changed) == expected


def test_the_order_of_documents_files_and_keys_does_not_count() -> None:
    site = document("Site", "lyon", SITE, labels="{ring: pilot}")
    fleet = document("Fleet", "acme", FLEET)
    secrets = {"secrets/secrets.lock": secrets_lock()}
    layouts = (
        intent(site, fleet, files=secrets),
        intent(fleet, files={**secrets, "a/site.yaml": site}),
        intent(site, files={"z.yml": fleet, **secrets}),
        intent(fleet, site.replace("vars: {x: 1}", "").replace("spec:\n", "spec:\n  vars: {x: 1}\n"), files=secrets),
        intent(fleet, site.replace("{path: /etc/x, content: ", "{content: ").replace('}}\\n"}', '}}\\n", path: /etc/x}', 1), files=secrets),
    )  # fmt: skip
    for made in layouts:
        assert {node.name: made.renderer.sketch(node).digest for node in made.fleet.nodes} == BASE


def test_the_order_of_files_packages_units_and_users_does_not_count() -> None:
    said = """
nodes: [{name: a, role: none, address: 10.0.0.1}]
os:
  packages: [PACKAGES]
  files: [FILES]
  units: [UNITS]
  users: [USERS]
  sysctl: {SYSCTL}
"""
    parts = {
        "PACKAGES": ("chrony", "{name: jq, version: '1'}"),
        "FILES": ("{path: /etc/a, content: a}", "{path: /etc/b, content: b}"),
        "UNITS": ("{name: a.service}", "{name: b.service}"),
        "USERS": ("{name: kiosk}", "{name: ops}"),
        "SYSCTL": ("vm.swappiness: 10", "kernel.panic: 5"),
    }
    found = set()
    for step in (1, -1):
        text = said
        for name, items in parts.items():
            text = text.replace(name, ", ".join(items[::step]))
        made = intent(document("Fleet", "acme", ""), document("Site", "lyon", text))
        found.add(made.renderer.sketch(made.fleet.nodes[0]).digest)
    assert len(found) == 1


RENDER = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from fleet.adapters.folder import DiskFolder
from fleet.adapters.share import shipped
from fleet.operations.preparing import project_inputs
from fleet.render.project import project
from tests.golden.renders.rendering import COMMIT, intent
made = intent("v1.37")
DiskFolder().write(Path(sys.argv[1]), project(project_inputs(made, shipped()), made.fleet.nodes, COMMIT))
"""


def test_trees_are_the_same_whatever_the_hash_seed_locale_time_zone_and_umask(tmp_path: Path) -> None:
    surroundings = (
        ("0", "C", "UTC", "022"),
        ("1", "C.UTF-8", "Pacific/Kiritimati", "077"),
        ("4242", "tr_TR.UTF-8", "America/St_Johns", "000"),
    )
    trees = []
    for seed, locale, zone, umask in surroundings:
        folder = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": zone}
        environment.pop("PYTHONUTF8", None)
        root = Path(__file__).parents[3]
        subprocess.run([sys.executable, "-c", RENDER, folder, umask], check=True, env=environment, cwd=root)
        trees.append(
            {
                path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
                for path in folder.rglob("*")
            }
        )
    assert len(trees[0]) > 100
    assert trees[0] == trees[1] == trees[2]
