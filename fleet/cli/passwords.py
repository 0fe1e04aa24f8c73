"""Where the password of the vaults comes from: a file or a program, as Ansible has it, or a question on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.wiring import PasswordSource

ENVIRONMENT = "ANSIBLE_VAULT_PASSWORD_FILE"
_SECONDS = 60


def password_source(file: str) -> PasswordSource | None:
    """Asked only when a vault has to be opened. `file` is the option's value; without it the environment's file
    counts, and then a question where there is a terminal; each once. None: there is nowhere to ask.
    """
    named = file or os.environ.get(ENVIRONMENT, "")
    if named:
        return cache(lambda: _of_file(Path(named).expanduser()))
    if sys.stdin.isatty() and sys.stderr.isatty():
        return cache(_asked)
    return None


def _of_file(path: Path) -> bytes:
    """A file that may be executed is a program that prints the password, as with ansible-vault."""
    try:
        if path.is_file() and os.access(path, os.X_OK):
            done = subprocess.run([str(path.resolve())], capture_output=True, timeout=_SECONDS, check=True)
            return _stripped(done.stdout, path)
        return _stripped(path.read_bytes(), path)
    except subprocess.CalledProcessError as error:
        raise UsageError(f"the vault password program {path} ended with exit code {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"the vault password program {path} gave nothing in {_SECONDS} s") from None
    except OSError as error:
        raise UsageError(
            f"cannot read the vault password file {path}: {error.strerror}",
            "name it with --vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE",
        ) from None


def _stripped(text: bytes, path: Path) -> bytes:
    password = text.strip(b"\r\n ")
    if not password:
        raise UsageError(f"the vault password file {path} is empty")
    return password


def _asked() -> bytes:
    answer: str = click.prompt("Vault password", hide_input=True, err=True)
    return answer.encode()
