"""What starting the command costs (performance.md): `fleet --help` and `fleet status` within 0.35 s of CPU."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 0.35
HEAVY = {
    "ansible", "ansible_runner", "asyncio", "asyncssh", "cryptography", "jinja2", "jsonschema", "msgspec", "rich",
    "sqlite3", "structlog", "urllib3", "yaml",
}  # fmt: skip


def imported(statement: str) -> set[str]:
    """Top names of the modules that are loaded after `statement`."""
    script = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def cpu_seconds(*arguments: str, cwd: Path) -> float:
    """The least of five runs: other work on the machine only ever adds."""
    least = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "fleet.cli", *arguments]
        subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["node", "show", "--help"], ["--version"]])
def test_help_loads_nothing_that_it_does_not_need(arguments: list[str]):
    loaded = imported(f"from fleet.cli.main import main\nmain({arguments!r})")

    assert loaded & HEAVY == set()
    assert "click" in loaded


def test_status_loads_neither_templates_nor_yaml_nor_ansible(tmp_path: Path):
    loaded = imported(f"from fleet.cli.main import main\nassert main(['-C', {str(tmp_path)!r}, 'status']) == 0")

    assert loaded & HEAVY <= {"msgspec", "sqlite3"}


def test_the_library_loads_nothing_heavy():
    assert imported("import fleet") & (HEAVY | {"click"}) == set()


def test_help_is_quick(tmp_path: Path):
    assert cpu_seconds("--help", cwd=tmp_path) <= CPU_SECONDS


def test_status_is_quick(tmp_path: Path):
    assert cpu_seconds("status", cwd=tmp_path) <= CPU_SECONDS
