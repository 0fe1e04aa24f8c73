"""The `git` command, pinned: no prompt, no pager, no lock, no hook, no language, no time without end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fleet.errors import UnavailableError

TIMEOUT_SECONDS = 120

# What a hook or a wrapper sets to point git at one index or work tree: we read the folder that we were given.
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_PAGER")
_PINNED = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "LANGUAGE": "", "GIT_PAGER": "cat"}
# A repository's own configuration may name programs to run; reading a spec runs none of them.
_OPTIONS = (
    "--no-pager",
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "log.showSignature=false",
    "-c", "submodule.recurse=false",
)  # fmt: skip
_MISSING = "git is not installed, and the spec's folder is a git repository"


class GitFailedError(Exception):
    """git ended with an error; `words` is what it said."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    return kept | _PINNED


def command_line(folder: Path, arguments: Sequence[str]) -> list[str]:
    return ["git", "-C", str(folder), *_OPTIONS, *arguments]


def run(folder: Path, *arguments: str, timeout: float = TIMEOUT_SECONDS) -> bytes:
    """What git prints. Raises GitFailedError when it ends with an error, UnavailableError when it cannot run."""
    try:
        done = subprocess.run(
            command_line(folder, arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise missing() from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"git {arguments[0]} in {folder} gave no answer in {timeout:g} s") from None
    if done.returncode != 0:
        raise GitFailedError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def missing() -> UnavailableError:
    return UnavailableError(_MISSING, "install git: apt install git")


def unavailable(folder: Path, words: str) -> UnavailableError:
    """What git said, as an error of ours, with the mend where it is known."""
    first = words.splitlines()[0].removeprefix("fatal: ") if words else "it gave no reason"
    if "dubious ownership" in words:
        return UnavailableError(
            f"git does not read {folder}: it belongs to another user",
            f"when you trust it: git config --global --add safe.directory {folder}",
        )
    return UnavailableError(f"git cannot read {folder}: {first}")
