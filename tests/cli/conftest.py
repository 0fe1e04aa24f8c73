from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run, write_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop")


@pytest.fixture(scope="session")
def applied_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose nodes are brought to the spec, in its folder `nodes`. Read only: tests share it."""
    folder = write_shop(tmp_path_factory.mktemp("applied") / "shop")
    done = run("apply", "--sandbox", "nodes", cwd=folder)
    assert done.code == 0, done
    return folder
