"""Where passwords and values come from: an option, the environment, standard input, or a question on a terminal."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.wiring import PasswordSource

_MOST_BYTES = 16 * 1024 * 1024


class Passwords:
    """Those that were read or asked for so far, in memory alone: a detached process gets them through a pipe."""

    def __init__(self, vault: bytes | None = None, become: bytes | None = None) -> None:
        self._vault = vault
        self._become = become

    def vault(self, source: PasswordSource) -> PasswordSource:
        """`source`, which is not asked where a password is there already."""

        def password() -> bytes:
            if self._vault is None:
                self._vault = source()
            return self._vault

        return password

    def become(self, source: PasswordSource) -> PasswordSource:
        def password() -> bytes:
            if self._become is None:
                self._become = source()
            return self._become

        return password

    def sealed(self) -> bytes:
        return msgspec.json.encode((self._vault, self._become))

    @classmethod
    def unsealed(cls, data: bytes) -> Passwords:
        return cls(*msgspec.json.decode(data, type=tuple[bytes | None, bytes | None]))


def password_source(file: str) -> PasswordSource:
    """Asked once, when a vault has to be opened. `file` is the option's value; what follows it, the adapter says."""

    @cache
    def password() -> bytes:
        from fleet.adapters.vault import password_source as first_given

        is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
        return first_given(file, os.environ, _asked if is_terminal else None)()

    return password


def given_password(file: str) -> PasswordSource | None:
    """The same, for who can do without: None where neither the option nor the environment gives one."""
    from fleet.adapters.vault.password import ANSIBLE_VARIABLE, FILE_VARIABLE, VARIABLE

    names = (FILE_VARIABLE, VARIABLE, ANSIBLE_VARIABLE)
    return password_source(file) if file or any(os.environ.get(name) for name in names) else None


def become_source(file: str, *, asks: bool) -> PasswordSource | None:
    """What sudo asks for on nodes whose spec names no secret; None where neither a file nor a question is wanted."""
    if file:

        @cache
        def read() -> bytes:
            from fleet.adapters.vault.password import password_in

            return password_in(file, "the password for sudo")

        return read
    if not asks:
        return None

    @cache
    def asked() -> bytes:
        answer: str = click.prompt("Password for sudo on the nodes", hide_input=True, err=True)
        return answer.encode()

    return asked


def new_password_source(file: str) -> PasswordSource:
    """The one that vaults are to have: from a file or a program, else asked for twice. Read once."""

    @cache
    def password() -> bytes:
        from fleet.adapters.vault.password import password_in

        if file:
            found = password_in(file, "the new vault password")
        elif sys.stdin.isatty() and sys.stderr.isatty():
            answer: str = click.prompt("New vault password", hide_input=True, confirmation_prompt=True, err=True)
            found = answer.encode()
        else:
            raise UsageError(
                "the new vault password is needed, and nobody is there to ask", "give --new-vault-password-file FILE"
            )
        if not found:
            raise UsageError("the new vault password is empty", "give --new-vault-password-file FILE")
        return found

    return password


def given_value(name: str, file: str) -> bytes:
    """A secret's value: from `file`, else from standard input, which on a terminal is a question asked twice."""
    if file and file != "-":
        try:
            with Path(file).expanduser().open("rb") as opened:
                return opened.read(_MOST_BYTES)
        except OSError as error:
            raise UsageError(
                f"cannot read the value from {file}: {error.strerror}", "name a file that holds it"
            ) from None
    if sys.stdin.isatty() and not file:
        answer: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)
        return answer.encode(errors="surrogateescape")
    return sys.stdin.buffer.read(_MOST_BYTES)


def _asked() -> str:
    answer: str = click.prompt("Vault password", hide_input=True, err=True)
    return answer
