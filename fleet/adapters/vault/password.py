"""Where the vault password comes from. ansible.cfg is not consulted: what opens secrets is said here and nowhere else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from fleet.errors import UnavailableError, UsageError

Password = Callable[[], bytes]

FILE_VARIABLE = "FLEET_VAULT_PASSWORD_FILE"
VARIABLE = "FLEET_VAULT_PASSWORD"
ANSIBLE_VARIABLE = "ANSIBLE_VAULT_PASSWORD_FILE"
_MAX_BYTES = 64 * 1024
_SCRIPT_SECONDS = 120


def password_source(file: str, environ: Mapping[str, str], prompt: Callable[[], str] | None) -> Password:
    """The first that is given: `file` (--vault-password-file), fleet's two variables,
    Ansible's own one, the prompt (None: nobody to ask).

    Nothing is read, run or asked before the password is needed, and then once. An executable file is run and prints
    it, as with Ansible. Raises UsageError, when it is needed, for none or an empty one.
    """

    @cache
    def password() -> bytes:
        if path := file or environ.get(FILE_VARIABLE, ""):
            found = _from_file(Path(path).expanduser())
        elif VARIABLE in environ:
            found = environ[VARIABLE].encode("utf-8", errors="surrogateescape")
        elif path := environ.get(ANSIBLE_VARIABLE, ""):
            found = _from_file(Path(path).expanduser())
        elif prompt is not None:
            found = prompt().encode()
        else:
            raise UsageError("the vault password is needed, and nobody is there to ask", _HINT)
        if not found:
            raise UsageError("the vault password is empty", _HINT)
        return found

    return password


_HINT = f"give --vault-password-file FILE, or set {FILE_VARIABLE} or {VARIABLE}"


def _from_file(path: Path) -> bytes:
    try:
        if os.access(path, os.X_OK) and path.is_file():
            return _from_script(path)
        with path.open("rb") as file:
            found = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the vault password from {path}: {error.strerror}", _HINT) from None
    if len(found) > _MAX_BYTES:
        raise UsageError(f"{path} is no vault password: it has more than {_MAX_BYTES:,} bytes", _HINT)
    return found.strip()


def _from_script(path: Path) -> bytes:
    try:
        done = subprocess.run([path.absolute()], stdout=subprocess.PIPE, timeout=_SCRIPT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{path} gave no vault password in {_SCRIPT_SECONDS} s") from None
    if done.returncode != 0:
        raise UnavailableError(f"{path}, which prints the vault password, ended with {done.returncode}")
    return done.stdout.strip(b"\r\n")
