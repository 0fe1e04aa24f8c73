"""What only root can try is in one file: a full disk and one that may not be written are mounts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Repository

IS_ROOT = os.geteuid() == 0
collect_ignore = [] if IS_ROOT else ["test_disks.py"]


def pytest_report_header() -> list[str]:
    return [] if IS_ROOT else ["not root: tests/e2e/test_disks.py (full and read-only disks) is left out"]


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The example two-sites, committed and not applied. Read only: tests share it."""
    made = Repository(tmp_path_factory.mktemp("ready") / "two-sites", "two-sites")
    made.fleet("lock")
    made.generate_secrets()
    made.commit("Two sites")
    return made


@pytest.fixture
def repository(ready: Repository, tmp_path: Path) -> Repository:
    """A copy that a test may break."""
    copy = Repository.__new__(Repository)
    copy.__dict__.update(ready.__dict__, folder=tmp_path / "two-sites", nodes=tmp_path / "nodes")
    shutil.copytree(ready.folder, copy.folder, symlinks=True)
    return copy
