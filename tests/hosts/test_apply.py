"""A fleet applied from nothing, and what an apply leaves alone."""

import json
import shutil
from itertools import pairwise

from tests.hosts.ground import NAMES, OLD, SERVERS, SOUTH, First, Ground


def test_every_node_comes_through_and_says_what_it_holds(ground: Ground, first: First) -> None:
    assert first.said.code == 0
    assert {event["node"] for event in first.said.events("NodeApplied")} == set(NAMES)
    assert [event["counts"]["applied"] for event in first.said.events("RolloutFinished")] == [6]
    for name, host in ground.hosts.items():
        record = json.loads(host.read("/var/lib/fleet/record.json"))
        assert (record["node"], record["fleet"], record["machine_id"]) == (name, "acme", host.machine_id)
        assert (record["commit"], record["digest"]) == (first.commit, first.wanted[name])


def test_what_nodes_alone_can_tell_is_learned_on_the_way(first: First) -> None:
    """The nodes of site south have no `arch` in git: a second pass asks them, and they get their binary all the same."""
    assert first.pending == {"arch": 2}
    assert set(first.versions) == set(NAMES)
    assert all(version.startswith(f"k3s version {OLD} ") for version in first.versions.values())


def test_servers_start_one_after_another_and_agents_last(first: First) -> None:
    """Times of the hosts are of one clock: they share this machine's kernel."""
    for chain in (("north-a", "north-b", "north-c", "north-till-001"), SOUTH):
        for before, after in pairwise(chain):
            assert first.is_active[before] < first.starts[after], (before, after)
    assert first.joined == {"north-a": 4, "south-a": 2}


def test_who_joins_does_it_with_the_full_token_of_the_living_cluster(ground: Ground, first: First) -> None:
    """The first server founds its cluster, and nobody knows its CA before; the others come in later batches."""
    assert first.said.code == 0
    values = ground.secret_values()
    for site, joining in (("north", ("north-b", "north-c", "north-till-001")), ("south", SOUTH[1:])):
        token, agent_token = (values[f"{site}.{kind}"] for kind in ("k3s-token", "k3s-agent-token"))
        own = ground.hosts[f"{site}-a"].read("/var/lib/rancher/k3s/server/token")
        prefix = own.partition("::")[0]
        assert (prefix[:3], len(prefix), own) == ("K10", 67, f"{prefix}::server:{token}\n")
        assert ground.hosts[f"{site}-a"].read("/etc/rancher/k3s/server-token") == f"{token}\n"
        for name in joining:
            path, held = ("agent-token", f"node:{agent_token}")
            if name in SERVERS:
                path, held = ("server-token", f"server:{token}")
            assert ground.hosts[name].read(f"/etc/rancher/k3s/{path}") == f"{prefix}::{held}\n", name


def test_units_files_packages_and_sysctl_are_as_git_says(ground: Ground) -> None:
    for name, host in ground.hosts.items():
        for unit in (ground.k3s_unit(name), "acme.service"):
            assert host.unit_show(unit, "ActiveState", "UnitFileState") == {
                "ActiveState": "active",
                "UnitFileState": "enabled",
            }
        site = name.partition("-")[0]
        assert host.read("/etc/motd") == f"{ground.greeting(name)} to {name} at {site}\n"
        assert host.read("/etc/acme/acme.conf") == f"greeting={ground.greeting(name)}\nnode={name}\n"
        assert host.stat("/etc/acme/acme.conf").mode == 0o640
        assert host.run(["fleet-lab-tool"]).strip() == "fleet-lab-tool 1.0-1"
        assert host.run(["sysctl", "-n", "net.core.somaxconn"]).strip() == "2048"
        assert "protect-kernel-defaults: true" in host.read("/etc/rancher/k3s/config.yaml")
        is_server = name in SERVERS
        assert bool(host.tree("/var/lib/rancher/k3s/server/psa.yaml")) is is_server
        assert bool(host.tree("/var/lib/rancher/k3s/server/manifests/acme.yaml")) is is_server


def test_what_the_kernel_refuses_is_told_and_stops_nothing(first: First) -> None:
    """vm.* and kernel.* cannot be set in a namespace."""
    warnings = [warning for event in first.said.events("NodeApplied") for warning in event["warnings"]]
    assert any("vm.overcommit_memory = 1 was not set" in warning for warning in warnings)
    assert not any("disk" in warning for warning in warnings), "/proc is none"


def test_a_second_plan_finds_nothing_to_do(ground: Ground) -> None:
    said = ground.checkout.fleet("plan")
    assert "Nothing to do: 6 nodes hold what git wants" in said.out


def test_losing_the_controllers_folder_loses_no_truth(ground: Ground) -> None:
    before = ground.moments()
    shutil.rmtree(ground.checkout.folder / ".fleet")
    ground.checkout.fleet("plan", "--refresh")
    ground.checkout.fleet("apply", "--yes")
    assert ground.touched_since(before) == {}


def test_an_apply_that_knows_nothing_finds_everything_done(ground: Ground) -> None:
    """Without `.fleet` and without a look first, every node is asked, and none is touched."""
    before = ground.moments()
    shutil.rmtree(ground.checkout.folder / ".fleet")
    said = ground.checkout.fleet("apply", "--yes", "--json")
    assert {event["node"]: event["changed"] for event in said.events("NodeApplied")} == dict.fromkeys(NAMES, 0)
    assert ground.touched_since(before) == {}


def test_status_says_what_is_applied_where(ground: Ground) -> None:
    said = ground.checkout.fleet("status", "--json")
    status = json.loads(said.out)
    assert status["reported"] == 6
    assert sum(row["nodes"] for row in status["commits"]) == 6
