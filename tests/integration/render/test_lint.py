"""The project that `fleet render` writes from an example passes ansible-lint's production profile and yamllint."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.workspace import Workspace

BIN = Path(sys.executable).parent
EXAMPLE = Path(__file__).parents[3] / "examples/two-sites"
YAMLLINT = "{extends: default, rules: {line-length: disable, document-start: disable}}"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lint")
    shutil.copytree(EXAMPLE, root / "two-sites", ignore=shutil.ignore_patterns(".fleet", "rendered"))
    workspace = Workspace.open(root / "two-sites")
    list(workspace.lock())
    workspace.render(root / "project")
    return root / "project"


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": str(project.parent / "ansible"),
        "NO_COLOR": "1",
    }
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_ansible_lints_production_profile_passes(rendered: Path) -> None:
    done = run(rendered, "ansible-lint", "--offline", "--strict", "--profile", "production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed: 0 failure(s), 0 warning(s)" in done.stderr


def test_yamllint_passes(rendered: Path) -> None:
    done = run(rendered, "yamllint", "--strict", "-d", YAMLLINT, "inventory", "site.yml", "observe.yml", "collections")
    assert done.returncode == 0, done.stdout
    hosts = {path.stem for path in (rendered / "inventory/host_vars").iterdir()}
    assert hosts >= {"lyon-1-a", "lyon-1-till-001", "turin-1-till-001"}
