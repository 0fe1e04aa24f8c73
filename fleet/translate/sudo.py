"""What sudo asks for: a vaulted password becomes `connection.becomePassword`, any other is told.

Source of the names: ansible-core, the options of become plugin `sudo`.
"""

from __future__ import annotations

from typing import Any

from fleet.translate.facts import Definition
from fleet.translate.ground import Ground
from fleet.translate.values import Values

NAMES = frozenset({"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"})
FIELD = "becomePassword"


class SudoPasswords:
    """With several of the names in one inventory nobody but Ansible knows which is meant where: then all are told."""

    def __init__(self, ground: Ground, values: Values) -> None:
        self._notes = ground.notes
        self._values = values
        self._is_one = len({each.name for each in ground.facts.definitions() if each.name in NAMES}) == 1

    def of(self, definition: Definition) -> dict[str, Any]:
        """The field that a definition gives. None in it: what weaker layers say is not meant here."""
        secret = self._values.secret(definition) if self._is_one else None
        if secret is None:
            self._notes.warn(
                definition.mark, definition.name, "a connection secret is not carried over",
                "Vault it below secrets/, and say `connection: {becomePassword: secret:NAME}`",
            )  # fmt: skip
        return {FIELD: secret}
