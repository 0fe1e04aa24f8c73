# Copyright the fleet authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of a rendered project, on the controller: opened in memory, by the vault password that Ansible was given."""

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text

LOCK = "secrets/secrets.lock"


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
        value = self._files[where].get(name)
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
        try:
            values = self._loader.load_from_file(os.path.join(self._project, where))
        except AnsibleError as exc:
            raise SecretError("{}: cannot be opened: {}".format(where, getattr(exc, "message", None) or exc))
        if not isinstance(values, dict):
            raise SecretError(f"{where}: expected a mapping of names to values")
        return values
