"""A look at many nodes is shared out among processes, each with as few open files as it may have."""

from __future__ import annotations

import resource

import pytest

from fleet.adapters.ansible.asking import shares
from fleet.adapters.ansible.workdir import Job
from fleet.adapters.limits import hosts_per_process

NODES = tuple(f"n{number}" for number in range(10))


@pytest.mark.parametrize(
    ("forks", "most", "found"),
    [(5, 5, [(10, 5)]), (6, 5, [(5, 3)] * 2), (10, 4, [(4, 4), (3, 4), (3, 4)]), (500, 1, [(1, 50)] * 10)],
)
def test_as_few_processes_as_it_takes(forks: int, most: int, found: list[tuple[int, int]]) -> None:
    made = shares(Job("observe", "observe.yml", NODES, forks=forks), most)
    assert [(len(share.nodes), share.forks) for share in made] == found
    assert sorted(name for share in made for name in share.nodes) == sorted(NODES)


@pytest.mark.parametrize(("files", "hosts"), [(1024, 240), (128, 16), (64, 1), (resource.RLIM_INFINITY, 1000)])
def test_open_files_say_how_many_hosts(monkeypatch: pytest.MonkeyPatch, files: int, hosts: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert hosts_per_process() == hosts
