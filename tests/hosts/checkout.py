"""A fleet's git repository on the controller, and `fleet` run in it where it reaches the lab's hosts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab

BIN = Path(sys.executable).parent
SECONDS = 240


@dataclass(frozen=True)
class Said:
    """What a command ended with, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"exit {self.code}\n{self.out}{self.err}"

    def document(self) -> dict[str, Any]:
        """The one document that `--json` prints."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """The JSON lines of `--json`, only those of one kind where it is named."""
        lines = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]
        return [line for line in lines if not kind or line["event"] == kind]


class Checkout:
    """One working copy. Every command ends as the test says (`code`), or the test ends with what it printed."""

    def __init__(self, lab: Lab, folder: Path, home: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.home = home
        self.password_file = home / "vault-password"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of whoever runs the tests: no ssh configuration, no agent, no settings of git or Ansible."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        author = {"GIT_AUTHOR_NAME": "ops", "GIT_AUTHOR_EMAIL": "ops@acme.example"}
        committer = {name.replace("AUTHOR", "COMMITTER"): value for name, value in author.items()}
        vault = {"ANSIBLE_VAULT_PASSWORD_FILE": str(self.password_file)}
        return kept | author | committer | vault | {"HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}

    # ---- git

    def git(self, *argv: str) -> str:
        command = ["git", "-C", str(self.folder), *argv]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        self.write(path, text.replace(old, new))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def clone(self, folder: Path) -> "Checkout":
        self.git("clone", "--quiet", str(self.folder), str(folder))
        return Checkout(self.lab, folder, self.home)

    # ---- fleet

    def fleet(self, *argv: str, code: int = 0) -> Said:
        return self.run([str(BIN / "fleet"), *argv], code=code)

    def run(
        self,
        argv: list[str],
        *,
        code: int = 0,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        seconds: int = SECONDS,
    ) -> Said:
        """Run a program in the controller's namespace."""
        done = self.lab.in_controller(
            argv, check=False, timeout=seconds, cwd=cwd or self.folder, env=self.environment | (env or {})
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.code == code, f"{' '.join(argv)}: wanted exit {code}\n{said.text}"
        return said

    def start(self, *argv: str) -> "Running":
        """`fleet` in the background, its events as they come."""
        return Running(self, [str(BIN / "fleet"), *argv])

    def plan(self, *argv: str) -> dict[str, Any]:
        """`fleet plan --json`, whatever it finds."""
        done = self.lab.in_controller(
            [str(BIN / "fleet"), "plan", "--json", *argv],
            check=False,
            timeout=SECONDS,
            cwd=self.folder,
            env=self.environment,
        )
        assert done.returncode in (0, 3), f"plan: exit {done.returncode}\n{done.stdout}{done.stderr}"
        report: dict[str, Any] = json.loads(done.stdout)
        return report


class Running:
    """A `fleet --json` that runs. `wait_for` reads its events until one of a kind comes."""

    def __init__(self, checkout: Checkout, argv: list[str]) -> None:
        self.process = subprocess.Popen(
            checkout.lab.controller_command(argv),
            cwd=checkout.folder,
            env=checkout.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []

    def wait_for(self, kind: str, **fields: object) -> dict[str, Any]:
        """The first event from here on of that kind, with these values."""
        return self.wait_until(lambda event: event["event"] == kind and fields.items() <= event.items())

    def wait_until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            event: dict[str, Any] = json.loads(line)
            if is_it(event):
                return event
        raise AssertionError(f"it did not come:\n{''.join(self._lines)}{self.end().err}")

    def interrupt(self) -> None:
        """^C, once. Only to `fleet` itself, as a terminal's would reach its children too: they are in other sessions."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def end(self) -> Said:
        out, err = self.process.communicate(timeout=SECONDS)
        return Said(self.process.returncode, "".join(self._lines) + out, err)
