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


def password_in(file: str, what: str) -> bytes:
    """What a file holds, or what a program prints: for other passwords than the vaults', named `what` in errors."""
    return _from_file(Path(file).expanduser(), what, f"name a file that holds {what}, or a program that prints it")


def _from_file(path: Path, what: str = "the vault password", hint: str = "") -> bytes:
    try:
        if os.access(path, os.X_OK) and path.is_file():
            return _from_script(path, what)
        with path.open("rb") as file:
            found = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {what} from {path}: {error.strerror}", hint or _HINT) from None
    if len(found) > _MAX_BYTES:
        name = what.removeprefix("the ")
        raise UsageError(f"{path} is no {name}: it has more than {_MAX_BYTES:,} bytes", hint or _HINT)
    return found.strip()


def _from_script(path: Path, what: str) -> bytes:
    try:
        done = subprocess.run([path.absolute()], stdout=subprocess.PIPE, timeout=_SCRIPT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{path} gave no {what.removeprefix('the ')} in {_SCRIPT_SECONDS} s") from None
    if done.returncode != 0:
        raise UnavailableError(f"{path}, which prints {what}, ended with {done.returncode}")
    return done.stdout.strip(b"\r\n")
