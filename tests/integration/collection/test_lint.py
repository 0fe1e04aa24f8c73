"""A rendered project with the collection passes ansible-lint's production profile; the module keeps to Python 3.8."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
COLLECTION = Path(__file__).resolve().parents[3] / "playbooks/ansible_collections/edgefleet/fleet"


def run(project: Any, *command: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_HOME": str(project.root.parent / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(project.root / "collections"),
        "NO_COLOR": "1",
    }
    return subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_the_production_profile_passes(project: Any) -> None:
    project.nodes["lyon-1-a"] = {"files": [project.file("/etc/a", b"a\n")]}
    project.write()
    done = run(project, "ansible-lint", "--offline", "--strict", "--profile", "production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed: 0 failure(s), 0 warning(s)" in done.stderr


def test_documentation_is_read_by_ansible_doc_and_names_every_option(project: Any) -> None:
    project.nodes["lyon-1-a"] = {"files": []}
    project.write()
    done = run(project, "ansible-doc", "--json", "-t", "module", "edgefleet.fleet.fleet_bundle")
    assert done.returncode == 0, done.stderr
    source = (COLLECTION / "plugins/modules/fleet_bundle.py").read_text()
    options = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OPTIONS"
    )
    documented = json.loads(done.stdout)["edgefleet.fleet.fleet_bundle"]["doc"]["options"]
    assert sorted(documented) == sorted(ast.literal_eval(options))


def test_the_module_runs_with_python_3_8_and_the_standard_library_alone(project: Any) -> None:
    module = COLLECTION / "plugins/modules/fleet_bundle.py"
    project.root.mkdir()
    done = run(project, "vermin", "-t=3.8-", "--no-tips", "--violations", str(module))
    assert done.returncode == 0, done.stdout
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported.update(name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported <= sys.stdlib_module_names
