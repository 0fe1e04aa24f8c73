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


def _asked() -> str:
    answer: str = click.prompt("Vault password", hide_input=True, err=True)
    return answer
