"""Vaulted values stay vaulted: their ciphertexts go into files below secrets/, and variables name them.

A single value keeps its ciphertext, and so does a vault that is a whole file where all in it are texts under names that
secrets may have. Where they are not, each text of it is encrypted anew under the same password; the salt follows from
the file, so that the same inventory gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from fleet.formats import FormatError, vault, yaml
from fleet.formats.inventory import Mark, Vaulted, read_variables
from fleet.formats.vaulted import dump_vaulted
from fleet.model.translation import NewFile, SourceFile
from fleet.translate.facts import Definition
from fleet.translate.names import Taken, dns_label, secret_name
from fleet.translate.notes import Notes

FOLDER = "secrets"
REFERENCE = "secret:"
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([.-][A-Za-z0-9_]+)*")


class Opened(Vaulted):
    """A text out of a vault that is a whole file. It is clear here, and treated as what it was: it never goes anywhere
    but back into a vault.
    """

    __slots__ = ()


class _Whole(msgspec.Struct, frozen=True, eq=False):
    """A vault that was opened, and whether it can be kept as it is."""

    file: SourceFile
    values: Mapping[str, Any]
    is_kept: bool


class Vaults:
    """Collects the secrets of one import. `nodes` gives the names of hosts' nodes, once they are known."""

    def __init__(self, password: bytes | None, notes: Notes) -> None:
        self._password = password
        self._notes = notes
        self._whole: dict[str, _Whole] = {}
        self._names = Taken()
        self._paths = Taken()
        self._files: dict[tuple[str, str], str] = {}
        self._inline: dict[str, dict[str, str]] = {}
        self._kept: dict[str, NewFile] = {}
        self._count = 0
        self.nodes: Mapping[str, str] = {}

    def opened(self, file: SourceFile) -> Mapping[str, Any] | None:
        """The variables in a vault that is a whole file; None where it stays shut, which the report says."""
        mark = Mark(file.file, 1, 1)
        if self._password is None:
            message = "encrypted as a whole, and without the password nobody knows which variables are in it"
            self._notes.warn(mark, "vault", message, "Give --vault-password-file FILE")
            return None
        try:
            plain = vault.decrypt(file.data, {vault.DEFAULT_ID: self._password})
            values = read_variables(plain, _stop)[0]
        except vault.VaultError as error:
            self._notes.warn(mark, "vault", f"not carried over: {error.problem}", error.hint)
            return None
        except FormatError:  # its words could quote what is in it
            self._notes.warn(mark, "vault", "not carried over: what is in it is no mapping of variables")
            return None
        is_kept = self._may_be_kept(plain, values)
        self._whole[file.file] = _Whole(file, values, is_kept)
        if is_kept:
            for name in values:
                self._names.give(name)
        elif not all(_are_texts(value) for value in values.values()):
            self._notes.warn(mark, "vault", "numbers and booleans in it become texts: secrets are texts")
        return {name: _sealed(value) for name, value in values.items()}

    def _may_be_kept(self, plain: bytes, values: Mapping[str, Any]) -> bool:
        """Whether a vault can stay the file it is: fleet reads the same texts in it, under names that are free."""
        taken = {name for whole in self._whole.values() if whole.is_kept for name in whole.values}
        if not all(isinstance(value, str) and not isinstance(value, Vaulted) for value in values.values()):
            return False
        if not all(_SECRET.fullmatch(name) and name not in taken for name in values):
            return False
        try:
            return yaml.parse(plain) == [dict(values)]
        except FormatError:
            return False

    def carried(self, definition: Definition) -> Any:
        """The definition's value with each vaulted text as a reference. What cannot be kept is told, and is None."""
        whole = self._whole.get(definition.mark.file)
        if whole is not None and whole.is_kept:
            self._keep(whole, definition)
            self._count += 1
            return f"{REFERENCE}{definition.name}"
        return self._referenced(definition.value, definition, (definition.name,))

    def put(self, file: str, name: str, text: str) -> None:
        """Keep a ciphertext under a name that is given."""
        self._names.give(name)
        self._inline.setdefault(file, {})[name] = text
        self._count += 1

    def ciphertext(self, definition: Definition) -> str:
        """The ciphertext of a value that is one vaulted text; empty where it is none."""
        value = definition.value
        return self._text(value, definition, (definition.name,)) if isinstance(value, Vaulted) else ""

    @property
    def count(self) -> int:
        return self._count

    def files(self) -> list[NewFile]:
        made = [NewFile(path, dump_vaulted(vaults).encode(), private=True) for path, vaults in self._inline.items()]
        return sorted([*made, *self._kept.values()], key=lambda file: file.path)

    def _referenced(self, value: Any, definition: Definition, path: tuple[str, ...]) -> Any:
        if isinstance(value, Vaulted):
            text = self._text(value, definition, path)
            return f"{REFERENCE}{self._named(text, definition, path)}" if text else None
        if isinstance(value, dict):
            return {key: self._referenced(item, definition, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._referenced(item, definition, (*path, str(at))) for at, item in enumerate(value)]
        return value

    def _text(self, value: Vaulted, definition: Definition, path: tuple[str, ...]) -> str:
        if isinstance(value, Opened):
            return self._sealed_again(value, definition, ".".join(path))
        return str(value) if self._is_whole(value, definition) else ""

    def _named(self, text: str, definition: Definition, path: tuple[str, ...]) -> str:
        owner = self.nodes[definition.host] if definition.host else definition.group
        is_of_all = owner == "all" and not definition.host
        name = self._names.give(secret_name(*path, *([] if is_of_all else [owner])))
        folder = "host_vars" if definition.host else "group_vars"
        if (folder, owner) not in self._files:
            self._files[folder, owner] = self._paths.give(f"{FOLDER}/{folder}/{dns_label(owner, 'all')}")
        self._inline.setdefault(f"{self._files[folder, owner]}.yaml", {})[name] = text
        self._count += 1
        return name

    def _keep(self, whole: _Whole, definition: Definition) -> None:
        file = whole.file
        if file.file in self._kept:
            return
        folder, owner = ("host_vars", self.nodes[file.owner]) if definition.host else ("group_vars", file.owner)
        stem = dns_label(file.file.rpartition("/")[2].partition(".")[0], "vault")
        name = "-".join(dict.fromkeys((dns_label(owner, "all"), stem)))
        path = self._paths.give(f"{FOLDER}/{folder}/{name}")
        self._kept[file.file] = NewFile(f"{path}.yaml", file.data, private=True)

    def _is_whole(self, text: str, definition: Definition) -> bool:
        try:
            vault.vault_id_of(text)
        except vault.VaultError as error:
            self._notes.warn(definition.mark, definition.name, f"not carried over: {error.problem}", error.hint)
            return False
        return True

    def _sealed_again(self, text: str, definition: Definition, path: str) -> str:
        if self._password is None:
            return ""
        data = self._whole[definition.mark.file].file.data
        salt = hashlib.sha256(hashlib.sha256(data).digest() + path.encode()).digest()
        message = "encrypted anew under the same password: fleet's secrets are texts, each under a name of its own"
        self._notes.note(definition.mark, definition.name, message)
        return vault.encrypt(text.encode(), self._password, vault.vault_id_of(data), salt)


def _sealed(value: Any) -> Any:
    """Every leaf as a text that came out of a vault: a number is written as Jinja would write it."""
    if isinstance(value, dict):
        return {key: _sealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_sealed(item) for item in value]
    return value if value is None else Opened(value)


def _are_texts(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_are_texts(item) for item in items) if isinstance(value, dict | list) else isinstance(value, str)


def _stop(error: FormatError) -> None:
    raise error
