"""Which files of a tree are read, what is counted, and what a Spec holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from load_specs import FLEET, problems_of, spec_of, tree_of
from msgspec import UNSET

from fleet.errors import SpecError
from fleet.load import load
from fleet.load.reading import FILE_LIMIT
from fleet.model.problem import Place, Problem
from fleet.model.tree import Tree

SITE = (
    "apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: lyon-1, labels: {ring: pilot}}\nspec: {timeZone: UTC}\n"
)
BROKEN = "apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: [\n"
SPEC_MD = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme-retail}
spec:
  k3s: {version: v1.35.4+k3s1}
  connection: {user: fleet, port: 22, become: true}
  artifacts: {mirrors: [https://mirror.acme.example/k3s]}
  profiles:
    - base
    - name: gpu
      selector: {matchLabels: {gpu: nvidia}}
  rolloutPolicy: standard
  vars: {ntp: ntp.acme.example}
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: gpu}
spec: {k3s: {taints: ["gpu=true:NoSchedule"]}}
---
apiVersion: fleet/v1alpha1
kind: Profile
metadata: {name: base}
spec:
  hardening: cis
  k3s:
    config: {write-kubeconfig-mode: "0600", disable: [traefik]}
    registries: {mirrors: {docker.io: {endpoint: [https://registry.acme.example]}}}
  os:
    packages: [chrony]
    sysctl: {vm.swappiness: 10}
    files:
      - path: /etc/chrony/conf.d/acme.conf
        content: "server {{ vars.ntp }} iburst\\n"
        mode: "0644"
        validate: chronyd -p -f {file}
        restart: [chrony.service]
    units:
      - {name: chrony.service, enabled: true, state: started}
---
apiVersion: fleet/v1alpha1
kind: Site
metadata:
  name: lyon-1
  labels: {region: eu-west, country: fr, ring: pilot}
spec:
  timeZone: Europe/Paris
  jurisdiction: FR
  operator: acme-fr
  network: {cidr: 10.20.1.0/24, gateway: 10.20.1.1}
  nodes:
    - {name: lyon-1-a, role: server, address: 10.20.1.11, labels: {gpu: nvidia}}
  nodeSets:
    - {name: till, count: 12, role: agent, addresses: 10.20.1.32/27, labels: {app: pos}}
---
apiVersion: fleet/v1alpha1
kind: RolloutPolicy
metadata: {name: standard}
spec:
  waves:
    - {name: pilot, selector: {matchLabels: {ring: pilot}}, successThreshold: 100%}
    - {name: ramp, limit: 10%}
    - {name: everyone}
  disruptionBudget: {groupBy: [site], maxUnavailable: 1}
"""


def test_the_language_s_own_example() -> None:
    spec = load(Tree({"all.yaml": SPEC_MD.encode()}))
    assert (spec.documents, spec.others, spec.warnings) == (5, 0, ())
    assert spec.fleet.name == "acme-retail"
    assert spec.fleet.spec.profiles[0] == "base"
    assert spec.fleet.spec.profiles[1].name == "gpu"
    assert list(spec.profiles) == ["gpu", "base"]
    site = spec.sites["lyon-1"]
    assert site.labels == {"region": "eu-west", "country": "fr", "ring": "pilot"}
    assert site.spec.nodes[0].address == "10.20.1.11"
    assert site.spec.node_sets[0].count == 12
    assert site.place("spec", "nodes", 0) == Place("all.yaml", 3, ("spec", "nodes", 0))
    assert spec.policies["standard"].spec.waves[1].limit == "10%"
    assert spec.policies["standard"].spec.disruption_budget.max_unavailable == 1
    assert spec.profiles["base"].spec.os.files[0].validate == "chronyd -p -f {file}"
    assert spec.profiles["base"].spec.os.files[0].owner is UNSET, "defaults are resolve's"


def test_other_documents_are_counted_and_left_alone() -> None:
    spec = spec_of(
        site__yml=SITE + "---\napiVersion: apps/v1\nkind: Deployment\n---\n- a list\n---\n",
        chart__yaml="{{- if .Values.x }}\nimage: github.com/rancher/fleet/v1\n{{ end }}\n",
        two__yaml="a: 1\n---\nb: {{ broken }}\n",
        notes__txt=BROKEN,
    )
    assert (spec.documents, spec.others) == (2, 5)


@pytest.mark.parametrize(
    "path",
    [".git/a.yaml", "x/.git/a.yaml", ".fleet/a.yaml", "rendered/a.yml", "secrets/a.yaml", "old/a.yaml", "b.gen.yaml"],
)
def test_what_is_not_read_as_spec(path: str) -> None:
    tree = tree_of()
    files = {**tree.files, path: BROKEN.encode(), ".fleetignore": b"# comment\nold/\n*.gen.yaml\n"}
    assert load(Tree(files)).documents == 1


@pytest.mark.parametrize("path", ["a.yaml", "deep/er/a.yml", "x/rendered/a.yaml", "x/secrets/a.yaml", "kept/old.yaml"])
def test_what_is_read_as_spec(path: str) -> None:
    files = {**tree_of().files, path: SITE.encode(), ".fleetignore": b"old/\n"}
    assert list(load(Tree(files)).sites) == ["lyon-1"]


def test_fleetignore_has_gitignore_s_negation() -> None:
    files = {
        **tree_of().files,
        "a.yaml": BROKEN.encode(),
        "b.yaml": SITE.encode(),
        ".fleetignore": b"*.yaml\n!b.yaml\n!fleet.yaml\n",
    }
    assert list(load(Tree(files)).sites) == ["lyon-1"]


def test_rancher_s_own_documents_are_somebody_else_s() -> None:
    spec = spec_of(gitrepo__yaml="apiVersion: fleet.cattle.io/v1alpha1\nkind: GitRepo\nmetadata: {name: x}\n")
    assert (spec.documents, spec.others) == (1, 1)


def test_a_kind_of_ours_of_another_tool_is_left_alone() -> None:
    spec = spec_of(x__yaml="apiVersion: example.com/v1\nkind: Site\nspec: {fleet: fleet/v1}\n")
    assert (spec.documents, spec.others) == (1, 1)


def test_json_is_yaml() -> None:
    spec = spec_of(site__yaml='{"apiVersion": "fleet/v1alpha1", "kind": "Site", "metadata": {"name": "a"}, "spec": {}}')
    assert list(spec.sites) == ["a"]


def test_digest_is_over_every_file_that_was_read() -> None:
    spec = spec_of(site__yaml=SITE, readme__md="not read")
    expected = hashlib.sha256()
    for name, text in (("fleet.yaml", FLEET), ("site.yaml", SITE)):
        expected.update(f"{name}\0{hashlib.sha256(text.encode()).hexdigest()}\n".encode())
    assert spec.digest == "sha256:" + expected.hexdigest()
    assert spec.digest == spec_of(site__yaml=SITE, readme__md="changed").digest
    assert spec.digest != spec_of(site__yaml=SITE + "\n").digest
    assert spec.digest != load(Tree({"fleet.yaml": FLEET.encode(), "other.yaml": SITE.encode()})).digest


def test_locks_and_known_hosts_are_read() -> None:
    lock = b'{"format":"fleet.lock/v1","channels":{"stable":"v1.35.4+k3s1"},"releases":{}}'
    secrets = b'{"format":"fleet.secrets/v1","secrets":{"db":{"file":"secrets/a.yaml","version":2,"fingerprint":"ff"}}}'
    files = {
        **tree_of().files,
        "fleet.lock": lock,
        "secrets/secrets.lock": secrets,
        "known_hosts": b"10.0.0.1 ssh-ed25519 AAAA\n",
    }
    spec = load(Tree(files))
    assert spec.lock.channels == {"stable": "v1.35.4+k3s1"}
    assert spec.secrets_lock.secrets["db"].version == 2
    assert spec.known_hosts == b"10.0.0.1 ssh-ed25519 AAAA\n"
    assert spec.digest != load(tree_of()).digest


def test_absent_locks_are_empty() -> None:
    spec = spec_of()
    assert spec.lock.releases == {}
    assert spec.secrets_lock.secrets == {}
    assert spec.known_hosts == b""


class LazyFiles(Mapping[str, bytes]):
    """Files that are read when asked, as an adapter gives them; what `faults` names cannot be."""

    def __init__(self, files: Mapping[str, bytes], faults: Mapping[str, Exception]) -> None:
        self._files = files
        self._faults = faults

    def __getitem__(self, path: str) -> bytes:
        if path in self._faults:
            raise self._faults[path]
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        yield from [*self._files, *self._faults]

    def __len__(self) -> int:
        return len(self._files) + len(self._faults)


def test_a_link_out_of_the_repository_is_one_mistake_among_others() -> None:
    outside = Problem("link.yaml", 1, 1, "", "a link that leads out of the repository: /etc/shadow")
    faults = {"link.yaml": SpecError([outside]), "locked.yaml": PermissionError(13, "Permission denied")}
    files = {**tree_of().files, "site.yaml": b"apiVersion: fleet/v1alpha1\nkind: Sit\n"}
    with pytest.raises(SpecError) as caught:
        load(Tree(LazyFiles(files, faults)))
    assert [(problem.file, problem.line, problem.message) for problem in caught.value.problems] == [
        ("link.yaml", 1, "a link that leads out of the repository: /etc/shadow"),
        ("locked.yaml", 1, "cannot be read: Permission denied"),
        ("site.yaml", 2, "unknown kind `Sit`"),
    ]


class SparseFiles(LazyFiles):
    """One file is taken from a sparse file on disk."""

    def __init__(self, files: Mapping[str, bytes], path: Path) -> None:
        super().__init__({**files, "huge.yaml": b""}, {})
        self._path = path

    def __getitem__(self, path: str) -> bytes:
        return self._path.read_bytes() if path == "huge.yaml" else super().__getitem__(path)


def test_a_file_of_200_mb_is_refused_by_its_size(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(200_000_000)
    with pytest.raises(SpecError) as caught:
        load(Tree(SparseFiles(tree_of().files, huge)))
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        ("huge.yaml", "191 MiB is too large: a file may hold 64 MiB")
    ]
    assert FILE_LIMIT == 67_108_864


def test_problems_come_in_the_order_of_file_line_and_column() -> None:
    found = problems_of(
        b__yaml=SITE.replace("UTC", "Nowhere").replace("pilot", '"a b"'),
        a__yaml=SITE.replace("lyon-1", "rome-1").replace("timeZone", "timeZon"),
    )
    assert [(each.file, each.line, each.column) for each in found] == [
        ("a.yaml", 4, 8),
        ("b.yaml", 3, 41),
        ("b.yaml", 4, 18),
    ]


def test_the_number_of_documents_stands_in_the_error() -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(site__yaml=SITE.replace("UTC", "Nowhere"))
    assert caught.value.documents == 2


def test_a_missing_fleet_is_not_told_when_a_file_could_not_be_parsed() -> None:
    with pytest.raises(SpecError) as caught:
        load(Tree({"fleet.yaml": FLEET.encode() + b"  vars: {a: [}\n"}))
    assert [problem.file for problem in caught.value.problems] == ["fleet.yaml"]


def test_an_unknown_minor_of_k3s_warns_instead() -> None:
    profile = "apiVersion: fleet/v1alpha1\nkind: Profile\nmetadata: {name: base}\nspec: {k3s: {config: {new-key: 1}}}\n"
    tree = Tree({"fleet.yaml": FLEET.replace("v1.35.4", "v1.99.0").encode(), "p.yaml": profile.encode()})
    (warning,) = load(tree).warnings
    assert warning.severity == "warning"
    assert warning.place == Place("p.yaml", 0, ("spec", "k3s", "config", "new-key"))
    assert [each.message for each in problems_of(p__yaml=profile)] == ["not a key of K3s v1.35"]


def test_a_minor_is_not_guessed_where_the_spec_names_two() -> None:
    site = "apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: a}\nspec: {k3s: {version: v1.36.1+k3s1, config: {nwe: 1}}}\n"
    assert [each.message for each in problems_of(site__yaml=site)] == ["not a key of K3s"]


def test_a_stronger_layer_may_say_only_what_differs_of_a_file() -> None:
    profile = "apiVersion: fleet/v1alpha1\nkind: Profile\nmetadata: {name: base}\nspec: {os: {files: [{path: /etc/motd, content: x}]}}\n"
    site = 'apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: a}\nspec: {os: {files: [{path: /etc/motd, mode: "0600"}]}}\n'
    assert problems_of(p__yaml=profile, site__yaml=site) == []
    found = problems_of(p__yaml=profile.replace("motd", "issue"), site__yaml=site)
    assert [each.message for each in found] == ["expected one of content, template and source, found none"]


def test_every_field_that_is_inherited_takes_null() -> None:
    site = "apiVersion: fleet/v1alpha1\nkind: Site\nmetadata: {name: a}\nspec: {k3s: null, hardening: null, os: null, vars: null, connection: null}\n"
    spec = spec_of(site__yaml=site).sites["a"].spec
    assert (spec.k3s, spec.hardening, spec.os, spec.vars, spec.connection) == (None, None, None, None, None)
