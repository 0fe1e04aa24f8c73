"""One vault file opened: encrypted as a whole, or a mapping in which each value is a vault of its own.

Every mistake of the file is gathered, with its place; none of them holds a value.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.formats import FormatError, vault, yaml
from fleet.formats.vaulted import ClearTextError, places_of, read_vaulted
from fleet.model.problem import Problem

_CLEAR = "ansible-vault encrypt {file}; and change what it held"
_TEXT = "a secret is a text: keep it as base64 (base64 -w0 FILE | fleet secret set NAME), decoded by what reads it"


class Opened(msgspec.Struct, frozen=True):
    """`values` by name. `sealed`: the ciphertexts of a file of the second kind, None for a file that is one vault.

    `vault_id` and `plain` are of a file that is one vault. `password` counts the given passwords from 0: the first that was needed.
    `is_locked`: a mistake of it is that no password fits.
    """

    values: dict[str, str] = {}
    sealed: dict[str, str] | None = None
    vault_id: str = vault.DEFAULT_ID
    plain: bytes = b""
    password: int = 0
    problems: tuple[Problem, ...] = ()
    is_locked: bool = False


def open_vaults(file: str, data: bytes, passwords: Sequence[bytes]) -> Opened:
    """`passwords` are tried in their order. Never raises for what is in the file."""
    return _open_whole(file, data, passwords) if vault.is_vault(data) else _open_each(file, data, passwords)


def _open_whole(file: str, data: bytes, passwords: Sequence[bytes]) -> Opened:
    try:
        plain, password = decrypted(data, passwords)
        documents = yaml.parse(plain)
        vault_id = vault.vault_id_of(data)
    except vault.VaultError as error:
        locked = isinstance(error, vault.WrongPasswordError)
        return _failed(Problem(file, error.line, 1, "", error.problem, error.hint), is_locked=locked)
    except FormatError as error:
        inside = f"holds no YAML, at line {error.line} of its content: {error.problem}"
        return _failed(Problem(file, 0, 0, "", inside, f"ansible-vault edit {file}"))
    content = documents[0] if len(documents) == 1 else {} if not documents else None
    if not isinstance(content, dict):
        problem = "expected one mapping of names to values"
        return _failed(Problem(file, 0, 0, "", problem, f"ansible-vault edit {file}"))
    bad = [_not_text(file, name, value) for name, value in content.items() if not isinstance(value, str)]
    return Opened(content, None, vault_id, plain, password, tuple(bad))


def _open_each(file: str, data: bytes, passwords: Sequence[bytes]) -> Opened:
    try:
        sealed = read_vaulted(data)
    except FormatError as error:
        hint = _CLEAR.format(file=file)
        if not isinstance(error, ClearTextError):
            problem = f"is not encrypted, and no mapping of vaults either: {error.problem}"
            return _failed(Problem(file, error.line, error.column, "", problem, hint))
        if b"!vault" in data:
            return _failed(Problem(file, error.line, error.column, "", error.problem, error.hint))
        return _failed(Problem(file, 0, 0, "", "is not encrypted", hint))
    values: dict[str, str] = {}
    problems: list[Problem] = []
    first, is_locked = len(passwords) - 1, False
    for name, text in sealed.items():
        try:
            plain, password = decrypted(text, passwords)
            values[name], first = plain.decode(), min(first, password)
        except vault.VaultError as error:
            is_locked |= isinstance(error, vault.WrongPasswordError)
            problems.append(_of_value(file, data, name, error.problem, error.hint))
        except UnicodeDecodeError:
            problems.append(
                _of_value(file, data, name, f"expected `{name}` to be a text, found bytes that are not UTF-8", _TEXT)
            )
    return Opened(values, sealed, password=max(first, 0), problems=tuple(problems), is_locked=is_locked)


def decrypted(text: str | bytes, passwords: Sequence[bytes]) -> tuple[bytes, int]:
    """What is inside, and which password opened it. Raises VaultError, for the first password where none fits."""
    error: vault.WrongPasswordError | None = None
    for at, password in enumerate(passwords):
        try:
            return vault.decrypt(text, {vault.DEFAULT_ID: password}), at
        except vault.WrongPasswordError as wrong:
            error = error or wrong
    raise error or vault.WrongPasswordError("no password is given", "Give its password")


def _of_value(file: str, data: bytes, name: str, problem: str, hint: str) -> Problem:
    line, column = places_of(data)[name]
    told = problem if f"`{name}`" in problem else f"`{name}`: {problem}"
    return Problem(file, line, column, "", told, hint)


def _not_text(file: str, name: object, value: object) -> Problem:
    found = "nothing" if value is None else f"a {type(value).__name__}"
    message = f"expected `{name}` to be a text, found {found}"
    return Problem(file, 0, 0, "", message, 'write it in quotes: NAME: "value"')


def _failed(problem: Problem, *, is_locked: bool = False) -> Opened:
    return Opened(problems=(problem,), is_locked=is_locked)


def told(problem: Problem) -> str:
    """`FILE:LINE:COLUMN: message`, with the place where there is one."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    joined = " " if not problem.line and problem.message.startswith(("is ", "holds ")) else ": "
    return f"{place}{joined}{problem.message}"
