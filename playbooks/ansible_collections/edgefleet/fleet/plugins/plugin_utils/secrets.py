# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of a rendered project, on the controller: opened in memory, by the vault password that Ansible was given."""

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text

try:
    from ansible.parsing.vault import EncryptedString  # ansible-core 2.19 and later
except ImportError:
    from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode as EncryptedString

LOCK = "secrets/secrets.lock"
VAULT = b"$ANSIBLE_VAULT"


class SecretError(Exception):
    """What is wrong, in words for people; never a value."""


class Secrets:
    """Values by name. `loader` is Ansible's; each vault file is opened once."""

    def __init__(self, loader, project):
        self._loader = loader
        self._project = project
        self._locked = None
        self._files = {}

    def value(self, name):
        """Raises SecretError for one that is not to be had."""
        where = os.path.normpath(self._lock().get(name, {}).get("file", ""))
        if not where.startswith("secrets/"):
            raise SecretError(f"secret `{name}` is not in {LOCK}")
        if where not in self._files:
            self._files[where] = self._open(where)
        value = self._clear(self._files[where].get(name), f"{where}: `{name}`")
        if not isinstance(value, str):
            found = "absent" if value is None else "not a string"
            raise SecretError(f"secret `{name}` is {found} in {where}")
        return to_text(value.encode("utf-8"))

    def _lock(self):
        if self._locked is None:
            try:
                with open(os.path.join(self._project, LOCK), "rb") as handle:
                    self._locked = json.loads(handle.read()).get("secrets", {})
            except OSError as exc:
                raise SecretError(f"{LOCK} of the rendered project {self._project}: {exc.strerror}")
            except ValueError as exc:
                raise SecretError(f"{LOCK} of the rendered project {self._project} is not JSON: {exc}")
        return self._locked

    def _open(self, where):
        """A file that is encrypted as a whole, or a mapping in which each value is. Clear text is refused."""
        path = os.path.join(self._project, where)
        try:
            values = self._loader.load_from_file(path)
        except AnsibleError as exc:
            raise SecretError("{}: cannot be opened: {}".format(where, getattr(exc, "message", None) or exc))
        if not isinstance(values, dict):
            raise SecretError(f"{where}: expected a mapping of names to values")
        with open(path, "rb") as handle:
            is_whole = handle.read(len(VAULT)) == VAULT
        if not is_whole:
            bare = sorted(name for name, value in values.items() if not isinstance(value, EncryptedString))
            if bare:
                raise SecretError(f"{where}: `{bare[0]}` is not encrypted")
        return values

    @staticmethod
    def _clear(value, what):
        if not isinstance(value, EncryptedString):
            return value
        try:
            return str(value)
        except AnsibleError as exc:
            raise SecretError("{}: cannot be opened: {}".format(what, getattr(exc, "message", None) or exc))
