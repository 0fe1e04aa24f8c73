"""The example gpu-sites: three factories, two clusters at one of them, nodes with and without a GPU."""

from __future__ import annotations

import pytest

from tests.e2e.command import Ran, Repository

NODES = [
    "breda-vision", "ghent-a", "ghent-b", "ghent-c", "ghent-vision-1", "ghent-vision-2",
    "lille-cell-001", "lille-cell-002", "lille-cell-003", "lille-cell-004", "lille-line", "lille-store", "lille-vision",
]  # fmt: skip
MODPROBE = "/etc/modprobe.d/nvidia.conf"
QUOTA = "/var/lib/rancher/k3s/server/manifests/gpu-quota.yaml"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("gpu") / "gpu-sites", "gpu-sites")
    made.fleet("lock")
    made.generate_secrets()
    made.commit("Three factories")
    return made


@pytest.fixture(scope="module")
def first_plan(repository: Repository) -> Ran:
    return repository.plan(code=3)


@pytest.fixture(scope="module")
def applied(repository: Repository, first_plan: Ran) -> Repository:
    ran = repository.apply()
    assert ran.out.splitlines()[-1].endswith("done: 13 applied"), ran.text
    return repository


def test_the_shipped_lock_already_pins_what_the_spec_names(repository: Repository):
    assert repository.git("status", "--short") == ""
    assert repository.fleet("lock").out == "fleet.lock stays as it is: 1 release\n"


def test_one_plan_of_k3s_nodes_and_a_plain_host(first_plan: Ran):
    lines = first_plan.out.splitlines()

    assert lines[2] == "13 nodes change, 0 stay, 0 go"
    assert [" ".join(line.split()) for line in lines if line.startswith("  + ")] == [
        "+ first application: K3s v1.36.3+k3s1 12 nodes, 3 sites",
        "+ first application 1 node, 1 site",
    ]


def test_every_node_is_a_folder_now(applied: Repository):
    assert sorted(path.name for path in applied.nodes.iterdir() if path.name != ".fleet") == NODES


def test_a_gpu_node_has_its_files(applied: Repository):
    config = applied.read("ghent-vision-2", "/etc/rancher/k3s/config.yaml")

    assert 'default-runtime: "nvidia"\n' in config
    own = applied.read("ghent-vision-2", "/etc/rancher/k3s/config.yaml.d/20-fleet-node.yaml")
    assert 'node-label:\n  - "acme.example/gpu=nvidia"\n' in own
    assert 'node-taint:\n  - "acme.example/gpu=nvidia:NoSchedule"\n' in own
    assert '  - "max-pods=110"\n  - "system-reserved=cpu=500m"\n' in config
    assert 'server: "https://k3s.ghent.acme.example:6443"\n' in config
    assert applied.read("ghent-vision-2", MODPROBE) == "options nvidia NVreg_PreserveVideoMemoryAllocations=1\n"
    assert applied.read("ghent-vision-2", "/etc/sysctl.d/80-fleet.conf") == "vm.nr_hugepages = 1024\n"


def test_others_have_nothing_of_it(applied: Repository):
    for node in ("ghent-a", "lille-cell-001", "breda-vision"):
        assert MODPROBE not in applied.files(node)
        assert "nvidia" not in applied.read(node, "/etc/rancher/k3s/config.yaml")
    assert {path for path in applied.files("lille-store") if "k3s" in path or "rancher" in path} == set()


def test_the_site_without_a_server_joins_the_other_site(applied: Repository):
    config = applied.read("breda-vision", "/etc/rancher/k3s/config.yaml")

    assert 'server: "https://k3s.ghent.acme.example:6443"\n' in config
    assert 'node-ip: "10.40.3.21,fd40:3::21"\n' in config
    token = "/etc/rancher/k3s/agent-token"
    assert applied.read("breda-vision", token) == applied.read("ghent-vision-1", token)
    assert applied.read("breda-vision", token) != applied.read("lille-cell-001", token)


def test_manifests_lie_where_a_server_deploys_them(applied: Repository):
    assert 'requests.nvidia.com/gpu: "2"\n' in applied.read("lille-vision", QUOTA)
    assert QUOTA not in applied.files("ghent-vision-1")


def test_each_architecture_has_its_own_k3s(applied: Repository):
    assert "(amd64)" in applied.read("ghent-a", "/usr/local/bin/k3s")
    assert "(arm64)" in applied.read("lille-line", "/usr/local/bin/k3s")


def test_applied_is_applied(applied: Repository):
    assert applied.plan(code=0).out.splitlines()[-1] == "Nothing to do: 13 nodes hold what git wants"


def test_a_tampered_file_is_found_and_brought_back(applied: Repository):
    path = applied.nodes / "ghent-vision-1" / MODPROBE.lstrip("/")
    path.write_text("options nvidia\n")

    assert applied.plan(code=0).out.splitlines()[-1].startswith("Nothing to do"), "records alone cannot know"
    found = applied.plan("--refresh", code=3).out.splitlines()
    assert found[2] == "1 node changes, 12 stay, 0 go"
    assert " ".join(found[3].split()) == f"~ {MODPROBE}: changed on the node -> as in git 1 node, 1 site"

    assert "applied 1 node (ghent-vision-1)" in applied.apply().out
    assert path.read_text() == "options nvidia NVreg_PreserveVideoMemoryAllocations=1\n"
    applied.plan("--refresh", code=0)


def test_what_is_applied_is_listed(applied: Repository):
    listed = applied.fleet("node", "list", "--selector", "gpu=nvidia", "--sandbox", str(applied.nodes))

    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == [
        "ghent-vision-1", "ghent-vision-2", "lille-vision",
    ]  # fmt: skip
    assert listed.err == "3 nodes: 3 as wanted\n"
