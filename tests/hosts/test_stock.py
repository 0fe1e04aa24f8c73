"""The rendered project without `fleet`: stock ansible-playbook in a venv of its own finds the same hosts done."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.checkout import Said
from tests.hosts.ground import NAMES, SOUTH, Ground
from tests.lab.prerequisites import cache_directory

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
CONF = "/etc/acme/acme.conf"


@pytest.fixture(scope="session")
def stock() -> Path:
    """The bin folder of a venv that holds ansible-core as pinned, and nothing of ours; kept beside the lab's images."""
    (pin,) = re.findall(r"^ansible-core==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    venv = cache_directory() / f"stock-{pin}-py{sys.version_info.major}.{sys.version_info.minor}"
    marker = venv / "complete"
    if not marker.exists():
        install = [venv / "bin/pip", "install", "--quiet", "--constraint", CONSTRAINTS, "ansible-core"]
        for argv in ([sys.executable, "-m", "venv", "--clear", venv], install):
            subprocess.run(argv, check=True, timeout=300)
        marker.touch()
    found = subprocess.run([venv / "bin/python", "-c", "import fleet"], capture_output=True, check=False, cwd="/")
    assert found.returncode == 1, "this venv is to be without fleet"
    return venv / "bin"


@pytest.fixture
def project(ground: Ground, stock: Path) -> "Project":
    folder = ground.folder / "rendered"
    ground.checkout.fleet("render", str(folder))
    return Project(ground, stock, folder)


class Project:
    def __init__(self, ground: Ground, stock: Path, folder: Path) -> None:
        self.ground, self.stock, self.folder = ground, stock, folder

    def play(self, *argv: str) -> Said:
        """As its README says, with the first `python3` on the path that of the stock venv."""
        command = [str(self.stock / "ansible-playbook"), "site.yml", *argv]
        vault = ["--vault-password-file", str(self.ground.checkout.password_file)]
        env = {"PATH": f"{self.stock}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return self.ground.checkout.run([*command, *vault], cwd=self.folder, env=env)


def recap(said: Said) -> dict[str, tuple[int, int, int]]:
    """(changed, unreachable, failed) of each host."""
    found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", said.out, re.MULTILINE)
    return {host: (int(changed), int(away), int(failed)) for host, changed, away, failed in found}


def test_stock_ansible_finds_nothing_to_do(ground: Ground, project: Project) -> None:
    before = ground.moments()
    assert recap(project.play()) == dict.fromkeys(NAMES, (0, 0, 0))
    assert ground.touched_since(before) == {}


def test_one_tampered_byte_is_one_change_under_stock_ansible(ground: Ground, project: Project) -> None:
    host = ground.hosts["north-c"]
    text = host.read(CONF)
    host.write(CONF, text.replace("greeting=w", "greeting=v"))
    before, starts = ground.moments(), ground.starts_of("acme.service")
    one = dict.fromkeys(NAMES, (0, 0, 0)) | {"north-c": (1, 0, 0)}
    said = project.play("--check", "--diff")
    assert recap(said) == one
    assert "-greeting=velcome" in said.out
    assert "+greeting=welcome" in said.out
    assert ground.touched_since(before) == {}
    assert recap(project.play()) == one
    assert host.read(CONF) == text
    assert set(ground.touched_since(before)) == {"north-c"}
    assert ground.starts_of("acme.service") == starts | {"north-c": starts["north-c"] + 1}
    assert ground.checkout.plan("--refresh")["changing"] == 0


def test_stock_ansible_brings_a_commit_in_and_fleet_sees_it_done(ground: Ground, project: Project) -> None:
    """Delete fleet, and the rest still works; come back, and it knows what was done meanwhile."""
    ground.greet("south-a", "without fleet")
    ground.checkout.fleet("render", str(project.folder))
    changed = recap(project.play())
    assert {name for name, counts in changed.items() if counts[0]} == set(SOUTH)
    assert all(counts[1:] == (0, 0) for counts in changed.values())
    assert ground.hosts["south-a"].read("/etc/motd") == "without fleet to south-a at south\n"
    assert ground.checkout.plan("--refresh")["changing"] == 0
