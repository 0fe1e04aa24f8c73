"""An external datastore is saved by the user's command, on the controller, before another K3s takes its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

OLD, NEW = "v1.35.4+k3s1", "v1.36.3+k3s1"


@pytest.fixture
def upgrade(project: Any, tmp_path: Path) -> Any:
    """Two servers of one database at the old version; the bundles now want the new one."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for version in (OLD, NEW):
        for node in ("s1", "s2"):
            file = project.file("/usr/local/bin/k3s", version.encode(), mode="0755")
            project.nodes[node] = {"facts": {"k3s_version": version}, "files": [file]}
            project.snapshot[node] = {
                "kind": "external", "data_dir": "/var/lib/rancher/k3s", "command": ["./save.sh", "lyon"],
                "folder": str(folder),
            }  # fmt: skip
        project.groups = {"server_rank_1": ["s1"], "server_rank_2": ["s2"]}
        project.hostvars = {"s2": {"fleet_after": ["s1"]}}
        if version == OLD:
            assert project.apply().code == 0
    project.write()
    return project


def script(upgrade: Any, body: str) -> Path:
    path = upgrade.root.parent / "repository/save.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path.parent / "said"


def versions(upgrade: Any) -> list[str]:
    return [(upgrade.sandbox(node) / "usr/local/bin/k3s").read_text() for node in ("s1", "s2")]


def test_the_command_runs_before_each_server_and_only_for_an_upgrade(upgrade: Any) -> None:
    said = script(upgrade, f"cat {upgrade.sandbox('s1')}/usr/local/bin/k3s {upgrade.sandbox('s2')}/usr/local/bin/k3s"
                           ' >>said; echo " $1" >>said')  # fmt: skip
    assert upgrade.play("--check").code == 0
    assert not said.exists()
    assert upgrade.play().code == 0
    assert said.read_text() == f"{OLD}{OLD} lyon\n{NEW}{OLD} lyon\n"
    assert versions(upgrade) == [NEW, NEW]
    assert upgrade.play().code == 0
    assert len(said.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [("echo the database is away; exit 3", "`./save.sh` ended with 3, nothing was touched: the database is away"),
     (None, "`./save.sh` cannot do it: ")],
)  # fmt: skip
def test_what_is_not_saved_is_not_upgraded(upgrade: Any, body: str | None, reason: str) -> None:
    if body is not None:
        script(upgrade, body)
    result = upgrade.play()
    assert result.code == 2
    assert f"the datastore is to be saved before K3s {OLD} becomes {NEW}" in result.hosts["s1"]["msg"]
    assert reason in result.hosts["s1"]["msg"]
    assert "what depends on it is left as it is" in result.hosts["s2"]["msg"]
    assert versions(upgrade) == [OLD, OLD]
    assert upgrade.play("-e", "fleet_snapshot=false").code == 0
    assert versions(upgrade) == [NEW, NEW]
