"""K3s's order: servers of a cluster one after another, then its agents; what fails stops only what depends on it."""

from __future__ import annotations

from typing import Any

SERVERS = ["lyon-a", "lyon-b", "lyon-c"]


def fill(project: Any) -> None:
    """Cluster lyon: three servers, one agent. Cluster nice: one server, one agent. One plain host."""
    for node in [*SERVERS, "lyon-till", "nice-a", "nice-till", "plain"]:
        project.nodes[node] = {"files": [project.file("/etc/motd", b"hello\n")]}
    project.hostvars = {
        "lyon-b": {"fleet_after": ["lyon-a"]},
        "lyon-c": {"fleet_after": ["lyon-a", "lyon-b"]},
        "lyon-till": {"fleet_after": SERVERS},
        "nice-till": {"fleet_after": ["nice-a"]},
    }
    project.groups = {
        "server_rank_1": ["lyon-a", "nice-a"],
        "server_rank_2": ["lyon-b"],
        "server_rank_3": ["lyon-c"],
        "role_agent": ["lyon-till", "nice-till"],
        "role_none": ["plain"],
    }


def applied_at(project: Any) -> dict[str, int]:
    return {node: (project.sandbox(node) / "etc/motd").stat().st_mtime_ns for node in project.nodes}


def applied(project: Any) -> list[str]:
    return sorted(node for node in project.nodes if (project.sandbox(node) / "etc/motd").exists())


def test_servers_one_at_a_time_then_agents(project: Any) -> None:
    fill(project)
    result = project.apply()
    assert result.code == 0
    assert {host: (one["ok"], one["changed"]) for host, one in result.stats.items()} == dict.fromkeys(
        project.nodes, (1, 1)
    )
    at = applied_at(project)
    assert at["lyon-a"] < at["lyon-b"] < at["lyon-c"] < at["lyon-till"]
    assert at["nice-a"] < at["nice-till"]


def test_a_failed_server_stops_its_own_cluster_only(project: Any) -> None:
    fill(project)
    (project.sandbox("lyon-a") / "etc/motd").mkdir(parents=True)
    project.write()
    result = project.play()
    assert result.code == 2
    assert sorted(host for host, one in result.stats.items() if one["failures"]) == ["lyon-a"]
    assert sorted(host for host, one in result.stats.items() if one["skipped"]) == ["lyon-b", "lyon-c", "lyon-till"]
    assert applied(project) == ["lyon-a", "nice-a", "nice-till", "plain"]
    assert result.hosts["lyon-till"]["msg"] == "lyon-a failed in this run: what depends on it is left as it is"


def test_a_second_server_that_fails_stops_the_third_and_the_agents(project: Any) -> None:
    fill(project)
    (project.sandbox("lyon-b") / "etc/motd").mkdir(parents=True)
    project.write()
    shown = project.play(machine=False)
    assert shown.code == 2
    text = "[WARNING]: lyon-b failed in this run: what depends on it is left as it is"
    assert " ".join(shown.output.split()).count(text) == 1, "told once, not for every node"
    last = shown.output.rpartition("TASK [Tell what failed]")[2]
    assert 'fatal: [lyon-b]: FAILED! => {"changed": false, "msg": "look: /etc/motd: is not a regular file"}' in last
    assert applied(project) == ["lyon-a", "lyon-b", "nice-a", "nice-till", "plain"]


def test_a_server_that_is_not_reached_stops_its_agents(project: Any) -> None:
    fill(project)
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}
    project.hostvars["lyon-b"] |= away
    result = project.apply()
    assert result.code == 4
    assert (result.stats["lyon-b"]["unreachable"], result.stats["lyon-b"]["failures"]) == (1, 0)
    assert "Connection refused" in result.hosts["lyon-b"]["msg"]
    assert sorted(host for host, one in result.stats.items() if one["skipped"]) == ["lyon-c", "lyon-till"]
    assert applied(project) == ["lyon-a", "nice-a", "nice-till", "plain"]


def test_a_server_whose_packages_fail_stops_its_agents(project: Any) -> None:
    fill(project)
    project.groups["has_packages"] = ["nice-a"]
    project.hostvars["nice-a"] = {"fleet_packages": "not a list", "ansible_python_interpreter": "/nowhere/python3"}
    result = project.apply()
    assert (result.code, result.stats["nice-a"]["failures"], result.stats["nice-till"]["skipped"]) == (2, 1, 1)
    assert applied(project) == ["lyon-a", "lyon-b", "lyon-c", "lyon-till", "plain"]


def test_a_limit_to_agents_does_not_wait_for_servers(project: Any) -> None:
    fill(project)
    project.write()
    assert project.play("--limit", "lyon-till").code == 0
    assert applied(project) == ["lyon-till"]


def test_further_servers_go_one_at_a_time(project: Any) -> None:
    fill(project)
    project.groups["server_rank_more"] = project.groups.pop("server_rank_2") + project.groups.pop("server_rank_3")
    assert project.apply().code == 0
    at = applied_at(project)
    assert at["lyon-a"] < at["lyon-b"] < at["lyon-c"] < at["lyon-till"]
