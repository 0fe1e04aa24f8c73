"""fleet_bundle on a directory: bundles made by hand, the module imported by its path."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

COLLECTION = Path(__file__).resolve().parents[3] / "playbooks/ansible_collections/edgefleet/fleet"
MODULE = COLLECTION / "plugins/modules/fleet_bundle.py"
MACHINE = "0123456789abcdef0123456789abcdef"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fleet_bundle", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest_of(manifest: dict[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "b1:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Desk:
    """One node below `root`, and one bundle that is being written."""

    module: ModuleType
    place: Path
    files: list[dict[str, Any]] = field(default_factory=list)
    seeds: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    folders: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    urls: dict[str, list[str]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    packages: list[dict[str, Any]] = field(default_factory=list)
    confirm: dict[str, Any] = field(default_factory=dict)
    node: str = "lyon-1-a"
    fleet: str = "acme"

    def __post_init__(self) -> None:
        self.path("/etc").mkdir(parents=True)
        self.path("/etc/machine-id").write_text(MACHINE + "\n")

    @property
    def root(self) -> Path:
        return self.place / "root"

    def path(self, path: str) -> Path:
        return Path(str(self.root) + path)

    def entry(self, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        blob = self.place / "files" / name[:2] / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        return {"path": path, "sha256": name, "size": len(data), **more}

    def file(self, path: str, data: bytes, **more: Any) -> None:
        self.files = [one for one in self.files if one["path"] != path] + [self.entry(path, data, **more)]

    def artifact(self, path: str, data: bytes, urls: list[str], **more: Any) -> None:
        entry = {"path": path, "sha256": hashlib.sha256(data).hexdigest(), **more}
        self.artifacts = [one for one in self.artifacts if one["path"] != path] + [entry]
        self.urls[path] = urls

    def manifest(self) -> dict[str, Any]:
        whole = {"files": self.files, "artifacts": self.artifacts, "folders": self.folders, "units": self.units}
        whole |= {"facts": self.facts, "packages": self.packages}
        return {name: value for name, value in whole.items() if value}

    def digest(self) -> str:
        return digest_of(self.manifest())

    def bundle(self) -> dict[str, Any]:
        bundle = {"format": "fleet.bundle/v1", "node": self.node, "digest": self.digest(), "fleet": self.fleet}
        confirm = {"confirm": self.confirm} if self.confirm else {}
        return {**bundle, "manifest": self.manifest(), "urls": self.urls, "seeds": self.seeds, **confirm}

    def write(self) -> Path:
        path = self.place / "bundles" / f"{self.node}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.bundle()))
        return path

    def options(self, **more: Any) -> dict[str, Any]:
        opts = {name: default for name, (_kind, default) in self.module.OPTIONS.items()}
        opts.update(bundle=str(self.write()), root=str(self.root), secrets=self.secrets, check=False, diff=False)
        return {**opts, **more}

    def run(self, **more: Any) -> dict[str, Any]:
        return self.module.run(self.options(**more))

    def ok(self, **more: Any) -> dict[str, Any]:
        result = self.run(**more)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, **more: Any) -> str:
        result = self.run(**more)
        assert result.get("failed"), result
        return str(result["msg"])

    def record(self) -> dict[str, Any]:
        return json.loads(self.path("/var/lib/fleet/record.json").read_text())

    def units_json(self) -> dict[str, Any]:
        return json.loads(self.path("/var/lib/fleet/units.json").read_text())

    def snapshot(self) -> dict[str, tuple[Any, ...]]:
        """Everything below the root: kind, mode, inode, time of change, content or target."""
        seen = {}
        for path in sorted(self.root.rglob("*")):
            found = path.lstat()
            content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            seen[str(path.relative_to(self.root))] = (found.st_mode, found.st_ino, found.st_mtime_ns, content)
        return seen

    def contents(self) -> dict[str, tuple[int, bytes]]:
        """Modes and bytes of all files outside fleet's own folder."""
        paths = [path for path in sorted(self.root.rglob("*")) if path.is_file() and not path.is_symlink()]
        own = self.path("/var/lib/fleet")
        return {
            "/" + str(path.relative_to(self.root)): (path.stat().st_mode & 0o7777, path.read_bytes())
            for path in paths
            if own not in path.parents
        }

    def alone(self, *args: str, prelude: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it as a program of its own. `prelude` is Python that runs before: a fault that a test wants."""
        call = f"import runpy, sys, os\n{prelude}\nrunpy.run_path(sys.argv[1], run_name='__main__')\n"
        boot = self.place / "boot.py"
        boot.write_text(
            call.replace("runpy.run_path(sys.argv[1]", "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0]")
        )
        command = [sys.executable, str(boot), str(MODULE), "--bundle", str(self.write()), "--root", str(self.root)]
        return subprocess.run([*command, *args], capture_output=True, text=True, timeout=60, input=stdin, check=False)


@pytest.fixture(scope="session")
def fleet_bundle() -> ModuleType:
    return load()


@pytest.fixture
def desk(fleet_bundle: ModuleType, tmp_path: Path) -> Desk:
    return Desk(fleet_bundle, tmp_path)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of runs sync thousands of times."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def secret_entry() -> dict[str, Any]:
    """A file that holds one secret plain and one in base64."""
    parts = [
        "user: fleet\npassword: ",
        {"name": "registry", "encoding": "plain", "fingerprint": "aa"},
        "\nauth: ",
        {"name": "auth", "encoding": "base64", "fingerprint": "bb"},
        "\n",
    ]
    return {"path": "/etc/rancher/k3s/registries.yaml", "mode": "0600", "segments": parts}


@pytest.fixture
def secret_text() -> bytes:
    auth = base64.b64encode(b"fleet:hunter22").decode()
    return f"user: fleet\npassword: hunter22-plain\nauth: {auth}\n".encode()
