"""LocalMachine: programs, limits and room of the machine that fleet runs on."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from fleet.model.diagnosis import Surroundings

_SECONDS = 20
_NUMBERS = re.compile(r"([0-9]+(?:\.[0-9]+)+)")


class LocalMachine:
    """Fills `ports.Machine`. `root` is the fleet's folder, `state` where its journal is."""

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._state = state

    def look(self) -> Surroundings:
        own = Path(sys.executable).parent
        found = [Path(folder, "fleet") for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
        programs = list(dict.fromkeys(path for path in found if path.is_file() and os.access(path, os.X_OK)))
        others = [str(path) for path in programs if path.parent.resolve() != own.resolve() and not _is_ours(path)]
        first = str(programs[0]) if programs else ""
        return Surroundings(
            ansible=_installed("ansible-core"),
            runner=_installed("ansible-runner"),
            git=_said(["git", "--version"]),
            ssh=_said(["ssh", "-V"]),
            others=tuple(others),
            is_first=not others or first not in others,
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            state_free=shutil.disk_usage(_nearest(self._state)).free,
            state_path=str(self._state),
            is_repository=self._git("rev-parse", "--git-dir"),
            ignores_state=self._git("check-ignore", "-q", ".fleet/state.db"),
            has_identity=self._git("var", "GIT_AUTHOR_IDENT"),
        )

    def _git(self, *arguments: str) -> bool:
        try:
            done = subprocess.run(
                ["git", "-C", str(self._root), "-c", "user.useConfigOnly=true", *arguments],
                stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _said(command: list[str]) -> str:
    """The first version in what a program prints, be it on stdout or stderr."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _NUMBERS.search(done.stdout or done.stderr)
    return match[1] if match else ""


def _is_ours(path: Path) -> bool:
    """A script that starts this very package, from whichever folder: a link in ~/bin, a second venv."""
    try:
        return b"fleet.cli.main" in path.read_bytes()[:4096]
    except OSError:
        return False


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
