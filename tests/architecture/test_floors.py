"""The floors of the house (design.md): the contracts in pyproject.toml hold, and each of them is able to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--config", str(folder / "pyproject.toml"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept():
    done = lint(ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to break."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "fleet", folder / "fleet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("workspace", "import fleet.cli.face", "Imports only go down"),
        ("operations/plan", "import fleet.adapters.disk", "Imports only go down"),
        ("engine/local", "import fleet.adapters.clock", "Imports only go down"),
        ("render/project", "import fleet.ports.clock", "Imports only go down"),
        ("diff/lines", "import fleet.render", "Imports only go down"),
        ("errors", "import fleet.model.plan", "Imports only go down"),
        ("translate/values", "import fleet.resolve.merge", "Imports only go down"),
        ("translate/reading", "import fleet.ports.inventories", "Imports only go down"),
        ("translate/names", "import random", "Verbs have no clock, no chance and no outside"),
        ("translate/vaults", "from ansible.parsing import vault", "Ansible is a plain hand: nothing imports it"),
        ("translate/notes", "import structlog", "Only the people's face knows terminals, only faces know structlog"),
        ("k3s/ports", "import fleet.formats.csv", "Imports only go down"),
        ("formats/csv", "import fleet.model.node", "K3s's facts and foreign formats know no noun of ours"),
        ("k3s/version", "import fleet.model.node", "K3s's facts and foreign formats know no noun of ours"),
        ("decide/decision", "import time", "Verbs have no clock, no chance and no outside"),
        ("resolve/sets", "def late():\n    import random", "Verbs have no clock, no chance and no outside"),
        ("adapters/ansible/launch", "import ansible", "Ansible is a plain hand: nothing imports it"),
        ("cli/root", "from ansible.parsing import vault", "Ansible is a plain hand: nothing imports it"),
        ("adapters/disk", "import structlog", "Only the people's face knows terminals, only faces know structlog"),
        ("report/line", "import rich", "Only the people's face knows terminals, only faces know structlog"),
        ("wiring", "import click", "Only the people's face knows terminals, only faces know structlog"),
        ("operations/lock", "import urllib3", "What speaks to an outside system is imported by its adapter alone"),
        ("operations/lock", "import kubernetes", "What speaks to an outside system is imported by its adapter alone"),
        ("testing/cluster", "import fleet.adapters.kubernetes.pods", "Imports only go down"),
        ("engine/local", "import ansible_runner", "What speaks to an outside system is imported by its adapter alone"),
        ("engine/local", "import asyncio", "asyncio stays in server, engine.temporal and adapters.ssh"),
        ("adapters/git/source", "import asyncio", "asyncio stays in server, engine.temporal and adapters.ssh"),
        ("simulator/nodes", "import random", "A rehearsal has no time and no chance but those it is given"),
        ("simulator/rehearsal", "import fleet.engine.drive", "Imports only go down"),
        ("model/tree", "import fleet.model.plan", "No cycles between siblings, at any depth"),
    ],
)
def test_a_contract_can_fail(house: Path, module: str, statement: str, contract: str):
    path = house / "fleet" / f"{module}.py"
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + f"\n{statement}\n")
    try:
        done = lint(house)
    finally:
        path.unlink() if before is None else path.write_text(before)

    broken = [line.split(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    assert contract in broken, done.stdout


def test_a_new_room_has_to_be_given_its_floor(house: Path):
    (house / "fleet" / "cellar.py").write_text("")
    try:
        done = lint(house)
    finally:
        (house / "fleet" / "cellar.py").unlink()

    assert done.returncode == 1
    assert "fleet.cellar" in done.stdout
