"""Where the password of the vaults comes from: the option, the environment, or a question where there is a terminal."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fleet.wiring import PasswordSource


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


def _asked() -> str:
    answer: str = click.prompt("Vault password", hide_input=True, err=True)
    return answer
