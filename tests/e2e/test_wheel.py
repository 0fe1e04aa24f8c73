"""An installed wheel works in any directory, without the checkout."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.command import ROOT, Ran, Repository, execute


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = execute([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], folder)
    assert built.code == 0, built.text
    (found,) = folder.glob("edgefleet-*-py3-none-any.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a venv that holds the wheel and what it asks for, nothing else."""
    venv = tmp_path_factory.mktemp("venv") / "venv"
    assert execute([sys.executable, "-m", "venv", str(venv)], venv.parent).code == 0
    pip = [str(venv / "bin/pip"), "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    done = execute(pip, venv.parent)
    assert done.code == 0, done.text
    return venv / "bin"


@pytest.fixture(scope="module")
def repository(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("anywhere") / "shop", "two-sites", installed / "fleet")
    made.fleet("lock")
    made.generate_secrets()
    made.commit("Two sites")
    return made


def run(argv: list[str], cwd: Path) -> Ran:
    done = execute(argv, cwd)
    assert done.code == 0, done.text
    return done


def test_the_wheel_carries_the_texts_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[2] for name in names if name.startswith("fleet/_share/")} == {
        "templates", "playbooks", "inventories", "examples",
    }  # fmt: skip
    tops = {name.split("/")[0] for name in names}
    assert tops == {"fleet", next(name for name in tops if name.endswith(".dist-info"))}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "fleet/py.typed" in names
    left = [name for name in names if "__pycache__" in name or "/.fleet/" in name or "/rendered/" in name]
    assert left == []


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path):
    said = run([str(installed / "python"), "-c", "import fleet; print(fleet.__file__)"], tmp_path).out
    assert said.startswith(str(installed.parent))


def test_both_names_of_the_command_say_the_version(installed: Path, wheel: Path, tmp_path: Path):
    version = wheel.name.split("-")[1]

    for name in ("fleet", "edgefleet"):
        assert version in run([str(installed / name), "--version"], tmp_path).out


@pytest.mark.parametrize("name", ["two-sites", "gpu-sites", "retail"])
def test_every_example_ships(installed: Path, tmp_path: Path, name: str):
    run([str(installed / "fleet"), "init", name, "--example", name], tmp_path)
    run([str(installed / "fleet"), "-C", name, "validate"], tmp_path)


def test_it_plans_and_applies(repository: Repository):
    """Ansible is found beside the command, though no PATH names it; the collection comes out of the wheel."""
    assert repository.plan(code=3).out.splitlines()[2] == "6 nodes change, 0 stay, 0 go"

    ran = repository.apply("--site", "turin-1")

    assert ran.out.splitlines()[-1].endswith("done: 2 applied"), ran.text
    assert "v1.36.3+k3s1" in repository.read("turin-1-till-001", "/usr/local/bin/k3s")
    repository.plan("--site", "turin-1", code=0)
