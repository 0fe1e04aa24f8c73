"""`fleet` as users have it: the installed command, in a repository of their own, in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SECONDS = 240
# What a machine needs to reach its package registry stays; a user's own settings of git, Ansible and fleet do not.
DROPPED = ("GIT_", "ANSIBLE_", "FLEET_", "PYTHON")


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"exit {self.code}\n{self.out}{self.err}"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED) or key.endswith("CAINFO")}
    return {**kept, "GIT_CONFIG_GLOBAL": "/dev/null", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **(extra or {})}


def execute(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
    done = subprocess.run(
        argv, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


class Repository:
    """A fleet's folder in git, made by `fleet init --example`, with `vault-password` and the sandbox `nodes` beside it.

    Every command ends with the code that the test names, or the test ends with what it printed.
    """

    def __init__(self, folder: Path, example: str, command: Path = BIN / "fleet") -> None:
        self.folder = folder
        self.command = command
        self.nodes = folder.parent / "nodes"
        self.password = folder.parent / "vault-password"
        self.password.write_text("only for this test\n")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.made = self._run([str(command), "init", str(folder), "--example", example], 0, folder.parent)
        self.git("init", "--quiet", "--initial-branch", "main")

    def fleet(self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Ran:
        return self._run([str(self.command), *arguments], code, self.folder, env)

    def git(self, *arguments: str) -> str:
        author = ["-c", "user.name=ops", "-c", "user.email=ops@acme.example"]
        return self._run(["git", *author, *arguments], 0, self.folder).out.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))

    def generate_secrets(self) -> Ran:
        return self.fleet("secret", "generate", "--vault-password-file", str(self.password))

    def plan(self, *narrowing: str, code: int) -> Ran:
        return self.fleet("plan", "--sandbox", str(self.nodes), *narrowing, code=code)

    def apply(self, *narrowing: str, code: int = 0) -> Ran:
        vault = ["--vault-password-file", str(self.password)]
        return self.fleet("apply", "--yes", "--sandbox", str(self.nodes), *vault, *narrowing, code=code)

    def read(self, node: str, path: str) -> str:
        return (self.nodes / node / path.lstrip("/")).read_text()

    def files(self, node: str) -> set[str]:
        """Paths of all files and links on a node, but for fleet's own records there."""
        root = self.nodes / node
        paths = {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_symlink() or path.is_file()}
        return {path for path in paths if not path.startswith("/var/lib/fleet/")}

    def _run(self, argv: list[str], code: int, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
        ran = execute(argv, cwd, env)
        assert ran.code == code, f"{' '.join(argv)}: wanted exit {code}\n{ran.text}"
        return ran
